"""The daemon is away for longer than callers wait: Asterisk alone serves them by the published policy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from deployment.dev.sounds import MUSIC_HZ
from deployment.dev.stack import Stack
from tests.stack_plugin import private_stack
from tests.system.kit.sip import Agent, Caller, Do

pytestmark = [pytest.mark.system, pytest.mark.asterisk, pytest.mark.timeout(300)]

RETRY_SECONDS = 6
CALLER, AGENT = 500.0, 800.0
TONES = (*MUSIC_HZ, CALLER, AGENT)


@pytest.fixture(scope="module")
def whole() -> Iterator[Stack]:
    parts = {"postgres", "redis", "asterisk", "murima"}
    with private_stack(parts, retry_seconds=RETRY_SECONDS) as stack:
        yield stack


async def heard(call: Any, tones: tuple[float, ...], seconds: float = 30.0) -> None:
    """Wait until the last half second of a call held one of `tones` above all others."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        while True:
            now = loop.time()
            if call.media.ear.strongest(TONES, now - 0.5, now) in tones:
                return
            await asyncio.sleep(0.05)


async def fallback_names(stack: Stack, endpoint: str) -> None:
    """Wait until the daemon has had the published fallback loaded."""
    file = stack.asterisk.generated / "extensions-fallback.conf"
    async with asyncio.timeout(30):
        while not (file.exists() and endpoint in file.read_text()):  # noqa: ASYNC110 - a file has no events
            await asyncio.sleep(0.1)


async def test_a_caller_hears_music_and_then_talks_to_an_agent_without_the_daemon(whole):
    tenant = whole.run()["tenants"][0]
    sip = next(user["sip"] for user in tenant["users"] if "sip" in user)
    await fallback_names(whole, sip["user"])
    place = ("127.0.0.1", whole.ports["sip"])
    async with Agent(place, sip["user"], sip["password"], do=Do.ACCEPT, frequency=AGENT) as phone:
        await asyncio.to_thread(whole.keeper.hold, "daemon")
        async with Caller(place) as outside:
            call = await outside.dial(tenant["numbers"][0]["number"], frequency=CALLER)
            await heard(call, MUSIC_HZ)
            ring = await phone.invited(60)
            await heard(call, (AGENT,))
            await heard(ring, (CALLER,))
            await call.hang_up()
            await ring.ended()
    await asyncio.to_thread(whole.keeper.release, "daemon")
