"""The started product as an intruder on the machine or the network finds it: sockets, logs, arguments."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
import redis

from deployment.dev.priority import STANDS_BACK
from tests.system.conftest import World
from tests.system.kit.children import children
from tests.system.kit.crew import SLUG
from tests.system.test_hostile import _connect, _ticket

pytestmark = [pytest.mark.system, pytest.mark.asterisk, pytest.mark.timeout(120)]

LISTEN, UDP_OPEN = "0A", "07"
SERVED = {
    "postgres": {"postgres"},
    "redis": {"redis"},
    "asterisk": {"ari", "ami", "sip"},
    "daemon": {"metrics_daemon"},
    "web": {"web", "metrics_web"},
    "intake": {"metrics_intake"},
    "worker": {"metrics_worker"},
    "beat": {"metrics_beat"},
}
"""Which of the stack's named ports each of its processes may listen on."""


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    for child in children(pid):
        yield from family(child)


def inodes(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            found.add(match.group(1))
    return found


def open_sockets() -> dict[str, tuple[str, Any, int]]:
    """inode → (protocol, address, port) of everything that waits for somebody on this machine."""
    found = {}
    for protocol, state in (("tcp", LISTEN), ("tcp6", LISTEN), ("udp", UDP_OPEN), ("udp6", UDP_OPEN)):
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state:
                host, _, port = fields[1].partition(":")
                words = [bytes.fromhex(host[place : place + 8])[::-1] for place in range(0, len(host), 8)]
                address = ipaddress.ip_address(b"".join(words))
                found[fields[9]] = (protocol, address, int(port, 16))
    return found


def test_only_the_expected_sockets_wait_and_only_on_loopback(murima: World) -> None:
    stack, everything, seen = murima.stack, open_sockets(), set()
    low, high = stack._rtp
    unnamed = []
    for name, told in stack.keeper.status().items():
        allowed = {stack.ports[port] for port in SERVED[name]}
        assert isinstance(told["pid"], int)
        for pid in family(told["pid"]):
            for inode in inodes(pid) & everything.keys():
                protocol, address, port = everything[inode]
                # Browsers offer no loopback address for their sound: a call's media waits on every address.
                media = name == "asterisk" and protocol.startswith("udp") and low <= port <= high
                # What asks names waits for the answers, on a port that the kernel chose and on any address.
                asks = protocol.startswith("udp") and not media and port not in stack.ports.values()
                if asks:
                    unnamed.append((name, protocol))
                assert address.is_loopback or media or asks, (name, protocol, str(address), port)
                assert port in allowed or media or asks, (name, protocol, port)
                seen.add((name, port))
    assert len(unnamed) == len(set(unnamed)), "at most one asker for each process and family"
    looked_at = {(name, stack.ports[port]) for name, ports in SERVED.items() for port in ports}
    assert {one for one in looked_at if one[0] in ("asterisk", "web", "postgres", "redis", "daemon")} <= seen


async def used_secrets(murima: World) -> dict[str, str]:
    """Go the ways on which secrets travel; name → secret that nothing may have written down."""
    found = {f"key {name}": text for name, text in murima.stack.keys.items() if name != "entityid"}
    user = murima.user(SLUG, "agent")
    rest = murima.rest(SLUG, "agent")
    url = urllib.parse.urlsplit(murima.tenant(SLUG)["url"])
    base, headers = f"http://127.0.0.1:{url.port}", {"Host": url.netloc}
    who = {"email": user["email"], "password": user["password"]}
    found["password"] = user["password"]
    if "sip" in user:
        found["phone"] = user["sip"]["password"]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def ask(method: str, path: str, body: Any = None, **more: str) -> tuple[int, Any]:
            async with http.request(method, base + path, json=body, headers=headers | more) as answer:
                return answer.status, json.loads(await answer.text() or "null")

        _, pair = await ask("POST", "/api/v1/auth/token/", who)
        access, refresh = pair["access_token"], pair["refresh_token"]
        found |= {"access token": access, "refresh token": refresh}
        status, pair = await ask(
            "POST", "/api/v1/auth/token/", {"grant_type": "refresh_token", "refresh_token": refresh}
        )
        assert status == 200
        found["next refresh token"] = pair["refresh_token"]
        wrong = await ask("POST", "/api/v1/auth/token/", {**who, "password": "a-canary-that-was-mistyped"})
        assert wrong[0] == 401
        found["mistyped password"] = "a-canary-that-was-mistyped"
        for place in (f"?token={access}", f"?access_token={access}"):
            assert (await ask("GET", f"/api/v1/contacts/{place}"))[0] == 401, "never by a query string"
        assert (await ask("GET", f"/api/v1/documents/files/{access}/"))[0] == 404
        async with http.get(f"{base}/?ticket={access}", headers=headers) as page:
            assert page.status < 500
        ticket = await _ticket(murima, SLUG)
        found["ticket"] = ticket
        async with await _connect(http, murima, SLUG, ticket) as socket:
            await socket.receive_json(timeout=15)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"{base}/ws/v1/desk?ticket={ticket}", headers=headers)
    made = await asyncio.to_thread(murima.rest(SLUG, "admin").call, "POST", "/api-keys/",
                                   {"name": "canary", "scopes": ["contacts.view"]})  # fmt: skip
    assert made[0] == 201, made
    found["API key"] = made[1]["key"]
    keyed = await asyncio.to_thread(rest.call, "GET", "/contacts/", None)
    assert keyed[0] == 200
    return found


