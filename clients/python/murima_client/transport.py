"""How a request reaches Murima: one connection at a time, a deadline, bounded retries, errors as exceptions.

Nothing but the standard library. A request is sent again only when that cannot do a thing twice: reads, POSTs
(each carries an Idempotency-Key), and whatever the server says it did not do (429, 503). Waiting follows
Retry-After, else doubles from a quarter of a second with full jitter, and ends after `attempts`.
"""

from __future__ import annotations

import http.client
import json
import random
import secrets
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

LONGEST_WAIT = 30.0


class MurimaError(Exception):
    """The server refused: an RFC 9457 problem. `code` is stable, `detail` for people, `errors` per field."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code: str = problem.get("code", "")
        self.detail: str = problem.get("detail", "")
        self.errors: list[dict[str, str]] = list(problem.get("errors", []))
        self.permission: str = problem.get("permission", "")
        self.request_id: str = problem.get("request_id", "")
        self.title: str = problem.get("title", "")
        fields = "; ".join(f"{one['pointer']}: {one['detail']}" for one in self.errors)
        said = fields or ". ".join(part for part in (self.title, self.detail) if part)
        super().__init__(f"{status} {self.code}: {said} (request {self.request_id})")


class Unreachable(Exception):
    """No answer came, after every attempt."""


class Answer:
    """What came back: `data` is the JSON, or bytes of a file; `etag` goes into a change as `if_match`."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status, self.headers, self.content = status, headers, content

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "")

    @property
    def data(self) -> Any:
        if not self.content:
            return None
        return json.loads(self.content) if "json" in self.headers.get("content-type", "") else self.content


class Transport:
    """Requests to one organisation's host. Give it an API key, or a function that returns an access token."""

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        token: Callable[[], str] | None = None,
        timeout: float = 30.0,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("The address of an organisation, such as https://mto.example.org")
        self._secure, self._host, self._name = parts.scheme == "https", parts.netloc, parts.hostname
        self._port = parts.port
        self._key, self._token = key, token
        self._timeout, self._attempts, self._sleep = timeout, attempts, sleep
        self.last: Answer | None = None

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, sent again while that is safe. Raises MurimaError or Unreachable."""
        sent = {"Accept": "application/json", "Host": self._host, **(headers or {})}
        if method == "POST":
            sent.setdefault("Idempotency-Key", str(uuid.uuid4()))
        content, kind = _encoded(body, files)
        if kind:
            sent["Content-Type"] = kind
        target = path + (f"?{urlencode(_plain(query))}" if query and _plain(query) else "")
        harmless = method in ("GET", "HEAD", "POST")
        for attempt in range(1, self._attempts + 1):
            sent |= self._proof()
            try:
                answer = self._once(method, target, content, sent)
            except (OSError, http.client.HTTPException) as error:
                if not harmless or attempt == self._attempts:
                    raise Unreachable(f"{method} {path} at {self._host}: {error!r}") from error
                self._wait(attempt, "")
                continue
            self.last = answer
            if answer.status < 400:
                return answer
            if answer.status not in (429, 503) or attempt == self._attempts:
                raise MurimaError(answer.status, _problem(answer))
            self._wait(attempt, answer.headers.get("retry-after", ""))
        raise Unreachable(f"{method} {path} at {self._host}")

    def pages(self, path: str, query: Mapping[str, Any]) -> Iterator[Any]:
        """Every row of a list, page by page as they are used."""
        asked = dict(query)
        while True:
            page = self.send("GET", path, query=asked).data
            yield from page["data"]
            if not page["has_more"]:
                return
            asked["cursor"] = page["next_cursor"]

    def _once(self, method: str, target: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        # Names under .localhost are this machine's, whatever its resolver knows.
        name = "127.0.0.1" if self._name.endswith(".localhost") else self._name
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(name, self._port, timeout=self._timeout, context=context)
        else:
            connection = http.client.HTTPConnection(name, self._port, timeout=self._timeout)
        try:
            connection.request(method, target, content, dict(headers))
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, received, response.read())
        finally:
            connection.close()

    def _proof(self) -> dict[str, str]:
        text = self._key or (self._token() if self._token is not None else "")
        return {"Authorization": f"Bearer {text}"} if text else {}

    def _wait(self, attempt: int, said: str) -> None:
        if said.isdigit():
            self._sleep(min(float(said), LONGEST_WAIT) + random.random() / 4)
        else:
            self._sleep(random.random() * min(0.25 * 2**attempt, LONGEST_WAIT))


def _plain(query: Mapping[str, Any] | None) -> dict[str, str]:
    """Query parameters as the API writes them: lists with commas, booleans in small letters, no None."""
    made = {}
    for name, value in (query or {}).items():
        if isinstance(value, bool):
            made[name] = "true" if value else "false"
        elif isinstance(value, list | tuple):
            made[name] = ",".join(str(one) for one in value)
        elif value is not None:
            made[name] = str(value)
    return made


def _encoded(body: Any, files: Mapping[str, Any] | None) -> tuple[bytes | None, str]:
    if files is not None:
        return _multipart(files)
    if body is None:
        return None, ""
    return json.dumps(body).encode(), "application/json"


def _multipart(parts: Mapping[str, Any]) -> tuple[bytes, str]:
    """`parts`: name → text, or (file name, bytes, content type)."""
    boundary = secrets.token_hex(16)
    made = b""
    for name, value in parts.items():
        if value is None:
            continue
        if isinstance(value, tuple):
            filename, content, kind = value
            quoted = str(filename).replace("\\", "_").replace('"', "_").replace("\r", "_").replace("\n", "_")
            head = (
                f'Content-Disposition: form-data; name="{name}"; filename="{quoted}"\r\nContent-Type: {kind}'
            )
        else:
            content, head = str(value).encode(), f'Content-Disposition: form-data; name="{name}"'
        made += f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"
    return made + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _problem(answer: Answer) -> Mapping[str, Any]:
    try:
        data = answer.data
    except ValueError:
        data = None
    return data if isinstance(data, dict) else {"code": "unknown", "detail": "No problem document."}
