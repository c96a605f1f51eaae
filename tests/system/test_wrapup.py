"""Writing a call up: the deadline, more time, what comes after it, and what is kept of the note."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from deployment.dev.sip.caller import OutgoingCall
from tests.system.conftest import World, soon
from tests.system.kit.crew import SLUG, Member, crew, rest
from tests.system.kit.desk_socket import Refused
from tests.system.kit.sip import Caller

pytestmark = [pytest.mark.system, pytest.mark.asterisk, pytest.mark.timeout(120)]


async def _talks(one: Member, outside: Caller) -> tuple[OutgoingCall, str]:
    """A caller talks to the only member; the call and its id."""
    await one.ready()
    call = await outside.dial(one.number, caller="+254712557701", sound=False)
    await (await one.phone.invited(20)).accept()
    await one.desk.phase("talking")
    return call, str(one.desk.state["call"]["id"])


async def _writes(one: Member) -> dict[str, Any]:
    await one.desk.effective("wrap_up", 20)
    found: dict[str, Any] = one.desk.state["agent"]["wrap_up"]
    return found


def _seconds(wrap_up: dict[str, Any]) -> float:
    """Between a wrap-up's start and its deadline."""
    began, deadline = (datetime.fromisoformat(wrap_up[name]) for name in ("started_at", "deadline"))
    return (deadline - began).total_seconds()


async def _row(one: Member) -> dict[str, Any]:
    def filed() -> Any:
        return next((row for row in one.queue.rows() if row["disposition"]), None)

    found: dict[str, Any] = await soon(filed, 20, "the disposition in the row")
    return found


async def test_a_deadline_files_the_reserved_disposition_and_keeps_the_draft(murima: World) -> None:
    mine = rest(murima, SLUG, "agent")
    async with crew(murima, 1, wrap_up_seconds=3) as (one,), murima.caller() as outside:
        call, number = await _talks(one, outside)
        draft = {"note": "Half a sen", "disposition": None, "revision": 0}
        await asyncio.to_thread(mine.call, "PUT", f"/calls/{number}/draft/", draft)
        await call.hang_up()
        assert _seconds(await _writes(one)) == 3.0
        await one.desk.effective("ready", 20)
        row = await _row(one)
        assert row["disposition"]["code"] == "WRAPUP_TIMEOUT"
        assert 3.0 <= row["wrap_up_seconds"] < 10.0
        kept = await asyncio.to_thread(mine.get, f"/calls/{number}/draft/")
        assert kept["note"] == "Half a sen", "the writer finds the words again"


async def test_more_time_is_given_as_often_as_the_queue_allows(murima: World) -> None:
    policy: dict[str, Any] = {"wrap_up_seconds": 20, "wrap_up_extend_seconds": 15, "wrap_up_extensions": 2}
    async with crew(murima, 1, **policy) as (one,), murima.caller() as outside:
        call, number = await _talks(one, outside)
        with pytest.raises(Refused) as early:
            await one.desk.ask("wrapup.extend", call=number)
        assert early.value.problem["code"] in ("wrong_state", "not_yours")
        await call.hang_up()
        assert (await _writes(one))["extensions_left"] == 2
        for left, seconds in ((1, 35.0), (0, 50.0)):
            await one.desk.ask("wrapup.extend", call=number)
            now = await _writes(one)
            assert (now["extensions_left"], _seconds(now)) == (left, seconds)
        with pytest.raises(Refused) as late:
            await one.desk.ask("wrapup.extend", call=number)
        assert late.value.problem["code"] == "wrong_state"
        for wrong in ("WRAPUP_TIMEOUT", "NO_SUCH_CODE", ""):
            with pytest.raises(Refused):
                await one.desk.ask("wrapup.finish", call=number, disposition=wrong, note="")
        assert (await _writes(one))["call"] == number
        await one.desk.ask("wrapup.finish", call=number, disposition="ANSWERED", note="Told where to go.")
        await one.desk.effective("ready")
        row = await _row(one)
        assert row["disposition"]["code"] == "ANSWERED" and row["note"] == "Told where to go."


async def test_the_next_status_waits_for_the_end_and_can_be_taken_back(murima: World) -> None:
    async with crew(murima, 1, wrap_up_seconds=60) as (one,), murima.caller() as outside:
        for takes_back in (True, False):
            call, number = await _talks(one, outside)
            await one.desk.ask("status.set", intent="not_ready", reason="lunch")
            agent = one.desk.state["agent"]
            assert agent["effective"] == "on_call" and agent["intent"] == "ready"
            assert agent["next"] == {"intent": "not_ready", "reason": "lunch"}
            await call.hang_up()
            await _writes(one)
            if takes_back:
                await one.desk.ask("status.set", intent="ready", reason="")
            with pytest.raises(Refused):
                await one.desk.ask("shift.start", endpoint="d000000000000")
            await one.desk.ask("wrapup.finish", call=number, disposition="ANSWERED", note="")
            await one.desk.effective("ready" if takes_back else "not_ready")
        assert one.desk.state["agent"]["reason"] == "lunch"


async def test_nobody_rings_while_somebody_writes_and_the_caller_waits(murima: World) -> None:
    async with crew(murima, 1, wrap_up_seconds=60) as (one,), murima.caller() as outside:
        call, number = await _talks(one, outside)
        await call.hang_up()
        await _writes(one)
        await outside.dial(one.number, caller="+254712557702", sound=False)
        await one.waiting(1)
        assert one.desk.state.get("offer") is None
        await one.desk.ask("wrapup.finish", call=number, disposition="ANSWERED", note="")
        assert (await one.phone.invited(20)).shown_user == "+254712557702"


async def test_who_ends_the_shift_while_writing_files_the_call(murima: World) -> None:
    async with crew(murima, 1, wrap_up_seconds=60) as (one,), murima.caller() as outside:
        call, _ = await _talks(one, outside)
        await call.hang_up()
        await _writes(one)
        await one.desk.ask("shift.end")
        await one.desk.effective("offline")
        assert (await _row(one))["disposition"]["code"] == "WRAPUP_TIMEOUT"
