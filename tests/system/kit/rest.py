"""A small REST client for a tenant's host, which resolves no `*.localhost`: it connects to loopback and
sends the Host header, as the surface allows."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from typing import Any
from urllib.parse import urlsplit


class Rest:
    """Speaks as one user with a bearer token, renewed when it is refused; `call` is blocking."""

    def __init__(self, url: str, email: str, password: str) -> None:
        parts = urlsplit(url)
        self._base, self._host = f"http://127.0.0.1:{parts.port}", parts.netloc
        self._who = {"email": email, "password": password}
        self._token = ""

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """(status, decoded JSON or None) of one request to `/api/v1` + path."""
        status, answer = self._send(method, "/api/v1" + path, body, headers)
        if status == 401:
            self._sign_in()
            status, answer = self._send(method, "/api/v1" + path, body, headers)
        return status, answer

    def once(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """As `call`, but a refusal is the answer: nobody signs in."""
        return self._send(method, "/api/v1" + path, body, {})

    def get(self, path: str) -> Any:
        """The body of a GET that must succeed."""
        status, answer = self.call("GET", path)
        assert status == 200, (status, answer)
        return answer

    def post(self, path: str, body: object) -> Any:
        """The body of a POST that must succeed."""
        status, answer = self.call("POST", path, body)
        assert status in (200, 201), (status, answer)
        return answer

    def upload(self, path: str, name: str, content: bytes, **fields: str) -> Any:
        """The body of a POST with a file, as a form, that must succeed."""
        edge = uuid.uuid4().hex
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in fields.items()
        ]
        opening = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        parts.append(opening.encode() + content + f"\r\n--{edge}--\r\n".encode())
        form = f"multipart/form-data; boundary={edge}"
        status, answer = self.call("POST", path, b"".join(parts), Content_Type=form)
        assert status == 201, (status, answer)
        return answer

    def _sign_in(self) -> None:
        self._token = ""  # one that has run out would be refused even here
        status, answer = self._send("POST", "/api/v1/auth/token/", self._who, {})
        assert status == 200, (status, answer)
        self._token = answer["access_token"]

    def _send(self, method: str, path: str, body: object, headers: dict[str, str]) -> tuple[int, Any]:
        request = urllib.request.Request(self._base + path, method=method)
        request.add_header("Host", self._host)
        request.add_header("Accept", "application/json")
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        data = None
        if isinstance(body, bytes):
            data = body
        elif body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, data, timeout=15) as response:
                return response.status, _decoded(response.read())
        except urllib.error.HTTPError as error:
            return error.code, _decoded(error.read())


_SHARED: dict[tuple[str, str, str], Rest] = {}


def shared(url: str, email: str, password: str) -> Rest:
    """One client for each person and run: signing in is slow, and watched for guessing. Two stacks may
    have one address, one after the other, but never the same passwords."""
    return _SHARED.setdefault((url, email, password), Rest(url, email, password))


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")
