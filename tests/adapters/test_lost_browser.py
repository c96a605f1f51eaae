"""A browser that is gone is noticed within seconds by its silent leg, and one that only moved is let talk.

The browser is played by a SIP phone whose sound stops or goes on: what it registers, and what the daemon
makes of it, is the same, only its sound has no DTLS.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from deployment.dev.stack import Stack
from telephony.adapters.ari import provision
from telephony.contract.facts import CallOutcome, LegEnd
from telephony.contract.roster import DeviceKind
from telephony.contract.view import CallState
from telephony.shell import meters
from tests.fakes.ari_rig import Rig
from tests.fakes.publication import Publication, policy, row
from tests.stack_plugin import private_stack
from tests.system.kit.sip import Agent, Caller, IncomingCall, OutgoingCall

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(90)]

TENANT = "t_aaaaaaaaaaaa"
NUMBER = "+254700000001"
ANNA, PHONE = str(uuid.UUID(int=1)), "daaaaaaaaaaaa"
SOON = 12.0
"""Two looks are over after two and a half seconds; Asterisk's own time-out is 30 s here."""


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    with private_stack({"asterisk"}) as made:
        yield made


@pytest.fixture
async def rig(own_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setitem(provision._KINDS, DeviceKind.BROWSER, provision._KINDS[DeviceKind.SIP])
    published = Publication(policy(TENANT, NUMBER), row(TENANT, ANNA, PHONE, kind=DeviceKind.BROWSER))
    async with Rig.on(own_stack, published, TENANT) as made:
        yield made


@pytest.fixture
async def caller(own_stack: Stack) -> AsyncIterator[Caller]:
    async with Caller(("127.0.0.1", own_stack.ports["sip"])) as made:
        yield made


@pytest.fixture
async def browser(own_stack: Stack) -> AsyncIterator[Agent]:
    async with another(own_stack) as made:
        yield made


def another(stack: Stack) -> Agent:
    """The same browser, at another place."""
    return Agent(("127.0.0.1", stack.ports["sip"]), PHONE, "pw", frequency=800.0)


async def talking(rig: Rig, caller: Caller, browser: Agent) -> tuple[OutgoingCall, IncomingCall]:
    """Both hear each other."""
    await rig.make_ready(ANNA, PHONE)
    call = await caller.dial(NUMBER)
    await rig.until(lambda: [each.state for each in rig.calls] == [CallState.TALKING])
    ring = browser.arrivals[0]
    async with asyncio.timeout(10):
        while not (call.media.ear.packets and ring.media.ear.packets):  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return call, ring


def looked(kind: str) -> float:
    return float(meters.LOOKED.labels("a", kind)._value.get())


async def until_alive(rig: Rig, count: float) -> None:
    await rig.until(lambda: looked("alive") >= count, SOON)


async def test_leg_that_never_was_has_no_packets(rig: Rig) -> None:
    assert await rig.switch.packets(f"{uuid.uuid4()}.2") is None


async def test_browser_that_went_silent_and_away_is_lost_at_once(
    rig: Rig, caller: Caller, browser: Agent
) -> None:
    call, ring = await talking(rig, caller, browser)
    ring.media.muted = True  # type: ignore[union-attr]
    await browser.register(expires=0)
    await rig.until(lambda: bool(rig.facts("AgentLost")), SOON)
    ended = rig.facts("AgentLegEnded")[-1]
    assert ended.reason is LegEnd.LOST
    assert [each.state for each in rig.calls] == [CallState.KEPT]
    await ring.ended()
    assert not call.over
    await browser.register()
    await rig.until(lambda: len(rig.facts("CallConnected")) == 2)
    await call.hang_up()
    await rig.until(lambda: bool(rig.facts("CallEnded")))
    assert rig.facts("CallEnded")[-1].outcome is CallOutcome.COMPLETED


async def test_browser_that_still_sounds_is_left_alone_when_its_contact_goes(
    rig: Rig, caller: Caller, browser: Agent
) -> None:
    call, ring = await talking(rig, caller, browser)
    before = looked("alive")
    await browser.register(expires=0)
    await until_alive(rig, before + 1)
    assert not rig.facts("AgentLost")
    assert not ring.over
    assert not call.over
    await call.hang_up()


async def test_browser_that_was_loaded_anew_gets_its_caller_back(
    rig: Rig, own_stack: Stack, caller: Caller, browser: Agent
) -> None:
    call, ring = await talking(rig, caller, browser)
    ring.media.muted = True  # type: ignore[union-attr]
    async with another(own_stack) as anew:
        await rig.until(lambda: len(rig.facts("CallConnected")) == 2, SOON)
        assert len(anew.arrivals) == 1
        assert rig.facts("AgentLost")
        await call.hang_up()


async def test_browser_that_registers_from_elsewhere_and_still_sounds_is_left_alone(
    rig: Rig, own_stack: Stack, caller: Caller, browser: Agent
) -> None:
    call, _ = await talking(rig, caller, browser)
    before = looked("alive")
    async with another(own_stack) as anew:
        await until_alive(rig, before + 1)
        assert not anew.arrivals
        assert not rig.facts("AgentLost")
        await call.hang_up()


async def test_browser_that_went_away_while_nobody_looked_is_found_at_the_next_start(
    rig: Rig, caller: Caller, browser: Agent
) -> None:
    call, ring = await talking(rig, caller, browser)
    await rig.crash()
    ring.media.muted = True  # type: ignore[union-attr]
    await browser.register(expires=0)
    await rig.start()
    await rig.until(lambda: bool(rig.facts("AgentLost")), SOON)
    await call.hang_up()
