"""Errors as RFC 9457 problems: one shape from views, middleware, routing, throttles and sockets.

A Problem is an exception with a stable slug (`code`), a status and a title; `detail` says what happened this
time, in words for a person, without repeating what they sent. `type` leads to the entry of that slug in
/api/docs/errors/, which is made from the table below. This module imports no model and no view.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused field: JSON pointer into the request's body (or `?name` for a query parameter)."""

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """Base of all. Subclasses set status, code, title and, for the documentation, `meaning`."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"
    meaning: ClassVar[str] = "An unexpected failure. Quote the request_id when you report it."

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail, self.errors, self.headers, self.extra = detail, tuple(errors), dict(headers or {}), extra

    def document(self, *, instance: str = "", request_id: str = "") -> dict[str, Any]:
        """The JSON object of this problem; `errors` only when there are any."""
        body: dict[str, Any] = {
            "type": f"/api/docs/errors/#{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail or self.meaning,
            "instance": instance,
            "code": self.code,
            "request_id": request_id,
        }
        # What the standard names is not an extra's to change.
        body = {**self.extra, **body}
        if self.errors:
            body["errors"] = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in self.errors]
        return body


class Malformed(Problem):
    status, code, title = 400, "malformed", "The request could not be read"
    meaning = "The body is not JSON of the expected form, or a query parameter is unknown or badly written."


class BadCursor(Problem):
    status, code, title = 400, "bad_cursor", "The cursor is not one of ours"
    meaning = (
        "Cursors come from next_cursor of the same list with the same sort; they cannot be built by hand."
    )


class NotSignedIn(Problem):
    status, code, title = 401, "not_signed_in", "Sign in first"
    meaning = (
        "No valid session or token for this host came with the request. "
        "Send `Authorization: Bearer <access token or API key>`."
    )


class BadCredentials(Problem):
    status, code, title = 401, "bad_credentials", "E-mail or password is wrong"
    meaning = "The account, its password and its membership of this organisation are checked together."


class BadToken(Problem):
    status, code, title = 401, "bad_token", "The token is not valid here"
    meaning = "Expired, revoked, badly signed, or made for another host. Get a new one at this host."


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "You may not do this"
    meaning = "Your role here lacks the permission named in `permission`."


class TenantSuspended(Problem):
    status, code, title = 403, "tenant_suspended", "This organisation is suspended"
    meaning = "Nobody can sign in here until the platform lifts the suspension."


class CsrfRefused(Problem):
    status, code, title = 403, "csrf_refused", "The request did not prove that it comes from our own page"
    meaning = (
        "With a session cookie, writes come from the same origin and carry in X-CSRFToken what "
        "/api/v1/auth/session/ answers as csrf_token. Who sends a token or a key needs none."
    )


class NotFound(Problem):
    status, code, title = 404, "not_found", "There is nothing here"
    meaning = "The path is unknown, or the object does not exist in this organisation or is hidden from you."


class MethodNotAllowed(Problem):
    status, code, title = 405, "method_not_allowed", "This resource does not know that method"
    meaning = "The Allow header lists the methods it knows."


class NotAcceptable(Problem):
    status, code, title = 406, "not_acceptable", "We cannot answer in that form"
    meaning = "The API answers application/json."


class Conflict(Problem):
    status, code, title = 409, "conflict", "The object is not in a state that allows this"
    meaning = "Something else changed or happened first. Read it again."


class IdempotencyInProgress(Problem):
    status, code, title = 409, "idempotency_in_progress", "The first request with this key is still running"
    meaning = "Wait a moment and send the same request again to get its answer."


class PreconditionFailed(Problem):
    status, code, title = 412, "precondition_failed", "The object changed since you read it"
    meaning = "If-Match does not name the current ETag. Read it again, then repeat the change."


class TooLarge(Problem):
    status, code, title = 413, "too_large", "The body is too large"
    meaning = "JSON bodies are limited to 2.5 MB."


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported_media_type", "We cannot read that kind of body"
    meaning = "Send application/json (or application/merge-patch+json for PATCH)."


class Invalid(Problem):
    status, code, title = 422, "invalid", "Some fields were refused"
    meaning = "`errors` names each field by JSON pointer, with a code and a sentence."


class IdempotencyKeyReuse(Problem):
    status, code, title = 422, "idempotency_key_reuse", "This Idempotency-Key was used for another request"
    meaning = "A key belongs to one request. Make a new key for a new request."


class PreconditionRequired(Problem):
    status, code, title = 428, "precondition_required", "Say which version you are changing"
    meaning = "Send If-Match with the ETag you read, so that nobody's change is lost."


class Throttled(Problem):
    status, code, title = 429, "throttled", "Too many requests"
    meaning = "Wait for the seconds in Retry-After."


class InternalError(Problem):
    pass


class Unavailable(Problem):
    status, code, title = 503, "unavailable", "A part we depend on is not answering"
    meaning = "Try again after the seconds in Retry-After."


def catalogue() -> list[type[Problem]]:
    """Every problem there is, by status and code; /api/docs/errors/ shows it."""
    found: list[type[Problem]] = []
    pending = list(Problem.__subclasses__())
    while pending:
        one = pending.pop()
        found.append(one)
        pending += one.__subclasses__()
    return sorted(found, key=lambda one: (one.status, one.code))


def problem_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """`problem` as a response to `request`, whatever part of the stack noticed it."""
    body = problem.document(instance=request.path, request_id=getattr(request, "request_id", ""))
    response = HttpResponse(json.dumps(body), status=problem.status, content_type=CONTENT_TYPE)
    for name, value in headers_of(problem).items():
        response[name] = value
    return response


def headers_of(problem: Problem) -> dict[str, str]:
    headers = dict(problem.headers)
    if problem.status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="murima"')
    if problem.status == 503:
        headers.setdefault("Retry-After", "5")
    return headers