def redis_text(address: str) -> str:
    """Everything that Redis holds, as text."""
    parts: list[str] = []
    with redis.Redis.from_url(address, socket_timeout=5) as client:
        for key in client.scan_iter(count=500):
            kind = client.type(key)
            if kind == b"none":  # it ran out between the two questions
                continue
            read: Any = {
                b"string": lambda key=key: client.get(key),
                b"hash": lambda key=key: client.hgetall(key),
                b"set": lambda key=key: client.smembers(key),
                b"zset": lambda key=key: client.zrange(key, 0, -1),
                b"list": lambda key=key: client.lrange(key, 0, -1),
                b"stream": lambda key=key: client.xrange(key, count=5000),
            }[kind]
            parts.append(f"{key!r} {read()!r}")
    return "\n".join(parts)


def test_calls_come_first_where_processors_are_few(murima: World) -> None:
    """Where the kernel weighs sessions before processes, a nice value alone changes nothing."""
    status = murima.stack.keeper.status()
    assert {"asterisk", "daemon"}.isdisjoint(STANDS_BACK) and STANDS_BACK.keys() <= status.keys()
    for name, one in status.items():
        wanted = STANDS_BACK.get(name, 0)
        assert isinstance(one["pid"], int)
        assert os.getpriority(os.PRIO_PROCESS, one["pid"]) == wanted, name
        assert _weighed(one["pid"], wanted), name


def test_a_connection_of_postgres_stands_back_with_it(murima: World) -> None:
    """It opens a session of its own, which begins with a weight of its own."""
    with psycopg.connect(murima.stack.postgres.url("postgres")) as connection:
        pid = connection.info.backend_pid
        until = time.monotonic() + 30
        while not _weighed(pid, STANDS_BACK["postgres"]):
            assert time.monotonic() < until, "it weighs as much as all of Asterisk"
            time.sleep(0.1)


def _weighed(pid: int, nice: int) -> bool:
    group = Path(f"/proc/{pid}/autogroup")
    return not group.exists() or group.read_text().endswith(f" nice {nice}\n")


async def test_no_secret_is_in_a_log_in_redis_or_in_a_processs_arguments(murima: World) -> None:
    secrets = await used_secrets(murima)
    await asyncio.sleep(2.5)  # what is written later, in batches
    stack = murima.stack

    def outputs() -> dict[str, str]:
        files = [path for path in (stack.home / "log").rglob("*") if path.is_file()]
        files += [path for path in Path(stack.asterisk.root).rglob("*.log") if path.is_file()]
        told = {str(path): path.read_text(errors="replace") for path in files}
        assert any(told.values()) and len(files) >= len(SERVED)
        for name, one in stack.keeper.status().items():
            assert isinstance(one["pid"], int)
            for pid in family(one["pid"]):
                told[f"arguments of {name}"] = (
                    Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                )
        for name, port in stack.ports.items():
            if name.startswith("metrics_"):
                told[name] = _metrics(port)
        return told | {"redis": redis_text(stack.redis.url())}

    told = await asyncio.to_thread(outputs)
    leaks = [
        (secret, place)
        for place, text in told.items()
        for secret, word in secrets.items()
        if len(word) >= 8 and word in text
    ]
    assert leaks == []


def _metrics(port: int) -> str:
    """What stands back in a started stack may still be starting."""
    import urllib.error
    import urllib.request

    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            assert time.monotonic() < until, "no metrics"
            time.sleep(0.2)
