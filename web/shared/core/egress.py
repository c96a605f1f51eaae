"""Requests to addresses that a customer typed, which must never reach the inside of our network.

One POST, one answer, no redirect. The URL is taken apart once, and put together again from its parts, so that
no second parser can read it otherwise. The name is resolved once; every address must be an ordinary public
one; the connection goes to the address that was checked, with the name in SNI, certificate and Host. The
socket itself is made by a function that looks at the address again, right before it connects.

Refused: anything but https, ports other than 443 (and settings.EGRESS_PORTS), users in URLs, odd spellings of
IP addresses, and every address that is private, loopback, link-local, multicast, reserved, documentation,
IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo), or a cloud's metadata service. For development and
tests settings.EGRESS_LOCAL_ORIGINS names whole origins ("http://127.0.0.1:9000") that are let through;
production has none.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings
from yarl import URL

SECONDS = 5.0
READ_BYTES = 64 * 1024
MAX_URL = 2000

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_GLOBAL_6 = ipaddress.ip_network("2000::/3")
_NOT_4 = [ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")]
_NOT_6 = [
    ipaddress.ip_network(one)
    for one in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48")
]
_DNS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="murima-dns")


class Refused(Exception):
    """We do not send there. `code` is what is told and stored; it quotes nothing of the URL."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be tried; its name is not resolved yet."""

    scheme: str
    host: str
    port: int
    path: str
    query: str
    local: bool

    @property
    def url(self) -> URL:
        default = 443 if self.scheme == "https" else 80
        return URL.build(
            scheme=self.scheme,
            host=self.host,
            port=None if self.port == default else self.port,
            path=self.path,
            query_string=self.query,
            encoded=True,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """`error` is empty when the receiver answered, whatever it said; else a code. `milliseconds` it took."""

    status: int | None
    milliseconds: int
    error: str = ""

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


# --- which targets ---------------------------------------------------------------------------------------


def parse(text: str) -> Target:
    """Take a URL apart. Refused says why it may not be used."""
    if len(text) > MAX_URL or not text.isascii() or not text.isprintable() or set(text) & set(' \\"<>^`{|}'):
        raise Refused("bad_url")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Refused("bad_url") from None
    if parts.scheme not in ("https", "http"):
        raise Refused("scheme")
    if "@" in parts.netloc:
        raise Refused("credentials")
    if parts.fragment or not parts.hostname:
        raise Refused("bad_url")
    host = _host(parts.hostname)
    port = port if port is not None else (443 if parts.scheme == "https" else 80)
    local = _origin(parts.scheme, host, port) in settings.EGRESS_LOCAL_ORIGINS
    if not local:
        if parts.scheme != "https":
            raise Refused("scheme")
        if port != 443 and port not in settings.EGRESS_PORTS:
            raise Refused("port")
        if _literal(host) is not None:
            check_address(host)
        elif "." not in host or host.endswith((".localhost", ".local", ".internal", ".arpa")):
            raise Refused("name")
    return Target(parts.scheme, host, port, parts.path or "/", parts.query, local)


def _host(text: str) -> str:
    """The host in lower case, without a final dot; an IP address in its usual spelling only."""
    host = text.lower().removesuffix(".")
    literal = _literal(host)
    if literal is not None:
        if str(literal) != host:
            raise Refused("address_spelling")
        return host
    labels = host.split(".")
    if len(host) > 253 or any(_LABEL.fullmatch(label) is None for label in labels):
        raise Refused("bad_url")
    # What ends in a number is no name: C libraries read it as an address (octal, hexadecimal, short).
    if _NUMERIC.fullmatch(labels[-1]):
        raise Refused("address_spelling")
    return host


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _origin(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def check_address(text: str) -> None:
    """Raises Refused unless `text` is an ordinary public address."""
    address = _literal(text)
    if address is None:
        raise Refused("address")
    if isinstance(address, ipaddress.IPv4Address):
        good = address.is_global and not (address.is_multicast or address.is_reserved)
        good = good and not any(address in network for network in _NOT_4)
    else:
        good = address in _GLOBAL_6 and address.scope_id is None
        good = good and address.is_global and not any(address in network for network in _NOT_6)
    if not good:
        raise Refused("address")


# --- sending ---------------------------------------------------------------------------------------------


async def post(target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send it, once. Never raises for what a receiver, or its name, can do wrong."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(SECONDS):
            status = await _post(target, body, headers)
        return Answer(status, _since(started))
    except Refused as refusal:
        return Answer(None, _since(started), f"refused_{refusal.code}")
    except TimeoutError:
        return Answer(None, _since(started), "timeout")
    except (aiohttp.ClientSSLError, ssl.SSLError):
        return Answer(None, _since(started), "tls")
    except aiohttp.ClientConnectorDNSError:
        return Answer(None, _since(started), "dns")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, Refused) else None
        return Answer(None, _since(started), f"refused_{cause.code}" if cause else "connection")


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


async def _post(target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    pinned = await resolve(target)
    connector = aiohttp.TCPConnector(
        resolver=_Pinned(pinned),
        ssl=tls_context(),
        limit=1,
        force_close=True,
        use_dns_cache=False,
        socket_factory=_any_socket if target.local else _public_socket,
    )
    async with (
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            raise_for_status=False,
        ) as session,
        session.post(target.url, data=body, headers=dict(headers), allow_redirects=False) as response,
    ):
        # Read so that the receiver gets its answer through, and not more than that.
        left = READ_BYTES
        while left > 0 and (piece := await response.content.read(left)):
            left -= len(piece)
        return response.status


async def resolve(target: Target) -> list[str]:
    """The addresses of the target's name, all of them checked; asked for once. Refused, or OSError."""
    if _literal(target.host) is not None:
        found = [target.host]
    else:
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(_DNS, look_up, target.host, target.port)
        except OSError:
            raise Refused("dns") from None
        found = list(dict.fromkeys(str(row[4][0]) for row in rows))
    if not found:
        raise Refused("dns")
    if not target.local:
        for address in found:
            check_address(address)
    return found[:4]


def look_up(host: str, port: int) -> Any:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Pinned(AbstractResolver):
    """Answers with what was checked, whatever is asked and however often."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


def _public_socket(info: Any) -> socket.socket:
    check_address(str(info[4][0]))
    return _any_socket(info)


def _any_socket(info: Any) -> socket.socket:
    return socket.socket(family=info[0], type=info[1], proto=info[2])
