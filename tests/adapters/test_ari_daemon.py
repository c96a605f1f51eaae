"""The daemon on a real Asterisk: callers and phones by SIP, what they hear by frequency."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from deployment.dev.sounds import MUSIC_HZ
from deployment.dev.stack import Stack
from telephony.contract import asks
from telephony.contract.facts import CallOutcome, LegEnd, OfferOutcome, VisitOutcome
from telephony.contract.ids import AgentId
from telephony.contract.view import CallState, Effective
from telephony.ports.log import Fenced
from telephony.shell import meters
from tests.fakes.ari_rig import Rig
from tests.fakes.publication import Publication, policy, row
from tests.stack_plugin import private_stack
from tests.system.kit.sip import Agent, Caller, Do

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(90)]

TENANT = "t_aaaaaaaaaaaa"
NUMBER = "+254700000001"
ANNA, BEN = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
PHONE_A, PHONE_B = "daaaaaaaaaaaa", "dbbbbbbbbbbbb"
CALLER_HZ, AGENT_HZ = 500.0, 800.0
TONES = (CALLER_HZ, AGENT_HZ, *MUSIC_HZ)


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """An Asterisk of this module's own, which its tests may restart."""
    with private_stack({"asterisk"}) as made:
        yield made


@pytest.fixture
async def rig(own_stack: Stack) -> AsyncIterator[Rig]:
    published = Publication(
        policy(TENANT, NUMBER, ring_seconds=3, wrap_up_seconds=60),
        row(TENANT, ANNA, PHONE_A),
        row(TENANT, BEN, PHONE_B),
    )
    async with Rig.on(own_stack, published, TENANT) as made:
        yield made


@pytest.fixture
async def caller(own_stack: Stack) -> AsyncIterator[Caller]:
    async with Caller(("127.0.0.1", own_stack.ports["sip"])) as made:
        yield made


def phone(stack: Stack, user: str, do: Do = Do.ACCEPT) -> Agent:
    return Agent(("127.0.0.1", stack.ports["sip"]), user, "pw", do=do, frequency=AGENT_HZ)


