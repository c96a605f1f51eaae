"""Redis, PostgreSQL, the ARI connection and Asterisk itself go away while people talk."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from typing import Any

import pytest

from tests.system.kit.desk_socket import Refused
from tests.system.kit.sip import Caller
from tests.system.kit.survival import AGENT_HZ, CALLER_HZ, Field, Seat, soon, talk, unbroken

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

OUTAGE = float(os.environ.get("MURIMA_OUTAGE", "8"))
SLACK = 3


async def _row(field: Field, slug: str, call: str, outcome: str) -> dict[str, Any]:
    """Wait for the finished row of a call."""

    def look() -> dict[str, Any] | None:
        rows = {one["id"]: one for one in field.oracle.calls(field.id(slug))}
        row = rows.get(call)
        return row if row and row["ended"] and row["disposition"] else None

    row: dict[str, Any] = await soon(look, 30, "the call's row")
    assert row["outcome"] == outcome and row["segments"] == 1
    return row


async def _explained(field: Field, begun: float, *slugs: str) -> None:
    """Every command that Asterisk carried out has its fact."""
    tenants = [field.id(slug) for slug in slugs]
    requests = field.capture.since(begun)
    assert [one for one in requests if one.acts], "the capture saw no command: it is blind"
    assert await asyncio.to_thread(field.oracle.unexplained, tenants, requests) == []


async def test_redis_killed_while_two_talk(battered):
    field, begun = battered, time.monotonic()
    field.oracle.mark([field.id("amani"), field.id("umoja")])
    async with Seat(field, "amani") as seat, Seat(field, "umoja") as other, Caller(field.place) as outside:
        call = await field.dial(outside, "amani")
        ring = await seat.takes()
        await talk("amani", call, ring)
        first = dict(seat.call)
        await asyncio.to_thread(field.keeper.hold, "redis", signal.SIGKILL)
        killed = time.monotonic()
        await seat.desk.until(lambda told: told.get("live") in ("stale", "offline"))
        meanwhile = await field.dial(outside, "umoja")
        second = await other.rings()
        await second.accept()
        await talk("umoja", meanwhile, second)
        gap = unbroken(call, AGENT_HZ["amani"], killed, time.monotonic())
        gap = max(gap, unbroken(ring, CALLER_HZ["amani"], killed, time.monotonic()))
        await asyncio.to_thread(field.keeper.release, "redis")
        back = time.monotonic()
        await seat.desk.until(lambda told: told.get("live") == "live", 30)
        await other.desk.until(lambda told: told.get("live") == "live", 30)
        live = time.monotonic() - back
        await other.desk.phase("talking")
        await seat.desk.phase("talking")
        assert seat.call["id"] == first["id"] and seat.call["connected_at"] == first["connected_at"]
        field.oracle.alive(field.id("amani"), seat.desk.state, 2, bridged=True)
        shown = str(other.call["id"])
        await call.hang_up()
        await meanwhile.hang_up()
        await seat.writes_up(str(first["id"]))
        await other.writes_up(shown)
        await _row(field, "amani", str(first["id"]), "completed")
        await _row(field, "umoja", shown, "completed")
        field.note(test="redis", live=round(live, 2), gap=round(gap, 3))
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 1, field.id("umoja"): 1})
    await _explained(field, begun, "amani", "umoja")


async def test_postgresql_stopped_and_the_daemon_killed_in_that_time(battered):
    field, begun = battered, time.monotonic()
    field.oracle.mark([field.id("amani"), field.id("umoja")])
    async with Seat(field, "amani") as seat, Seat(field, "umoja") as other, Caller(field.place) as outside:
        call = await field.dial(outside, "amani")
        ring = await seat.takes()
        await talk("amani", call, ring)
        first = dict(seat.call)
        await asyncio.to_thread(field.keeper.hold, "postgres")
        stopped = time.monotonic()
        meanwhile = await field.dial(outside, "umoja")
        second = await other.rings()
        await second.accept()
        await talk("umoja", meanwhile, second)
        with pytest.raises(Refused) as refused:  # of nobody's call, for it may still act later
            nobodys = str(uuid.uuid4())
            await seat.desk.ask("wrapup.finish", call=nobodys, disposition="COUNSELLED", note="")
        assert refused.value.problem["code"] in ("no_answer", "unavailable"), "an ask is always answered"
        await asyncio.sleep(max(0.0, OUTAGE / 2 - (time.monotonic() - stopped)))
        starts = field.starts()
        killed = field.kill()
        await asyncio.sleep(max(0.0, OUTAGE - (time.monotonic() - stopped)))
        gap = unbroken(call, AGENT_HZ["amani"], stopped, time.monotonic())
        gap = max(gap, unbroken(ring, CALLER_HZ["amani"], stopped, time.monotonic()))
        gap = max(gap, unbroken(second, CALLER_HZ["umoja"], killed, time.monotonic()))
        await asyncio.to_thread(field.keeper.release, "postgres")
        ready = await field.recovered(starts, 30)
        await seat.desk.until(lambda told: told.get("live", "live") == "live", 30)
        await other.desk.phase("talking")
        await seat.desk.phase("talking")
        assert seat.call["id"] == first["id"] and seat.call["connected_at"] == first["connected_at"]
        shown = str(other.call["id"])
        await call.hang_up()
        await meanwhile.hang_up()
        await seat.writes_up(str(first["id"]))
        await other.writes_up(shown)
        for slug, one in (("amani", str(first["id"])), ("umoja", shown)):
            await _row(field, slug, one, "completed")
            counts = field.oracle.counts(field.id(slug), one)
            assert counts["OfferMade"] == counts["CallConnected"] == counts["WrapUpEnded"] == 1, counts
        assert [len(one.phone.arrivals) for one in (seat, other)] == [1, 1]
        field.note(test="postgres", outage=OUTAGE, ready=round(ready - killed, 2), gap=round(gap, 3))
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 1, field.id("umoja"): 1})
    await _explained(field, begun, "amani", "umoja")


async def test_ari_reset_while_one_talks_and_one_rings(battered):
    field = battered
    field.oracle.mark([field.id("amani"), field.id("umoja")])
    async with Seat(field, "amani") as seat, Seat(field, "umoja") as other, Caller(field.place) as outside:
        call = await field.dial(outside, "amani")
        ring = await seat.takes()
        await talk("amani", call, ring)
        first = dict(seat.call)
        ringing = await field.dial(outside, "umoja")
        second = await other.rings()
        resets, moment = field.capture.resets, time.monotonic()
        await asyncio.to_thread(field.capture.reset)
        assert field.capture.resets > resets, "nothing was reset"
        await second.accept()
        await other.desk.phase("talking")
        await talk("umoja", ringing, second)
        await soon(field.ready, 2 * SLACK, "a daemon that is ready")
        back = time.monotonic() - moment
        assert seat.call["connected_at"] == first["connected_at"]
        unbroken(call, AGENT_HZ["amani"], moment, time.monotonic())
        shown = str(other.call["id"])
        await call.hang_up()
        await ringing.hang_up()
        await seat.writes_up(str(first["id"]))
        await other.writes_up(shown)
        assert [len(one.phone.arrivals) for one in (seat, other)] == [1, 1]
        field.note(test="reset", ready=round(back, 2))
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 1, field.id("umoja"): 1})


async def _served_at_once(field: Field, seat: Seat, outside: Caller) -> None:
    """Three calls after a silence, each on a lane of its own choice, ring at once: no lane is dead."""
    for _ in range(3):
        call = await field.dial(outside, "amani")
        await seat.takes(2 * SLACK)
        shown = str(seat.call["id"])
        await call.hang_up()
        await seat.writes_up(shown)
        assert len(field.oracle.facts(field.id("amani"), shown)) and not seat.desk.state["agent"]["set_aside"]
        assert field.oracle.counts(field.id("amani"), shown)["OfferMade"] == 1, "the first ring was lost"


async def test_ari_gone_silent_and_a_caller_who_hangs_up_meanwhile(battered):
    field = battered
    field.oracle.mark([field.id("amani"), field.id("umoja")])
    async with Seat(field, "amani") as seat, Seat(field, "umoja") as other, Caller(field.place) as outside:
        call, stays = await field.dial(outside, "amani"), await field.dial(outside, "umoja")
        ring, second = await seat.takes(), await other.takes()
        await talk("amani", call, ring)
        await talk("umoja", stays, second)
        first, shown = dict(seat.call), str(other.call["id"])
        await asyncio.to_thread(field.capture.freeze)
        frozen = time.monotonic()
        await call.hang_up()
        await soon(lambda: not field.ready(), 10 * SLACK, "the daemon's notice that ARI is silent")
        noticed = time.monotonic() - frozen
        assert field.capture.swallowed > 0, "the proxy swallowed nothing"
        field.capture.thaw()
        await soon(field.ready, 10 * SLACK, "a daemon that is ready")
        await seat.writes_up(str(first["id"]))
        await _served_at_once(field, seat, outside)
        assert other.call["id"] == shown and other.call["state"] == "talking"
        unbroken(stays, AGENT_HZ["umoja"], frozen, time.monotonic())
        await stays.hang_up()
        await other.writes_up(shown)
        await _row(field, "amani", str(first["id"]), "lost")
        field.note(test="silent", noticed=round(noticed, 2))
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 4, field.id("umoja"): 1})


async def test_asterisk_killed_loses_its_calls_and_nothing_else(battered):
    field = battered
    field.oracle.mark([field.id("amani")])
    async with Seat(field, "amani") as seat, Caller(field.place) as outside:
        call = await field.dial(outside, "amani")
        ring = await seat.takes()
        await talk("amani", call, ring)
        lost = str(seat.call["id"])
        killed = field.kill("asterisk")
        await seat.desk.effective("wrap_up", 30)
        freed = time.monotonic() - killed
        await seat.desk.ask("wrapup.finish", call=lost, disposition="COUNSELLED", note="")
        await soon(field.ready, 30, "a daemon that is ready")
        await call.close()
        await ring.close()
        await seat.phone.register()
        await seat.desk.effective("ready", 30)
        row = await _row(field, "amani", lost, "lost")
        assert row["answered"]
        again = await field.dial(outside, "amani")
        ring = await seat.takes()
        await talk("amani", again, ring)
        shown = str(seat.call["id"])
        await again.hang_up()
        await seat.writes_up(shown)
        field.note(test="asterisk", freed=round(freed, 2))
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 2})
