"""Who is served next, over real SIP: arrival order, the place in line, and callers who do not wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.conftest import World, soon
from tests.system.kit.crew import Member, Queue, crew, rest
from tests.system.kit.sip import Do

pytestmark = [pytest.mark.system, pytest.mark.asterisk, pytest.mark.timeout(120)]


def _number(n: int) -> str:
    return f"+2547125599{n:02d}"


async def _row(queue: Queue, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The queue's first row of which `holds` is true."""
    found: dict[str, Any] = await soon(
        lambda: next((row for row in queue.rows() if holds(row)), None), 20, "the row"
    )
    return found


async def _served(member: Member, number: str) -> Any:
    """The next call rings at a member, from this caller; it is answered."""
    ring = await member.phone.invited(20)
    assert ring.shown_user == number
    await ring.accept()
    await member.desk.phase("talking")
    return ring


async def test_callers_are_served_in_the_order_in_which_they_came(murima: World) -> None:
    async with crew(murima, 2) as (one, two), murima.caller() as outside:
        calls = []
        for n in range(5):
            calls.append(await outside.dial(one.number, caller=_number(n), sound=False))
            await one.waiting(n + 1)
        await calls[1].hang_up()
        await one.waiting(4)
        await one.ready()
        first = await _served(one, _number(0))
        await two.ready()
        await _served(two, _number(2))
        await first.hang_up("Q.850;cause=31")
        await _served(one, _number(3))
        await calls[2].hang_up()
        await _served(two, _number(4))
        await calls[3].hang_up()
        await calls[4].hang_up()
        for member in (one, two):
            await member.desk.effective("ready")
        left = await _row(one.queue, lambda row: row["caller_number"] == _number(1))
        assert left["outcome"] == "abandoned" and left["agent"] is None


async def test_nobody_answers_and_the_next_agent_gets_the_caller_in_the_same_place(murima: World) -> None:
    async with crew(murima, 2, ring_seconds=5) as (one, two), murima.caller() as outside:
        await one.ready()
        first = await outside.dial(one.number, caller=_number(10), sound=False)
        ring = await one.phone.invited(20)
        shown = await one.offered()
        await outside.dial(one.number, caller=_number(11), sound=False)
        await one.waiting(2)
        await ring.ended(20)
        assert ring.ended_by_peer and not first.over
        await one.desk.effective("not_responding")
        assert one.desk.frames("offer.withdrawn")[-1] == {"id": shown["id"], "outcome": "missed"}
        assert one.desk.frames("notice")[-1]["code"] == "missed"
        await two.ready()
        assert (await two.phone.invited(20)).shown_user == _number(10)
        again = await two.offered()
        assert again["call"] == shown["call"] and again["arrived_at"] == shown["arrived_at"]
        assert (shown["attempt"], again["attempt"]) == (1, 2)
        assert len(one.phone.arrivals) == 1, "who does not respond is not rung again"
        await one.ready()
        assert (await one.phone.invited(20)).shown_user == _number(11)


async def test_a_caller_who_hangs_up_stops_the_ringing(murima: World) -> None:
    async with crew(murima, 1) as (one,), murima.caller() as outside:
        await one.ready()
        call = await outside.dial(one.number, caller=_number(20), sound=False)
        ring = await one.phone.invited(20)
        offer = await one.offered()
        await call.hang_up()
        await ring.ended(20)
        assert ring.ended_by_peer and ring.status == 487, "the phone was told to stop by CANCEL"
        await one.unoffered()
        assert one.desk.frames("offer.withdrawn")[-1] == {"id": offer["id"], "outcome": "withdrawn"}
        await one.desk.effective("ready")
        row = await _row(one.queue, lambda row: row["ended_at"])
        assert row["outcome"] == "abandoned" and row["answered_at"] is None and row["talk_seconds"] == 0


