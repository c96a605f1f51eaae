"""The static dialplan and the compiled fallback on a real Asterisk, heard by a SIP caller."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deployment.dev.sounds import ANNOUNCEMENT_HZ, MUSIC_HZ
from deployment.dev.stack import Stack
from dialplan.compiler import compile_fallback
from dialplan.publish import RELOAD, install
from telephony.adapters.ami.link import CLASSES, FALLBACK_EVENTS, REGISTRATIONS
from telephony.adapters.ari.commands import CONNECTED_SECONDS, HELD_SECONDS
from telephony.contract.ids import Endpoint
from tests.stack_plugin import private_stack
from tests.system.kit.sip import Agent, Caller, Do
from tests.unit.test_dialplan_compiler import PHONE, agent, policy

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(60)]

NUMBER = "+254700000001"
RETRY_SECONDS = 4
TONES = (*MUSIC_HZ, *ANNOUNCEMENT_HZ, 500.0, 800.0)
APP = "murima-0"
JOINS = 200


class Ari:
    """Just enough of ARI for these tests."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self._base, self._http = stack.asterisk.ari, http
        self._headers = {"Authorization": aiohttp.encode_basic_auth("murima", stack.keys["ari"])}

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> object:
        address = f"{self._base}/ari/{path}"
        async with self._http.request(
            method, address, params=query, json=body, headers=self._headers
        ) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if text else None

    async def lease(self, value: str) -> None:
        """Set the daemon's lease to an absolute second, or to so many seconds from now ('+5')."""
        await self.ask("POST", "asterisk/variable", variable="MURIMA_LEASE", value=value)

    @contextlib.asynccontextmanager
    async def application(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Be the daemon's event socket, without doing anything with what it says."""
        address = f"{self._base}/ari/events"
        async with self._http.ws_connect(address, params={"app": APP}, headers=self._headers) as socket:
            yield socket

    async def phone(self, endpoint: str, secret: str) -> None:
        """Push a phone as the daemon does."""
        fields = {
            "auth": {"auth_type": "userpass", "username": endpoint, "password": secret},
            "aor": {"max_contacts": "1", "remove_existing": "yes"},
            "endpoint": {"context": "murima-phones", "aors": endpoint, "auth": endpoint, "disallow": "all",
                         "allow": "ulaw", "direct_media": "no", "transport": "transport-udp"},
        }  # fmt: skip
        for kind, values in fields.items():
            body = {"fields": [{"attribute": k, "value": v} for k, v in values.items()]}
            await self.ask("PUT", f"asterisk/config/dynamic/res_pjsip/{kind}/{endpoint}", body)


@pytest.fixture(scope="module")
def server() -> Iterator[Stack]:
    with private_stack({"asterisk"}, retry_seconds=RETRY_SECONDS) as stack:
        yield stack


@pytest.fixture
async def ari(server: Stack) -> AsyncIterator[Ari]:
    async with aiohttp.ClientSession() as http:
        yield Ari(server, http)


@pytest.fixture
async def outside(server: Stack) -> AsyncIterator[Caller]:
    async with Caller(("127.0.0.1", server.ports["sip"])) as caller:
        yield caller


MUSIC, ANNOUNCEMENT, CALLER, AGENT = MUSIC_HZ, ANNOUNCEMENT_HZ, (500.0,), (800.0,)


async def heard(call, tones: tuple[float, ...], seconds: float = 15.0, span: float = 0.5) -> float:
    """Wait until the last `span` seconds of a call held one of `tones` above all others; the moment."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        while True:
            now = loop.time()
            if call.media.ear.strongest(TONES, now - span, now) in tones:
                return now
            await asyncio.sleep(0.05)


async def test_asterisk_boots_without_a_warning(server):
    text = server.keeper.log("asterisk").read_text()
    assert "WARNING" not in text and "ERROR" not in text, text


async def test_without_a_daemon_the_caller_hears_music_and_after_the_wait_the_announcement(ari, outside):
    await ari.lease("")
    call = await outside.dial(NUMBER)
    await call.answered()
    music = await heard(call, MUSIC)
    announcement = await heard(call, ANNOUNCEMENT)
    assert announcement - music >= RETRY_SECONDS - 3
    await call.ended()
    assert call.ended_by_peer


async def test_a_daemon_gone_for_longer_than_its_lease_still_means_music_first(ari, outside):
    await ari.lease("1")
    call = await outside.dial(NUMBER)
    await heard(call, MUSIC)
    await heard(call, ANNOUNCEMENT)


async def test_a_caller_of_a_hanging_daemon_is_diverted_and_the_next_one_at_once(ari, outside):
    await ari.lease("2")
    async with ari.application():
        first = await outside.dial(NUMBER)
        await heard(first, ANNOUNCEMENT)
        second = await outside.dial(NUMBER)
        await second.answered(2)
        await heard(second, ANNOUNCEMENT, 3)


async def test_a_caller_enters_with_filtered_number_and_time_of_arrival(ari, outside):
    await ari.lease("9999999999")
    async with ari.application() as socket:
        await outside.dial(NUMBER, display="<img onerror=x>")
        event = await next_event(socket, "StasisStart")
        assert event["args"][:3] == ["inbound", "trunk", NUMBER]
        asterisk_now = event["timestamp"]
        seconds, _, fraction = event["args"][3].partition(".")
        assert len(fraction) == 6 and abs(parse_time(asterisk_now) - float(event["args"][3])) < 2
        assert int(seconds) > 0


async def test_a_caller_nobody_looks_after_comes_back_by_itself_with_the_old_arrival(ari, outside):
    await ari.lease("9999999999")
    async with ari.application() as socket:
        await outside.dial(NUMBER)
        first = await next_event(socket, "StasisStart")
        channel = first["channel"]["id"]
        # Shortened from outside, as the daemon would extend it.
        await ari.ask("POST", f"channels/{channel}/variable", variable="TIMEOUT(absolute)", value="1")
        again = await next_event(socket, "StasisStart")
        assert again["channel"]["id"] == channel
        assert again["args"] == first["args"]


async def test_a_caller_enters_with_a_time_out_of_their_own(ari, outside):
    await ari.lease("9999999999")
    async with ari.application() as socket:
        await outside.dial(NUMBER)
        path = f"channels/{(await next_event(socket, 'StasisStart'))['channel']['id']}/variable"
        left = await ari.ask("GET", path, variable="TIMEOUT(absolute)")
        assert 0 < float(left["value"]) <= 10


async def test_a_connected_callers_time_out_is_far_away_and_not_cancelled(ari, outside):
    """On a busy machine, 0 instead lost the caller within a few thousand joins."""
    await ari.lease("9999999999")
    async with ari.application() as socket:
        await outside.dial(NUMBER)
        path = f"channels/{(await next_event(socket, 'StasisStart'))['channel']['id']}"
        await ari.ask("POST", f"{path}/answer")
        await ari.ask("POST", "bridges/room", type="mixing")
        caller = path.partition("/")[2]
        for _ in range(JOINS):
            await ari.ask("POST", f"{path}/variable", variable="TIMEOUT(absolute)", value=str(HELD_SECONDS))
            await ari.ask("POST", "bridges/room/addChannel", channel=caller)
            await ari.ask(
                "POST", f"{path}/variable", variable="TIMEOUT(absolute)", value=str(CONNECTED_SECONDS)
            )
            left: Any = await ari.ask("GET", f"{path}/variable", variable="TIMEOUT(absolute)")
            assert float(left["value"]) > CONNECTED_SECONDS - 60
            await ari.ask("POST", "bridges/room/removeChannel", channel=caller)


async def test_a_caller_whom_the_daemon_gives_back_reaches_the_fallback(ari, outside):
    await ari.lease("9999999999")
    async with ari.application() as socket:
        call = await outside.dial(NUMBER)
        event = await next_event(socket, "StasisStart")
        path = f"channels/{event['channel']['id']}/continue"
        await ari.ask("POST", path, context="murima-return", extension="s", priority="1")
        await heard(call, ANNOUNCEMENT)


async def test_the_compiled_queue_rings_an_agent_and_keeps_no_member(ari, outside, server):
    await ari.lease("")
    await ari.phone(PHONE, "word")
    install(compile_fallback([policy()], [agent(Endpoint(PHONE))]), Path(server.asterisk.generated))
    for module in RELOAD:
        await ari.ask("PUT", f"asterisk/modules/{module}")
    async with (
        told_by_ami(server) as kinds,
        Agent(("127.0.0.1", server.ports["sip"]), PHONE, "word", do=Do.ACCEPT) as phone,
    ):
        call = await outside.dial(NUMBER)
        ring = await phone.invited(20)
        await heard(call, AGENT)
        await heard(ring, CALLER)
        await call.hang_up()
        await ring.ended()
    looked_at = {"FullyBooted", *FALLBACK_EVENTS, *REGISTRATIONS}  # the first greets everybody
    assert looked_at >= set(kinds) >= {"QueueCallerJoin", "QueueCallerLeave"}
    assert "ContactStatus" in kinds
    async with asyncio.timeout(5):
        while PHONE in console(server, "queue show"):  # noqa: ASYNC110 - the console has no events
            await asyncio.sleep(0.05)


async def test_unknown_numbers_and_sources_get_nowhere(ari, outside, server):
    wrong = await outside.dial("abc;x=1")
    assert await wrong.final() in {404, 484}
    async with Caller(("127.0.0.1", server.ports["sip"]), source="127.0.0.1") as stranger:
        call = await stranger.dial(NUMBER)
        assert await call.final() in {401, 403, 404}


def console(server: Stack, command: str) -> str:
    """What Asterisk's console answers."""
    arguments: list[str | Path] = [
        server.asterisk.binary,
        "-C",
        server.asterisk.root / "etc/asterisk.conf",
        "-rx",
        command,
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=10, check=True)
    return str(done.stdout)


@contextlib.asynccontextmanager
async def told_by_ami(server: Stack) -> AsyncIterator[list[str]]:
    """Every kind of event that the daemon's AMI user is told meanwhile."""
    kinds: list[str] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", server.ports["ami"])
    login = f"Action: Login\r\nUsername: murima\r\nSecret: {server.keys['ami']}\r\nEvents: {CLASSES}\r\n\r\n"
    writer.write(login.encode())
    async with asyncio.timeout(5):
        while b"Authentication accepted" not in await reader.readline():
            pass

    async def listen() -> None:
        async for line in reader:
            if line.startswith(b"Event: "):
                kinds.append(line[7:].decode().strip())

    task = asyncio.create_task(listen())
    try:
        yield kinds
    finally:
        task.cancel()
        writer.close()


async def next_event(socket, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            event: dict[str, Any] = await socket.receive_json()
            if event["type"] == kind:
                return event


def parse_time(text: str) -> float:
    from datetime import datetime

    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
