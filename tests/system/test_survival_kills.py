"""kill -9 of the daemon at seeded random moments: the call goes on and nothing is told twice.

Each round puts one call into a state in each tenant, kills the daemon a moment later, and lets a new one
take over. MURIMA_KILLS is the number of rounds for each pair of states (3 unless told), MURIMA_SEED the seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Any

import pytest

from deployment.dev.sounds import MUSIC_HZ
from tests.system.kit.sip import Caller, IncomingCall, OutgoingCall
from tests.system.kit.survival import AGENT_HZ, CALLER_HZ, Field, Seat, heard, soon, talk, unbroken

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

KILLS = int(os.environ.get("MURIMA_KILLS", "2"))
SEED = int(os.environ.get("MURIMA_SEED", "20"))
SLACK = 3
TRUE_STATE_SECONDS = 5.0
LONGEST_MOMENT = 2.0
PAIRS = (("ringing", "talking"), ("held", "wrapping"))


class Scene:
    """One call of one tenant, brought into a state and looked at after the kill."""

    def __init__(self, field: Field, seat: Seat, state: str) -> None:
        self._field, self._seat, self._state = field, seat, state
        self.call: OutgoingCall
        self.ring: IncomingCall | None = None
        self.before: dict[str, Any] = {}

    async def begin(self, outside: Caller) -> None:
        """Up to the moment from which the kill is counted."""
        seat = self._seat
        self.call = await self._field.dial(outside, seat.slug)
        if self._state == "ringing":
            return
        self.ring = await seat.rings()
        await self.ring.accept()
        if self._state == "talking":
            return
        await seat.desk.phase("talking")
        self.before = dict(seat.call)
        if self._state == "held":
            await talk(seat.slug, self.call, self.ring)
            await seat.desk.ask("call.hold", call=seat.call["id"])
        else:
            await self.call.hang_up()

    def remember(self) -> None:
        """What the desk knew when the daemon died."""
        told = self._seat.desk.state
        self.before |= {"wrap_up": told["agent"]["wrap_up"]} | dict(told.get("call") or {})

    async def true_again(self, killed: float) -> None:
        """The new daemon's desk tells what is."""
        seat = self._seat
        if self._state == "wrapping":
            await seat.desk.effective("wrap_up", TRUE_STATE_SECONDS * SLACK)
            if self.before["wrap_up"] is not None:
                assert seat.desk.state["agent"]["wrap_up"] == self.before["wrap_up"]
            return
        if self._state == "ringing":
            self.ring = await seat.rings()
            await self.ring.accept()
        await seat.desk.phase("held" if self._state == "held" else "talking", TRUE_STATE_SECONDS * SLACK)
        if self.before.get("connected_at"):
            assert seat.call["connected_at"] == self.before["connected_at"], "the timer began anew"

    async def sounds(self, killed: float) -> float:
        """The right sound now and, for those who talked, all the time; the longest gap in seconds."""
        assert self.ring is not None
        slug, now, longest = self._seat.slug, time.monotonic(), 0.0
        if self._state == "held":
            await heard(self.call, MUSIC_HZ)
            await self._seat.desk.ask("call.unhold", call=self._seat.call["id"])
            await self._seat.desk.phase("talking")
        await talk(slug, self.call, self.ring)
        connected = self._state == "talking" and self.before.get("connected_at")
        if connected:
            longest = unbroken(self.call, AGENT_HZ[slug], killed, now)
            longest = max(longest, unbroken(self.ring, CALLER_HZ[slug], killed, now))
        return longest

    async def end(self) -> str:
        """Hang up and write up; the call's id."""
        seat = self._seat
        if self._state == "wrapping":
            call = str(seat.desk.state["agent"]["wrap_up"]["call"])
        else:
            call = str(seat.call["id"])
            await self.call.hang_up()
        await seat.writes_up(call)
        return call

    async def counted_once(self, call: str) -> None:
        """One call, one offer, one connection, one wrap-up, one ring of the phone, one segment."""
        tenant, oracle = self._field.id(self._seat.slug), self._field.oracle

        def row() -> Any:
            rows = {one["id"]: one for one in oracle.calls(tenant)}
            found = rows.get(call)
            return found if found and found["ended"] and found["disposition"] else None

        found = await soon(row, 15, "the call's row")
        told = [(one["type"], one.get("outcome", "")) for one in oracle.facts(tenant, call)]
        assert found["segments"] == 1 and found["outcome"] == "completed", told
        counts = oracle.counts(tenant, call)
        for kind in ("CallArrived", "CallQueued", "QueueLeft", "OfferMade", "OfferEnded", "CallConnected",
                     "AgentLegEnded", "CallEnded", "WrapUpStarted", "WrapUpEnded"):  # fmt: skip
            assert counts[kind] == 1, (kind, counts)
        assert counts["CallHeld"] == counts["CallResumed"] == (self._state == "held")
        assert counts["AgentLost"] == 0
        invites = {one.call_id for one in self._seat.phone.arrivals}
        assert len(invites) == 1, "the phone rang twice"


@pytest.mark.parametrize("states", PAIRS, ids="-".join)
@pytest.mark.parametrize("turn", range(KILLS))
async def test_a_killed_daemon_costs_nobody_anything(battered: Field, states, turn):
    field, chance = battered, random.Random(f"{SEED}/{turn}/{states}")
    slugs = ["amani", "umoja"] if chance.random() < 0.5 else ["umoja", "amani"]
    field.oracle.mark([field.id(slug) for slug in slugs])
    begun = time.monotonic()
    async with Seat(field, slugs[0]) as one, Seat(field, slugs[1]) as two, Caller(field.place) as outside:
        scenes = [Scene(field, one, states[0]), Scene(field, two, states[1])]
        await asyncio.gather(*(scene.begin(outside) for scene in scenes))
        moment = chance.uniform(0, LONGEST_MOMENT)
        await asyncio.sleep(moment)
        for scene in scenes:
            scene.remember()
        starts = field.starts()
        killed = field.kill()
        await asyncio.gather(*(scene.true_again(killed) for scene in scenes if scene))
        ready = await field.recovered(starts, TRUE_STATE_SECONDS * SLACK)
        assert ready - killed < TRUE_STATE_SECONDS * SLACK
        gaps = [await scene.sounds(killed) for scene in scenes if scene._state != "wrapping"]
        calls = await asyncio.gather(*(scene.end() for scene in scenes))
        await asyncio.gather(*(s.counted_once(c) for s, c in zip(scenes, calls, strict=True)))
    await asyncio.to_thread(field.oracle.at_rest, {field.id(slug): 1 for slug in slugs})
    everything = field.capture.since(begun)
    tenants = [field.id(slug) for slug in slugs]
    assert await asyncio.to_thread(field.oracle.unexplained, tenants, everything) == []
    field.note(test="kill", states=states, turn=turn, moment=round(moment, 3),
               ready=round(ready - killed, 2), gap=round(max(gaps, default=0.0), 3))  # fmt: skip
