"""What a hostile client or caller sends: refused or shown as text, counted, and nothing else changes.

Every test compares what the daemon has written about the organisation before and after: not one fact more.
"""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psycopg
import pytest

from deployment.dev.sip.message import CRLF
from tests.system.conftest import World, soon
from tests.system.kit.crew import SLUG, Member, crew, rest

pytestmark = [pytest.mark.system, pytest.mark.asterisk, pytest.mark.timeout(120)]

LARGEST = 64 * 1024
SAMPLE = re.compile(r'^murima_realtime_refused_total\{code="([^"]+)"\} (\S+)$', re.MULTILINE)


def _refused(world: World) -> dict[str, float]:
    """How often each reason was counted by the web process."""
    with urllib.request.urlopen(world.run["metrics"]["web"], timeout=5) as answer:
        return {code: float(count) for code, count in SAMPLE.findall(answer.read().decode())}


def _facts(world: World) -> int:
    with psycopg.connect(world.stack.postgres.url("postgres"), connect_timeout=5) as connection:
        row = connection.execute(
            "SELECT coalesce(max(seq), 0) FROM log_fact WHERE tenant = %s", (world.tenant(SLUG)["id"],)
        ).fetchone()
    return int(row[0]) if row else 0


@pytest.fixture
async def raw(murima: World) -> Any:
    """One member, not ready, and their socket's bare connection."""
    async with crew(murima, 1) as (one,):
        yield one


async def _answer(one: Member, text: str | bytes, identity: str = "") -> dict[str, Any]:
    """Send something as it is; the error that answers it."""
    known = len(one.desk.frames("error"))
    await one.desk.send(text)
    async with asyncio.timeout(15):
        while len(one.desk.frames("error")) == known:
            await one.desk.until(lambda _: len(one.desk.frames("error")) > known)
    frame = [each for each in one.desk.log if each["type"] == "error"][-1]
    assert frame.get("id") == (identity or None)
    problem: dict[str, Any] = frame["data"]
    return problem


def _ask(kind: Any, data: Any = None, **more: Any) -> str:
    return json.dumps({"v": 1, "type": kind, "id": str(uuid.uuid4()), "data": data or {}, **more})


def _bad() -> Iterator[tuple[str, str | bytes]]:
    """(code of the refusal, what is sent)."""
    yield "malformed", "{"
    yield "malformed", ""
    yield "malformed", "\x00"
    yield "malformed", b'{"v": 1}'
    yield "invalid", "null"
    yield "invalid", "[" * 5000
    yield "malformed", '{"data": ' * 5000
    yield "invalid", _ask("ping", id="not a uuid")
    yield "invalid", _ask("ping", v=2)
    yield "invalid", _ask(7)
    yield "invalid", _ask("x" * 65)
    yield "unknown_type", _ask("shift.steal")
    yield "unknown_type", _ask("monitor.listen")
    yield "unknown_type", _ask("__class__")
    yield "invalid", _ask("status.set", {"intent": "emperor"})
    yield "invalid", _ask("status.set", {"intent": "ready", "reason": "x'; DROP TABLE log_fact; --"})
    yield "invalid", _ask("status.set", {"intent": "ready", "agent": str(uuid.uuid4())})
    yield "invalid", _ask("call.dtmf", {"call": "1", "digits": "1\r\nAction: Command"})
    yield "invalid", _ask("offer.decline", {"offer": "x" * 65})


_NOT_THERE = ("unknown_call", "not_yours", "wrong_state", "invalid")


