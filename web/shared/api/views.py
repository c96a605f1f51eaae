"""Views that belong to no app: the API's description and documentation, its 404, and the browser application.

The documentation is Swagger UI from the bundled sidecar, its script at a path of its own, so that the
content policy needs no inline script.
"""

from __future__ import annotations

from html import escape
from typing import Any

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from web.shared.api import problems


class SchemaView(SpectacularJSONAPIView):
    """OpenAPI 3.1 as JSON."""


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI's page, and with `?script` the script that starts it."""


@csrf_exempt
def api_not_found(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Whatever is under /api/ and known to nobody."""
    said = "There is no such path in the API; /api/docs/ lists those that there are."
    if _known_with_slash(request):
        said = "This path is known with a slash at its end, as all paths of the API are."
    return problems.problem_response(request, problems.NotFound(said))


def _known_with_slash(request: HttpRequest) -> bool:
    if request.path.endswith("/"):
        return False
    found = resolve(f"{request.path_info}/", urlconf=getattr(request, "urlconf", None))
    return found.func is not api_not_found


def error_docs(request: HttpRequest) -> HttpResponse:
    """Every error there is, with an anchor per code: where a problem's `type` leads."""
    entries = "".join(
        f'<dt id="{one.code}"><code>{one.code}</code> ({one.status})</dt>'
        f"<dd><strong>{escape(one.title)}.</strong> {escape(one.meaning)}</dd>"
        for one in problems.catalogue()
    )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Murima API: errors</title>'
        f"<main><h1>Errors of the API</h1><dl>{entries}</dl></main></html>"
    )
    return HttpResponse(page)


@ensure_csrf_cookie
def browser_application(request: HttpRequest) -> HttpResponseBase:
    """The single page of the browser application, for every path that nothing else answers."""
    page = settings.UI_ROOT / "index.html"
    if request.method not in ("GET", "HEAD"):
        return problems.problem_response(request, problems.MethodNotAllowed(headers={"Allow": "GET, HEAD"}))
    wants_page = request.path == "/" or "text/html" in request.headers.get("Accept", "")
    if not wants_page:
        return problems.problem_response(request, problems.NotFound())
    if not page.is_file():
        return problems.problem_response(
            request, problems.Unavailable("The browser application is not built: run `make ui`.")
        )
    response = FileResponse(page.open("rb"), content_type="text/html; charset=utf-8")
    response["Cache-Control"] = "no-cache"
    return response
