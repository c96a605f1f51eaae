"""Anything raised → the Problem that tells it.

`as_problem` knows REST framework's exceptions, Django's, and the ones of lost dependencies; what it does not
know is an InternalError, logged with its frames and told without them. The REST handler, the middleware and
the CSRF view below all go through it, so the shape is one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import redis
import structlog
from django.core import exceptions as django_errors
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from psycopg_pool import PoolTimeout
from rest_framework import exceptions as rest
from rest_framework.response import Response
from rest_framework.views import set_rollback

from web.shared.api import problems
from web.shared.api.problems import FieldError, Problem
from web.shared.core.files import StorageAway

log = structlog.get_logger("murima.api")

_PLAIN: list[tuple[type[BaseException], type[Problem]]] = [
    (rest.UnsupportedMediaType, problems.UnsupportedMediaType),
    (rest.NotAcceptable, problems.NotAcceptable),
    (rest.AuthenticationFailed, problems.BadToken),
    (rest.NotAuthenticated, problems.NotSignedIn),
    (rest.PermissionDenied, problems.Forbidden),
    (rest.NotFound, problems.NotFound),
    (Http404, problems.NotFound),
    (django_errors.ObjectDoesNotExist, problems.NotFound),
    (django_errors.PermissionDenied, problems.Forbidden),
    (django_errors.RequestDataTooBig, problems.TooLarge),
    (django_errors.SuspiciousOperation, problems.Malformed),
    (redis.ConnectionError, problems.Unavailable),
    (redis.TimeoutError, problems.Unavailable),
    (PoolTimeout, problems.Unavailable),
    # A value that PostgreSQL cannot hold: a number out of range, a text it does not accept.
    (DataError, problems.Malformed),
    (OperationalError, problems.Unavailable),
    (InterfaceError, problems.Unavailable),
]


def as_problem(error: BaseException) -> Problem:
    """The Problem that tells `error`; InternalError for what nobody foresaw."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, rest.ValidationError):
        return problems.Invalid(errors=list(_rest_errors(error.detail, "")))
    if isinstance(error, django_errors.ValidationError):
        return problems.Invalid(errors=list(_django_errors(error)))
    if isinstance(error, rest.MethodNotAllowed):
        return problems.MethodNotAllowed()
    if isinstance(error, rest.ParseError):
        return problems.Malformed(_where(error))
    if isinstance(error, rest.Throttled):
        wait = str(math.ceil(getattr(error, "wait", None) or 1))
        return problems.Throttled(headers={"Retry-After": wait})
    if isinstance(error, StorageAway):
        return problems.Unavailable(str(error))
    for kind, problem in _PLAIN:
        if isinstance(error, kind):
            return problem()
    return problems.InternalError()


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """REST framework's hook: every exception of a view becomes a problem, the unforeseen ones logged."""
    problem = as_problem(error)
    request = context["request"]
    problem.detail = problem.detail or _what_is_taken(problem, request, context["view"])
    if problem.status >= 500:
        log.error("request_failed", exc_info=error)
    set_rollback()
    body = problem.document(instance=request.path, request_id=getattr(request._request, "request_id", ""))
    headers = problems.headers_of(problem)
    return Response(body, status=problem.status, headers=headers, content_type=problems.CONTENT_TYPE)


def _where(error: rest.ParseError) -> str:
    """What a parser said of the place, which repeats nothing of the body; empty when it said nothing."""
    said = str(error.detail)
    return "" if said == str(rest.ParseError.default_detail) else f"{said.rstrip('.')}."


def _what_is_taken(problem: Problem, request: Any, view: Any) -> str:
    """What this operation takes instead of the method or the kind of body that came."""
    if isinstance(problem, problems.MethodNotAllowed):
        return f"Allowed here: {', '.join(view.allowed_methods)}."
    if isinstance(problem, problems.UnsupportedMediaType):
        return f"Taken here: {', '.join(one.media_type for one in request.parsers)}."
    return ""


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500 of the URL maps: for what middleware raised; views' errors never come this far."""
    return problems.problem_response(request, as_problem(sys.exc_info()[1] or RuntimeError()))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW."""
    return problems.problem_response(request, problems.CsrfRefused())


def _rest_errors(detail: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _rest_errors(
                inner, pointer if name == "non_field_errors" else f"{pointer}/{_escape(name)}"
            )
    elif isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        for index, inner in enumerate(detail):
            yield from _rest_errors(inner, f"{pointer}/{index}")
    else:
        for one in detail if isinstance(detail, list) else [detail]:
            yield FieldError(pointer, getattr(one, "code", "invalid"), str(one))


def _django_errors(error: django_errors.ValidationError) -> Iterator[FieldError]:
    if not hasattr(error, "error_dict"):
        for one in error.error_list:
            yield FieldError("", one.code or "invalid", " ".join(one.messages))
        return
    for name, errors in error.error_dict.items():
        pointer = "" if name == django_errors.NON_FIELD_ERRORS else f"/{_escape(name)}"
        for one in errors:
            yield FieldError(pointer, one.code or "invalid", " ".join(one.messages))


def _escape(name: Any) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