async def test_bad_frames_are_refused_counted_and_change_nothing(murima: World, raw: Member) -> None:
    facts, counted = _facts(murima), _refused(murima)
    told = json.dumps(raw.desk.state["agent"])
    expected: dict[str, int] = {}
    for code, text in _bad():
        problem = await _answer(raw, text, _identity(text))
        assert problem["code"] == code, (code, text[:80], problem)
        assert problem["status"] >= 400 and problem["type"] and problem["request_id"]
        expected[code] = expected.get(code, 0) + 1
        await asyncio.sleep(0.06)  # below the twenty a second that a socket may send
    now = _refused(murima)
    assert {code: now[code] - counted.get(code, 0) for code in expected} == expected
    for kind, data in (
        ("call.hangup", {"call": str(uuid.uuid4())}),
        ("call.hold", {"call": "0"}),
        ("offer.decline", {"offer": f"{uuid.uuid4()}.2"}),
        ("wrapup.extend", {"call": "../../etc/passwd"}),
    ):
        text = _ask(kind, data)
        assert (await _answer(raw, text, _identity(text)))["code"] in _NOT_THERE
    assert json.dumps(raw.desk.state["agent"]) == told
    assert _facts(murima) == facts
    await raw.ready()


def _identity(text: str | bytes) -> str:
    """The id that a refusal must carry: that of the frame, when the frame has a proper one."""
    try:
        found = json.loads(text)
        assert not isinstance(text, bytes) and found["v"] == 1 and isinstance(found["type"], str)
        assert len(found["type"]) <= 64
        return str(uuid.UUID(found["id"]))
    except (ValueError, TypeError, KeyError, AssertionError, RecursionError):
        return ""


async def test_a_flood_is_throttled_and_the_socket_lives(murima: World, raw: Member) -> None:
    facts = _facts(murima)
    for _ in range(200):
        await raw.desk.send(_ask("shift.steal"))
    await raw.desk.until(lambda _: len(raw.desk.frames("error")) == 200, 20)
    codes = {problem["code"] for problem in raw.desk.frames("error")}
    assert codes == {"unknown_type", "throttled"}
    assert _facts(murima) == facts
    await asyncio.sleep(1.1)  # until the bucket has some room again
    await raw.ready()


@pytest.mark.parametrize("size", [LARGEST + 1, 300 * 1024])
async def test_a_frame_that_is_too_big_ends_its_socket_and_no_other(
    murima: World, raw: Member, size: int
) -> None:
    facts, counted = _facts(murima), _refused(murima)
    ticket = await _ticket(murima, SLUG)
    async with aiohttp.ClientSession() as http, await _connect(http, murima, SLUG, ticket) as socket:
        await socket.receive_json(timeout=15)
        await socket.send_str(_ask("ping", {"x": "y" * size}))
        async with asyncio.timeout(15):
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert socket.close_code == 1009
    now = _refused(murima)
    assert now.get("too_large", 0) - counted.get("too_large", 0) == 1
    assert _facts(murima) == facts
    await raw.ready()


async def _ticket(world: World, slug: str) -> str:
    made = await asyncio.to_thread(rest(world, slug, "agent").post, "/auth/tickets/", {})
    return str(made["ticket"])


async def _connect(
    http: aiohttp.ClientSession, world: World, slug: str, ticket: str | None, **headers: str
) -> aiohttp.ClientWebSocketResponse:
    url = urlsplit(world.tenant(slug)["url"])
    shown = {"Host": url.netloc, "Origin": f"http://{url.netloc}", **headers}
    protocols = ("murima.v1", f"ticket.{ticket}") if ticket else ("murima.v1",)
    address = f"http://127.0.0.1:{url.port}/ws/v1/desk"
    return await http.ws_connect(
        address, protocols=protocols, headers={name: text for name, text in shown.items() if text}
    )


async def test_only_the_right_ticket_at_home_opens_a_socket(murima: World) -> None:
    facts, counted = _facts(murima), _refused(murima)
    async with aiohttp.ClientSession() as http:

        async def closed(slug: str, ticket: str | None) -> int | None:
            async with await _connect(http, murima, slug, ticket) as socket:
                message = await socket.receive(timeout=15)
                assert message.type is aiohttp.WSMsgType.CLOSE
                return socket.close_code

        abroad = await _ticket(murima, "amani")
        assert await closed(SLUG, abroad) == 4401, "another organisation's ticket"
        assert await closed(SLUG, "x" * 43) == 4401
        assert await closed(SLUG, None) == 4401
        used = await _ticket(murima, SLUG)
        async with await _connect(http, murima, SLUG, used) as socket:
            assert (await socket.receive_json(timeout=15))["type"] == "hello"
        assert await closed(SLUG, used) == 4401, "a ticket opens once"
    now = _refused(murima)
    assert now["4401"] - counted.get("4401", 0) == 4
    assert _facts(murima) >= facts


