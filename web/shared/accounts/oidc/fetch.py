"""One HTTP request to an identity provider, and its JSON.

The host must pass web.shared.core.egress; the connection goes to the very address that was checked. No
redirect is followed, 256 kB are read at most, and all of it takes five seconds at most.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from web.shared.core import egress

SECONDS = 5.0
MOST_BYTES = 256 * 1024


class Unreachable(Exception):
    """The provider could not be asked, or did not answer with a JSON object. `code` quotes nothing of it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def get_json(url: str) -> dict[str, Any]:
    return _json("GET", url, None, {"Accept": "application/json"})


def post_form(url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return _json("POST", url, body, {**kind, **headers})


def check(url: str) -> None:
    """Unreachable when this URL would not be asked at all."""
    try:
        egress.parse(url)
    except egress.Refused as refusal:
        raise Unreachable(f"refused_{refusal.code}") from None


def _json(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    try:
        target = egress.parse(url)
        connection = _connection(target, _address(target), deadline)
        try:
            path = target.url.raw_path_qs
            connection.request(method, path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            text = _read(answer, deadline)
        finally:
            connection.close()
    except egress.Refused as refusal:
        raise Unreachable(f"refused_{refusal.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable("timeout" if isinstance(error, TimeoutError) else "connection") from None
    if answer.status != 200:
        raise Unreachable(f"status_{answer.status}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreachable("not_json") from None
    if not isinstance(found, dict):
        raise Unreachable("not_json")
    return found


def _address(target: egress.Target) -> str:
    """The first address of the name; every one of them must be allowed."""
    try:
        rows = egress.look_up(target.host, target.port)
    except OSError:
        raise egress.Refused("dns") from None
    addresses = [str(row[4][0]) for row in rows]
    if not addresses:
        raise egress.Refused("dns")
    for address in addresses:
        if not target.local:
            egress.check_address(address)
    return addresses[0]


def _connection(target: egress.Target, address: str, deadline: float) -> http.client.HTTPConnection:
    left = max(0.1, deadline - time.monotonic())
    raw = socket.create_connection((address, target.port), timeout=left)
    # The name is kept for Host, SNI and the certificate; the socket is already where it was checked to go.
    connection = http.client.HTTPConnection(target.host, target.port, timeout=left)
    connection.auto_open = 0
    try:
        secure = target.scheme == "https"
        connection.sock = (
            egress.tls_context().wrap_socket(raw, server_hostname=target.host) if secure else raw
        )
        if secure:
            connection.default_port = http.client.HTTPS_PORT
    except BaseException:
        raw.close()
        raise
    return connection


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    pieces, size = [], 0
    while piece := answer.read1(16 * 1024):
        size += len(piece)
        if size > MOST_BYTES:
            raise http.client.HTTPException("too long")
        if time.monotonic() > deadline:
            raise TimeoutError
        pieces.append(piece)
    return b"".join(pieces)
