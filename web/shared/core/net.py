"""Where a request came from.

The peer's address, unless the peer is a proxy we trust (MURIMA_TRUSTED_PROXIES): then the last address in
X-Forwarded-For that is not one of them. A header from anybody else is not looked at.
"""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The client's IP address in its usual spelling; None when there is none (a socket file)."""
    hop = _address(request.META.get("REMOTE_ADDR", ""))
    trusted = {ipaddress.ip_address(one) for one in settings.TRUSTED_PROXIES}
    forwarded = [_address(part) for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    while hop is not None and hop in trusted and forwarded:
        hop = forwarded.pop() or hop
    return None if hop is None else str(hop)


def is_loopback(request: HttpRequest) -> bool:
    """The peer is this machine itself, and speaks for nobody else."""
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    return peer is not None and peer.is_loopback and "HTTP_X_FORWARDED_FOR" not in request.META


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None
