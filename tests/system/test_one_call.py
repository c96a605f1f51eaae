"""One real call: a caller outside, Asterisk, the daemon, the queue, a browser, and what is remembered.

Two tenants have a call each at the same time; neither sees anything of the other.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from deployment.dev.sip.caller import OutgoingCall
from tests.system.conftest import World, soon
from tests.system.kit import desk as desks
from tests.system.kit.desk import Desk

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(240)]

AGENT, CALLER, OTHER = 500.0, 800.0, 1300.0


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _both_hear(desk: Desk, call: OutgoingCall, mine: float, theirs: float) -> None:
    """For two seconds each side hears the other's tone and not its own, 45 packets a second at least."""
    assert call.media is not None
    before, began, sent = await desk.stats(), _now(), call.media.sent
    await asyncio.sleep(2.0)
    after, ended = await desk.stats(), _now()
    heard = call.media.ear.hears([AGENT, CALLER, OTHER], began, ended)
    assert heard == [theirs], f"the caller heard {heard}"
    peak = await desk.hears([AGENT, CALLER, OTHER])
    assert abs(peak - mine) < 15, f"the agent heard {peak} Hz"
    seconds = ended - began
    assert (after["packetsReceived"] - before["packetsReceived"]) / seconds >= 45
    assert (after["packetsSent"] - before["packetsSent"]) / seconds >= 45
    assert call.media.ear.count(began, ended) / seconds >= 45
    assert (call.media.sent - sent) / seconds >= 45


def _number() -> str:
    return f"+2547{uuid.uuid4().int % 10**8:08d}"


async def _leave(desk: Desk) -> None:
    """Off shift, so that the next test finds the agents as it expects them."""
    await desk.press("status")
    await desk.press("end-shift")
    await desk.state("offline")


async def _finish(desk: Desk, note: str, code: str) -> None:
    await desk.wraps_up()
    await desk.page.fill("[data-test=note]", note)
    await desk.page.wait_for_selector("[data-test=draft-status][data-draft=saved]")
    await desk.press(f"disposition-{code}")
    await desk.press("finish")


async def _held_and_back(desk: Desk, call: OutgoingCall) -> None:
    """Sound both ways, a while on hold with music alone, and sound again."""
    await _both_hear(desk, call, CALLER, AGENT)
    await desk.press("hold")
    await desk.phase("held")
    began = _now()
    await asyncio.sleep(1.5)
    assert call.media is not None
    assert AGENT not in call.media.ear.hears([AGENT], began + 0.3, _now()), "held callers hear music only"
    await desk.press("hold")
    await desk.phase("talking")
    await asyncio.sleep(0.5)
    await _both_hear(desk, call, CALLER, AGENT)


async def _is_remembered(murima: World, number: str, contact: Any) -> None:
    """The call's row with what was said of it, its events, and nothing of it for the other tenant."""
    rest = murima.rest("amani")

    def remembered() -> Any:
        rows = rest.get("/calls/?limit=5")["data"]
        return next((r for r in rows if r["caller_number"] == number and r["disposition"]), None)

    row = await soon(remembered, what="the call's row with its disposition")
    assert row["status"] == "completed" and row["outcome"] == "completed"
    contact_shown = row["contact"] if isinstance(row["contact"], str) else row["contact"]["id"]
    assert contact_shown == contact["id"]
    assert row["talk_seconds"] >= 4 and row["hold_seconds"] >= 1 and row["wrap_up_seconds"] > 0
    assert row["answered_at"] and row["ended_at"] and row["agent"] and row["queue"]
    events = rest.get(f"/calls/{row['id']}/events/")
    types = [e["type"] for e in events["data"]]
    told = {"call.arrived", "offer.made", "call.connected", "call.held", "call.resumed", "call.ended"}
    assert told <= set(types), types
    status, _ = murima.rest("umoja").call("GET", f"/calls/{row['id']}/")
    assert status == 404


async def test_a_call_reaches_a_browser_and_is_remembered(murima: World, chromium: Any) -> None:
    rest, number = murima.rest("amani"), _number()
    frames: list[str] = []
    async with desks.browser(OTHER) as second, murima.caller() as outside, murima.caller() as elsewhere:
        desk, other = (
            await Desk.open(chromium, murima.tenant("amani")),
            await Desk.open(second, murima.tenant("umoja")),
        )
        other.page.on("websocket", lambda ws: ws.on("framereceived", lambda data: frames.append(str(data))))
        await other.page.reload()
        await desk.go_on_shift()
        await other.go_on_shift()
        neighbour = await elsewhere.dial(murima.number("umoja"), caller=_number(), frequency=1900.0)
        await other.rings()
        await other.accept()
        await other.phase("talking")

        contact = await asyncio.to_thread(
            rest.post, "/contacts/", {"first_name": "Zawadi", "last_name": "Kilonzo", "phone": number}
        )
        await asyncio.sleep(1.0)
        call = await outside.dial(murima.number("amani"), caller=number, frequency=CALLER)
        await desk.rings()
        await desk.shows_caller("Zawadi Kilonzo")
        shown = _now()
        await asyncio.sleep(1.0)
        await desk.accept()
        await desk.phase("talking")
        assert _now() - shown >= 1.0

        await _held_and_back(desk, call)
        await call.hang_up()
        await _finish(desk, "Asked about a safe place tonight.", "COUNSELLED")
        await desk.state("ready")

        await other.phase("talking")
        assert not neighbour.over, "the neighbour's call goes on"
        everything = "".join(frames)
        assert frames and "Zawadi" not in everything and number[1:] not in everything
        assert str(contact["id"]) not in everything
        await _is_remembered(murima, number, contact)
        await other.press("hangup")
        await _finish(other, "Opening hours.", "ANSWERED")
        await other.state("ready")
        await _leave(desk)
        await _leave(other)