async def test_another_origin_is_refused_in_the_handshake(murima: World) -> None:
    counted = _refused(murima)
    home = urlsplit(murima.tenant(SLUG)["url"]).netloc
    other = urlsplit(murima.tenant("amani")["url"]).netloc
    name, _, port = home.partition(":")
    bad = [f"http://{other}", "http://evil.example", "null", f"http://{name}.evil.example:{port}",
           f"http://{name}", f"http://evil{name}:{port}", f"http://x@{home}", f"ftp://{home}"]  # fmt: skip
    async with aiohttp.ClientSession() as http:
        for origin in bad:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await _connect(http, murima, SLUG, await _ticket(murima, SLUG), Origin=origin)
            assert refused.value.status == 403, origin
    assert _refused(murima)["4403"] - counted.get("4403", 0) == len(bad)


HOSTILE = {
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    "\u202egnitset\u202c \u2066x\u2069": "gnitset x",
    "a\tb\x1b[31mc\x07": "a b[31mc",
    "'; DROP TABLE calls_call; --": "'; DROP TABLE calls_call; --",
    "{{constructor.constructor('alert(1)')()}}": "{{constructor.constructor('alert(1)')()}}",
    "=HYPERLINK(1)": "=HYPERLINK(1)",
    "\u0000\u200b\ufeff": None,
}


async def test_a_hostile_name_is_text_from_the_line_to_the_row(murima: World) -> None:
    async with crew(murima, 1) as (one,), murima.caller() as outside:
        await one.ready()
        for n, (sent, shown) in enumerate(HOSTILE.items()):
            display = sent.replace("\\", "\\\\").replace('"', '\\"')
            number = f"+2547125566{n:02d}"
            call = await outside.dial(one.number, caller=number, display=display, sound=False)
            party = (await _pop(one, number))["party"]
            assert _same(party["name"], shown), (sent, party)
            await call.hang_up()
            await one.unoffered()

            def written(number: str = number) -> Any:
                return next((row for row in one.queue.rows() if row["caller_number"] == number), None)

            row = await soon(written, 20, "the row")
            assert _same(row["caller_name"], shown), (sent, row["caller_name"])


def _same(name: str | None, wanted: str | None) -> bool:
    """Equal, spaces aside: a tab may be shown as a space or as nothing."""
    return (name or "").replace(" ", "") == (wanted or "").replace(" ", "")


BREAKS = (
    f"x{CRLF}X-Injected: yes{CRLF}y",
    "x\nX-Injected: yes\ny",
    "x\rX-Injected: yes\ry",
    f"Asha{CRLF} Neema",
    "x%0d%0aX-Injected: yes",
    "x\\\r\\\nX-Injected: yes",
)


async def test_line_breaks_in_a_name_add_no_header_and_no_command(murima: World) -> None:
    """Asterisk refuses the message or takes the name; either way the next caller is served as ever."""
    async with crew(murima, 1) as (one,), murima.caller() as outside:
        await one.ready()
        for n, display in enumerate((*BREAKS, "Asha")):
            number = f"+2547125565{n:02d}"
            await outside.dial(one.number, caller=number, display=display, sound=False)
        plain, served = number, ""
        while served != plain:
            ring = await one.phone.invited(20)
            served = ring.shown_user
            assert ring.invite is not None and not ring.invite.get("x-injected")
            assert not set((await _pop(one, served))["party"]["name"] or "") & set("\r\n")
            await ring.accept()
            await one.desk.phase("talking")
            await ring.hang_up("Q.850;cause=31")


async def _pop(one: Member, number: str) -> dict[str, Any]:
    """Wait until the desk shows who calls from this number."""
    await one.desk.until(lambda told: told.get("pop") and told["pop"]["party"]["number"] == number, 20)
    pop: dict[str, Any] = one.desk.state["pop"]
    return pop
