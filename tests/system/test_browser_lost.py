"""A browser that is reloaded, closed or killed while a call rings, is talked in, or is written up.

The caller stays, whatever the browser does: rung again at once or at the next agent's, kept for the same
agent for twenty seconds, then at the head of the line. The wrap-up goes on with its timer; no word is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import expect

from tests.system.conftest import World, soon
from tests.system.kit import desk as desks
from tests.system.kit.crew import SLUG, Member, crew, end_shift
from tests.system.kit.desk import Desk
from tests.system.kit.desk_socket import Socket

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(240)]

CALLER, OTHER = 800.0, 1300.0
FIRST, SECOND = "+254712558801", "+254712558802"


@pytest.fixture
async def behind(murima: World) -> AsyncIterator[Member]:
    """Somebody on a SIP phone, not ready, asked when the browser's agent is not there."""
    async with crew(murima, 1, first=1, penalty=1, wrap_up_seconds=120, ring_seconds=10) as (member,):
        await asyncio.to_thread(member.queue.add_agent, 0)
        yield member
        async with await Socket.open(murima.tenant(SLUG), murima.user(SLUG, "agent")) as left_over:
            await end_shift(left_over)


async def _open(murima: World, chromium: Any) -> Desk:
    return await Desk.open(chromium, murima.tenant(SLUG), 0)


async def _talk(desk: Desk, number: str, outside: Any, caller: str = FIRST) -> Any:
    call = await outside.dial(number, caller=caller, frequency=CALLER)
    await desk.rings()
    await desk.accept()
    await desk.talks(CALLER)
    return call


async def _file(desk: Desk) -> None:
    await desk.wraps_up()
    await desk.page.focus("[data-test=disposition-search]")
    await desk.page.keyboard.press("1")
    await desk.press("finish")
    await desk.page.wait_for_selector("[data-test=wrapup]", state="detached")


async def _end(desk: Desk) -> None:
    await desk.press("status")
    await desk.press("end-shift")
    await desk.state("offline")


async def _left(desk: Desk) -> float:
    """Seconds that the countdown shows."""
    text = await desk.page.inner_text("[data-test=wrapup] .tnum >> nth=0")
    minutes, _, seconds = text.strip().rpartition(":")
    return 60.0 * int(minutes or 0) + int(seconds)


async def test_a_reload_while_ringing_rings_again(murima: World, chromium: Any, behind: Member) -> None:
    desk = await _open(murima, chromium)
    await desk.go_on_shift()
    async with murima.caller() as outside:
        call = await outside.dial(behind.number, caller=FIRST, frequency=CALLER)
        await desk.rings()
        await desk.page.reload()
        await desk.rings(30)
        await desk.accept()
        await desk.talks(CALLER)
        assert not call.over
        await call.hang_up()
        await _file(desk)
    await _end(desk)


@pytest.mark.parametrize("how", ["closed", "killed"])
async def test_a_browser_gone_while_ringing_passes_the_caller_on(
    murima: World, chromium: Any, behind: Member, how: str
) -> None:
    desk = await _open(murima, chromium)
    await desk.go_on_shift()
    async with murima.caller() as outside:
        call = await outside.dial(behind.number, caller=FIRST, frequency=CALLER)
        await desk.rings()
        await behind.ready()
        await (desk.page.close() if how == "closed" else desks.kill(chromium))
        ring = await behind.phone.invited(30)
        assert ring.shown_user == FIRST and not call.over
        offer = await behind.offered()
        assert offer["attempt"] == 2
        await ring.accept()
        await behind.desk.phase("talking")
        await call.hang_up()
        await _wrote(behind)


async def _wrote(member: Member) -> None:
    await member.desk.effective("wrap_up", 20)
    call = member.desk.state["agent"]["wrap_up"]["call"]
    await member.desk.ask("wrapup.finish", call=call, disposition="ANSWERED", note="")