async def until_heard(call: object, frequency: float, seconds: float = 5.0) -> None:
    """Wait until a leg heard a frequency for half a second."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        now = loop.time()
        ear = call.media.ear  # type: ignore[attr-defined]
        if ear.strongest(TONES, now - 0.5, now) == frequency and ear.count(now - 0.5, now) >= 15:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{frequency} Hz was not heard within {seconds} s")


async def test_call_is_queued_rung_answered_and_heard(rig: Rig, own_stack: Stack, caller: Caller) -> None:
    async with phone(own_stack, PHONE_A) as agent:
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER, display="Wanjiru", frequency=CALLER_HZ)
        await rig.until(lambda: [each.state for each in rig.calls] == [CallState.TALKING])
        await call.answered()
        ring = agent.arrivals[0]
        assert ring.shown_user == "+254711000001"
        await until_heard(call, AGENT_HZ)
        await until_heard(ring, CALLER_HZ)
        live = rig.calls[0]
        assert rig.agent(ANNA).effective is Effective.ON_CALL
        await call.hang_up()
        await ring.ended()
        await rig.until(lambda: rig.agent(ANNA).effective is Effective.WRAP_UP)
        ended = rig.facts("CallEnded")[-1]
        assert (ended.call, ended.outcome) == (live.call, CallOutcome.COMPLETED)
        ack = await rig.ask(asks.FinishWrapUp(agent=AgentId(ANNA), call=live.call, disposition="SOLD"))
        assert ack.ok
        assert rig.agent(ANNA).effective is Effective.READY
    await rig.until(lambda: not rig.agent(ANNA).reachable[PHONE_A])  # type: ignore[index]
    assert await rig.bridges() == []


async def test_waiting_caller_hears_music_and_is_served_in_order(
    rig: Rig, own_stack: Stack, caller: Caller
) -> None:
    first = await caller.dial(NUMBER)
    await first.answered()
    await rig.until(lambda: len(rig.calls) == 1)
    second = await caller.dial(NUMBER)
    await second.answered()
    await rig.until(lambda: len(rig.calls) == 2)
    await until_heard(first, MUSIC_HZ[0])
    order = [each.call for each in sorted(rig.calls, key=lambda each: each.arrived)]
    async with phone(own_stack, PHONE_A):
        await rig.make_ready(ANNA, PHONE_A)
        await rig.until(lambda: bool(rig.facts("CallConnected")))
        assert rig.facts("CallConnected")[0].call == order[0]
        await until_heard(first, AGENT_HZ)
        await first.hang_up()


async def test_busy_phone_is_passed_over_and_the_caller_keeps_the_place(
    rig: Rig, own_stack: Stack, caller: Caller
) -> None:
    async with phone(own_stack, PHONE_A, Do.BUSY) as busy, phone(own_stack, PHONE_B) as free:
        await rig.make_ready(ANNA, PHONE_A)
        await rig.make_ready(BEN, PHONE_B)
        call = await caller.dial(NUMBER)
        await rig.until(lambda: [each.agent for each in rig.calls] == [BEN])
        assert len(busy.arrivals) == len(free.arrivals) == 1
        outcomes = [each.outcome for each in rig.facts("OfferEnded")]
        assert outcomes == [OfferOutcome.BUSY, OfferOutcome.ACCEPTED]
        assert [each.visit for each in rig.facts("CallQueued")] == [1]
        await call.hang_up()


async def test_unanswered_ring_moves_to_the_next_agent(rig: Rig, own_stack: Stack, caller: Caller) -> None:
    async with phone(own_stack, PHONE_A, Do.RING) as deaf, phone(own_stack, PHONE_B) as free:
        await rig.make_ready(ANNA, PHONE_A)
        await rig.make_ready(BEN, PHONE_B)
        call = await caller.dial(NUMBER)
        await rig.until(lambda: [each.agent for each in rig.calls] == [BEN])
        await deaf.arrivals[0].ended()
        assert len(free.arrivals) == 1
        assert rig.agent(ANNA).effective is Effective.NOT_RESPONDING
        assert rig.facts("OfferEnded")[0].outcome is OfferOutcome.MISSED
        await call.hang_up()


async def test_caller_who_hangs_up_stops_the_ringing(rig: Rig, own_stack: Stack, caller: Caller) -> None:
    async with phone(own_stack, PHONE_A, Do.RING) as agent:
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER)
        ring = await agent.invited()
        await call.answered()
        await call.hang_up()
        await ring.ended()
        await rig.until(lambda: rig.agent(ANNA).effective is Effective.READY)
        assert rig.facts("QueueLeft")[-1].outcome is VisitOutcome.ABANDONED
        assert rig.facts("CallEnded")[-1].outcome is CallOutcome.ABANDONED


async def test_phone_that_hangs_up_ends_the_call(rig: Rig, own_stack: Stack, caller: Caller) -> None:
    async with phone(own_stack, PHONE_A) as agent:
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER)
        await call.answered()
        await rig.until(lambda: bool(rig.facts("CallConnected")))
        await agent.arrivals[0].hang_up()
        await call.ended()
        await rig.until(lambda: rig.agent(ANNA).effective is Effective.WRAP_UP)
        assert rig.facts("AgentLegEnded")[-1].reason is LegEnd.AGENT


async def test_hold_gives_music_and_resume_gives_the_agent_back(
    rig: Rig, own_stack: Stack, caller: Caller
) -> None:
    async with phone(own_stack, PHONE_A):
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER)
        await until_heard(call, AGENT_HZ, 8.0)
        live = rig.calls[0]
        assert (await rig.ask(asks.HoldCall(agent=AgentId(ANNA), call=live.call))).ok
        await until_heard(call, MUSIC_HZ[0])
        assert (await rig.ask(asks.ResumeCall(agent=AgentId(ANNA), call=live.call))).ok
        await until_heard(call, AGENT_HZ)
        assert (await rig.ask(asks.HangUpCall(agent=AgentId(ANNA), call=live.call))).ok
        await call.ended()


async def test_crash_while_talking_disturbs_nobody_and_is_taken_up(
    rig: Rig, own_stack: Stack, caller: Caller
) -> None:
    async with phone(own_stack, PHONE_A) as agent:
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER)
        await until_heard(call, AGENT_HZ, 8.0)
        before = rig.calls[0]
        await rig.crash()
        await until_heard(call, AGENT_HZ)
        await rig.start()
        after = rig.calls[0]
        assert (after.call, after.state, after.connected) == (before.call, before.state, before.connected)
        assert len(rig.facts("CallArrived")) == len(rig.facts("CallConnected")) == len(agent.arrivals) == 1
        await until_heard(call, AGENT_HZ)
        await call.hang_up()
        await rig.until(lambda: rig.agent(ANNA).effective is Effective.WRAP_UP)
        assert rig.facts("CallEnded")[-1].outcome is CallOutcome.COMPLETED


async def test_crash_while_waiting_keeps_the_place(rig: Rig, own_stack: Stack, caller: Caller) -> None:
    call = await caller.dial(NUMBER)
    await until_heard(call, MUSIC_HZ[0], 8.0)
    before = rig.calls[0]
    await rig.crash()
    await rig.start()
    assert [each.call for each in rig.calls] == [before.call]
    async with phone(own_stack, PHONE_A):
        await rig.make_ready(ANNA, PHONE_A)
        await until_heard(call, AGENT_HZ)
        assert rig.calls[0].key == before.key
        await call.hang_up()


async def test_caller_who_left_while_nobody_looked_is_found_missing(
    rig: Rig, own_stack: Stack, caller: Caller
) -> None:
    async with phone(own_stack, PHONE_A) as agent:
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER)
        await call.answered()
        await rig.until(lambda: bool(rig.facts("CallConnected")))
        await rig.crash()
        await call.hang_up()
        await rig.start()
        await agent.arrivals[0].ended()
        await rig.until(lambda: bool(rig.facts("CallEnded")))
    assert await rig.bridges() == []


async def test_second_daemon_fences_the_first(rig: Rig, own_stack: Stack, caller: Caller) -> None:
    call = await caller.dial(NUMBER)
    await call.answered()
    await rig.until(lambda: len(rig.calls) == 1)
    first, task = rig.daemon, rig.task
    await rig.start()
    with pytest.raises(Fenced):
        await asyncio.wait_for(task, 10)
    assert not first.door.is_open
    async with phone(own_stack, PHONE_A) as agent:
        await rig.make_ready(ANNA, PHONE_A)
        await until_heard(call, AGENT_HZ)
        assert len(agent.arrivals) == 1
        await call.hang_up()


async def test_stranger_on_our_application_is_put_out(rig: Rig, own_stack: Stack, caller: Caller) -> None:
    import aiohttp

    headers = {"Authorization": aiohttp.encode_basic_auth(rig.user, rig.password)}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.ws_connect(f"{rig.ari}/ari/events?app=murima-0") as stranger:
            await rig.until(lambda: not rig.daemon.door.is_open)
            async with asyncio.timeout(10):
                while "ApplicationReplaced" not in (await stranger.receive_str()):
                    pass
        await rig.until(lambda: rig.daemon.door.is_open)
    call = await caller.dial(NUMBER)
    await rig.until(lambda: len(rig.calls) == 1)
    await call.answered()
    await call.hang_up()


async def test_stalled_loop_sends_nothing_before_the_door_opens(
    rig: Rig, own_stack: Stack, caller: Caller
) -> None:
    async with phone(own_stack, PHONE_A, Do.RING) as agent:
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER)
        await agent.invited()
        await rig.until(lambda: bool(rig.facts("OfferMade")))
        seen: list[tuple[str, bool]] = []
        carry_out = rig.switch.carry_out

        async def watched(command: object, lane: int, shown: str) -> None:
            seen.append((type(command).__name__, rig.daemon.door.is_open))
            await carry_out(command, lane, shown)  # type: ignore[arg-type]

        rig.switch.carry_out = watched  # type: ignore[method-assign]
        stalls = meters.STALLS
        before = stalls._value.get()
        time.sleep(4.5)  # noqa: ASYNC251 # longer than the ring: its deadline is over when the loop wakes
        await asyncio.sleep(0)
        await rig.until(lambda: rig.agent(ANNA).offer is None)
        assert stalls._value.get() == before + 1
        assert all(was_open for _, was_open in seen)
        await rig.until(lambda: any(name == "HangUpLeg" for name, _ in seen))
        await call.hang_up()


async def test_asterisk_restart_ends_calls_as_lost_and_serves_the_next(
    rig: Rig, own_stack: Stack, caller: Caller
) -> None:
    async with phone(own_stack, PHONE_A):
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER)
        await rig.until(lambda: bool(rig.facts("CallConnected")))
        await until_heard(call, AGENT_HZ)
        own_stack.keeper.kill("asterisk", signal.SIGKILL)
        await call.close()
        await rig.until(lambda: bool(rig.facts("CallEnded")), 20)
        assert rig.facts("CallEnded")[-1].outcome is CallOutcome.LOST
    async with phone(own_stack, PHONE_B):
        await rig.make_ready(BEN, PHONE_B)
        again = await caller.dial(NUMBER)
        await until_heard(again, AGENT_HZ, 10.0)
        await again.hang_up()


async def test_hostile_name_and_number_reach_nobody_as_they_are(
    rig: Rig, own_stack: Stack, caller: Caller
) -> None:
    async with phone(own_stack, PHONE_A) as agent:
        await rig.make_ready(ANNA, PHONE_A)
        call = await caller.dial(NUMBER, display="<img onerror=x>\u202eevil")
        await rig.until(lambda: bool(rig.facts("CallConnected")))
        assert agent.arrivals[0].shown_user == "+254711000001"
        invite = agent.arrivals[0].invite
        assert invite is not None and "img" not in invite.get("from")
        assert not any(b"img" in data or b"2547110000" in data for _, _, data in rig.store.frames)
        await call.hang_up()


async def test_unknown_number_is_given_back_to_the_dialplan(rig: Rig, caller: Caller) -> None:
    call = await caller.dial("+254700009999")
    await call.ended(20)
    assert rig.calls == []
    assert rig.facts("CallArrived") == []


async def test_lease_follows_asterisks_clock(rig: Rig) -> None:
    async def lease() -> int:
        value = (await rig.rest("GET", "asterisk/variable?variable=MURIMA_LEASE"))["value"]
        return int(value or 0)

    first = await lease()
    async with asyncio.timeout(9):
        while await lease() <= first:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # Asterisk tells nobody when a global changes
    now = int((await rig.rest("GET", "asterisk/variable?variable=EPOCH"))["value"])
    assert now < await lease() <= now + 3
