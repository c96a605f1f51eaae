"""A killed Chromium is known by its leg's silence, long before Asterisk gives the sound up.

What reached the floor meanwhile is in the daemon's journal: told again, it is what the log holds.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployment.dev import machine
from deployment.dev.sounds import MUSIC_HZ
from tests.system.conftest import World, soon
from tests.system.kit import desk as desks
from tests.system.kit.desk import Desk

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(240)]

SLUG = "amani"
CALLER, AGENT = 800.0, 500.0
NOTICED_SECONDS = 12.0
"""Three times what two looks take; Asterisk's own time-out is 20 s."""


async def _heard(call: Any, tones: tuple[float, ...], seconds: float) -> float:
    """Wait until the last half second was one of these; how many seconds that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds):
        while True:
            now = loop.time()
            if call.media.ear.strongest((AGENT, *MUSIC_HZ), now - 0.5, now) in tones:
                return now - began
            await asyncio.sleep(0.05)


def _replay(murima: World) -> subprocess.CompletedProcess[str]:
    files = sorted((murima.stack.home / "data/journal").glob(f"{murima.tenant(SLUG)['id']}-*.jsonl"))
    return subprocess.run(
        [sys.executable, "manage.py", "replay", "--log", *map(str, files)],
        cwd=machine.checkout(),
        env=os.environ | murima.stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_a_killed_browser_is_noticed_before_its_sound_times_out(murima: World, chromium: Any) -> None:
    desk = await Desk.open(chromium, murima.tenant(SLUG), 1)
    await desk.go_on_shift()
    async with murima.caller() as outside:
        call = await outside.dial(murima.number(SLUG), frequency=CALLER)
        await desk.rings()
        await desk.accept()
        await desk.talks(CALLER)
        await _heard(call, (AGENT,), 15)
        await desks.kill(chromium)
        took = await _heard(call, MUSIC_HZ, NOTICED_SECONDS)
        print(f"noticed after {took:.1f} s")
        assert not call.over
        await call.hang_up()
    async with desks.browser(AGENT) as fresh:
        desk = await Desk.open(fresh, murima.tenant(SLUG), 1)
        await desk.wraps_up()
        await desk.page.focus("[data-test=disposition-search]")
        await desk.page.keyboard.press("1")
        await desk.press("finish")
        await desk.page.wait_for_selector("[data-test=wrapup]", state="detached")
        await desk.press("status")
        await desk.press("end-shift")
        await desk.state("offline")

    def told() -> str | None:
        done = _replay(murima)
        return done.stdout if done.returncode == 0 else None

    output = await soon(told, 20, "a journal that is what the log holds")
    assert " facts, " in output
    assert Path(output.split(":")[0]).suffix == ".jsonl"