@pytest.mark.parametrize(
    ("how", "outcome"), [("desk", "declined"), (Do.DECLINE, "declined"), (Do.BUSY, "busy")]
)
async def test_who_cannot_take_a_caller_passes_them_on(murima: World, how: Any, outcome: str) -> None:
    async with crew(murima, 2) as (one, two), murima.caller() as outside:
        if isinstance(how, Do):
            one.phone.do = how
        await one.ready()
        await two.ready()
        await outside.dial(one.number, caller=_number(30), sound=False)
        ring = await one.phone.invited(20)
        if how == "desk":
            offer = await one.offered()
            await one.desk.ask("offer.decline", offer=offer["id"], reason="")
        await ring.ended(20)
        assert (await two.phone.invited(20)).shown_user == _number(30)
        await one.unoffered()
        assert one.desk.state["agent"]["effective"] == "ready", "who says no stays ready"
        again = await two.offered()
        assert again["attempt"] == 2
        # A phone that refuses at once may be done before the desk is told; the record has every offer.
        assert await _first_ending(one.queue, again["call"]) == (one.desk.state["agent"]["id"], outcome)


async def _first_ending(queue: Queue, call: str) -> tuple[str, str]:
    """(agent, outcome) of a call's first offer, as its events say."""
    reader = rest(queue.world, queue.slug, "supervisor")

    def told() -> Any:
        status, answer = reader.call("GET", f"/calls/{call}/events/")
        events = answer["data"] if status == 200 else []
        return next((each for each in events if each["type"] == "offer.ended"), None)

    event = await soon(told, 20, "the offer's end in the record")
    return event["actor"], event["details"]["outcome"]


async def test_a_phone_that_is_not_there_is_not_rung(murima: World) -> None:
    async with crew(murima, 2) as (one, two), murima.caller() as outside:
        await one.ready()
        await two.ready()
        await one.phone.register(expires=0)
        await one.desk.effective("unreachable", 20)
        await outside.dial(one.number, caller=_number(40), sound=False)
        ring = await two.phone.invited(20)
        assert ring.shown_user == _number(40)
        assert one.phone.arrivals == []
        await one.phone.register()
        await one.desk.effective("ready", 20)


async def test_a_phone_that_died_in_silence_costs_the_caller_a_ring_and_no_more(murima: World) -> None:
    async with crew(murima, 2, ring_seconds=5) as (one, two), murima.caller() as outside:
        await one.ready()
        await two.ready()
        await one.phone.line.close()
        call = await outside.dial(one.number, caller=_number(41), sound=False)
        assert (await two.phone.invited(20)).shown_user == _number(41)
        assert not call.over
        await one.desk.until(lambda told: told["agent"]["effective"] in ("not_responding", "unreachable"), 20)
        await one.phone.line.open("127.0.0.1")
        await one.phone.register()


async def test_hang_up_and_answer_at_once_leave_nothing_behind(murima: World) -> None:
    chance = random.Random(7)
    async with crew(murima, 1) as (one,), murima.caller() as outside:
        await one.ready()
        for n in range(8):
            call = await outside.dial(one.number, caller=_number(50 + n), sound=False)
            ring = await one.phone.invited(20)

            async def late(work: Any, seconds: float) -> None:
                await asyncio.sleep(seconds)
                await work

            lead = chance.uniform(-0.03, 0.03)
            await asyncio.gather(late(ring.accept(), max(0.0, lead)), late(call.hang_up(), max(0.0, -lead)))
            await ring.ended(20)
            await one.desk.until(
                lambda told: (
                    (told["agent"]["effective"], told.get("offer"), told.get("call")) == ("ready", None, None)
                ),
                20,
            )

        def written() -> list[dict[str, Any]]:
            found = one.queue.rows()
            return found if len(found) == 8 and all(row["ended_at"] for row in found) else []

        for row in await soon(written, 20, "every call's row"):
            assert row["outcome"] == ("completed" if row["answered_at"] else "abandoned"), row
