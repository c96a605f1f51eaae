"""One HTTP request to an identity provider, and its JSON.

The host must pass web.shared.core.egress; the connection goes to the very address that was checked. No
redirect is followed, 256 kB are read at most, and all of it takes five seconds at most.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from web.shared.core import egress

SECONDS = 5.0
MOST_BYTES = 256 * 1024
_NAMES = ThreadPoolExecutor(max_workers=4, thread_name_prefix="murima-oidc-dns")


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
        status, text = _asked(target, _address(target, deadline), deadline, method, body, headers)
    except egress.Refused as refusal:
        raise Unreachable(f"refused_{refusal.code}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        late = isinstance(error, TimeoutError) or time.monotonic() >= deadline
        raise Unreachable("timeout" if late else "connection") from None
    if status != 200:
        raise Unreachable(f"status_{status}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreachable("not_json") from None
    if not isinstance(found, dict):
        raise Unreachable("not_json")
    return found


def _asked(
    target: egress.Target,
    address: str,
    deadline: float,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> tuple[int, bytes]:
    raw = socket.create_connection((address, target.port), timeout=_left(deadline))
    # A socket's own time-out begins anew with each byte; this ends the connection whatever drips in. It holds
    # a second descriptor, because TLS takes the first one over.
    handle = raw.dup()
    watch = threading.Timer(_left(deadline), _cut, [handle])
    watch.daemon = True
    watch.start()
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.auto_open = 0
    try:
        # The name is kept for Host, SNI and the certificate; the socket is where it was checked to go.
        connection.sock = raw
        if target.scheme == "https":
            connection.default_port = http.client.HTTPS_PORT
            connection.sock = egress.tls_context().wrap_socket(raw, server_hostname=target.host)
        connection.request(method, target.url.raw_path_qs, body=body, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, _read(answer)
    finally:
        watch.cancel()
        connection.close()
        handle.close()
        raw.close()


def _address(target: egress.Target, deadline: float) -> str:
    """The first address of the name; every one of them must be allowed."""
    try:
        rows = _NAMES.submit(egress.look_up, target.host, target.port).result(_left(deadline))
    except OSError:
        raise egress.Refused("dns") from None
    addresses = [str(row[4][0]) for row in rows]
    if not addresses:
        raise egress.Refused("dns")
    if not target.local:
        for address in addresses:
            egress.check_address(address)
    return addresses[0]


def _cut(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


def _left(deadline: float) -> float:
    return max(0.05, deadline - time.monotonic())


def _read(answer: http.client.HTTPResponse) -> bytes:
    text = answer.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise http.client.HTTPException("too long")
    return text