async def test_a_closed_browser_gets_its_caller_back_or_the_next_agent_does(
    murima: World, chromium: Any, behind: Member
) -> None:
    desk = await _open(murima, chromium)
    await desk.go_on_shift()
    async with murima.caller() as outside:
        call = await _talk(desk, behind.number, outside)
        await desk.page.close()
        await desk.again()
        await desk.talks(CALLER)
        assert not call.over, "the same agent has the caller back"
        await outside.dial(behind.number, caller=SECOND, frequency=OTHER)
        await behind.waiting(1)
        await desk.page.close()
        await behind.waiting(2, 40)
        await behind.ready()
        ring = await behind.phone.invited(20)
        assert ring.shown_user == FIRST, "who was lost is served before who came later"
        await ring.accept()
        await behind.desk.phase("talking")
        began = asyncio.get_running_loop().time()
        media = ring.media
        assert media is not None
        await soon(lambda: media.ear.count(began, began + 1) > 20, 20, "the caller's sound")
        await call.hang_up()
        await _wrote(behind)
        await (await behind.phone.invited(20)).accept()
        await behind.desk.phase("talking")


async def test_a_killed_browser_loses_neither_the_caller_nor_the_note(
    murima: World, chromium: Any, behind: Member
) -> None:
    desk = await _open(murima, chromium)
    await desk.go_on_shift()
    async with murima.caller() as outside:
        call = await _talk(desk, behind.number, outside)
        await desk.page.fill("[data-test=note]", "Said before the crash.")
        await desk.page.wait_for_selector("[data-test=draft-status][data-draft=saved]")
        await desks.kill(chromium)
        async with desks.browser(500.0) as fresh:
            desk = await _open(murima, fresh)
            await desk.page.wait_for_selector("[data-test=go-on-shift], [data-test=call-bar]")
            await desk.talks(CALLER)
            assert not call.over
            await expect(desk.page.locator("[data-test=note]")).to_have_value("Said before the crash.")
            await desk.press("hangup")
            await desk.wraps_up()
            left, at = await _left(desk), asyncio.get_running_loop().time()
            await desks.kill(fresh)
        async with desks.browser(500.0) as last:
            desk = await _open(murima, last)
            await desk.wraps_up(30)
            assert abs(left - (asyncio.get_running_loop().time() - at) - await _left(desk)) < 2.5
            await expect(desk.page.locator("[data-test=note]")).to_have_value("Said before the crash.")
            await _file(desk)
            await _end(desk)
    row = await soon(lambda: next((r for r in behind.queue.rows() if r["disposition"]), None), 20, "the row")
    assert row["note"] == "Said before the crash." and row["outcome"] == "completed"


async def test_the_last_key_before_a_tab_dies_is_there_again(
    murima: World, chromium: Any, behind: Member
) -> None:
    desk = await _open(murima, chromium)
    await desk.go_on_shift()
    async with murima.caller() as outside:
        call = await _talk(desk, behind.number, outside)
        await call.hang_up()
        await desk.wraps_up()
        await desk.page.focus("[data-test=note]")
        await desk.page.keyboard.type("the last key")
        left, at = await _left(desk), asyncio.get_running_loop().time()
        await desk.crash()
        await desk.again()
        await desk.wraps_up()
        note = desk.page.locator("[data-test=note]")
        await expect(note).to_have_value("the last key")
        assert abs(left - (asyncio.get_running_loop().time() - at) - await _left(desk)) < 2.5
        await desk.page.focus("[data-test=note]")
        await desk.page.keyboard.press("End")
        await desk.page.keyboard.type(", and more")
        desk.page.on("dialog", lambda dialog: dialog.accept())
        await desk.page.reload()
        await desk.wraps_up()
        await expect(note).to_have_value("the last key, and more")
        await _file(desk)
        await _end(desk)
    row = await soon(lambda: next((r for r in behind.queue.rows() if r["disposition"]), None), 20, "the row")
    assert row["note"] == "the last key, and more"
