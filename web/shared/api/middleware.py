"""Problems for what never reaches a view of ours: routing, middleware, plain Django views.

Under /api/ every answer is JSON; elsewhere a person looks at a page, so a small branded page with the
request's id is shown instead. A response that is a problem already passes.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from web.shared.api import problems
from web.shared.api.errors import as_problem

log = structlog.get_logger("murima.api")

_BY_STATUS = {one.status: one for one in reversed(problems.catalogue())} | {
    400: problems.Malformed, 403: problems.Forbidden, 404: problems.NotFound, 405: problems.MethodNotAllowed,
}  # fmt: skip

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<main><h1>{title}</h1><p>{meaning}</p><p>Request <code>{request_id}</code></p></main></html>"""


class _Problems:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if response.status_code < 400 or _is_ours(response):
            return response
        problem = _BY_STATUS.get(response.status_code, problems.InternalError)()
        if problem.status != response.status_code:
            return response
        return _tell(request, problem, dict(response.items()))

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        problem = as_problem(error)
        if problem.status >= 500:
            log.error("request_failed", exc_info=error)
        return _tell(request, problem, {})


problem_responses = _Problems


def _is_ours(response: HttpResponseBase) -> bool:
    kind = response.headers.get("Content-Type", "")
    # Django's admin and our own pages answer for themselves when they set a template.
    return kind.startswith((problems.CONTENT_TYPE, "application/json")) or hasattr(response, "template_name")


def _tell(request: HttpRequest, problem: problems.Problem, headers: dict[str, Any]) -> HttpResponse:
    wants_page = not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")
    if not wants_page:
        response = problems.problem_response(request, problem)
    else:
        page = _PAGE.format(
            title=escape(problem.title),
            meaning=escape(problem.meaning),
            request_id=escape(getattr(request, "request_id", "")),
        )
        response = HttpResponse(page, status=problem.status)
    for name in ("Allow", "Retry-After"):
        if name in headers:
            response[name] = headers[name]
    return response
