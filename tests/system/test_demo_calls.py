"""The demo places real calls, synthetic agents take them, and every call placed is a row."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.system.conftest import World, soon
from tests.system.kit.desk import Desk

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


def _play(world: World) -> str:
    """Run `demo_calls` for a few seconds against one organisation; what it printed."""
    command = [sys.executable, "manage.py", "demo_calls", "--tenant", "umoja", "--rate", "40",
               "--minutes", "0.1", "--stay", "22", "26", "--seed", "5"]  # fmt: skip
    environment = {**os.environ, **world.stack.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _calls(world: World) -> list[dict[str, Any]]:
    return [
        call
        for call in world.rest("umoja").get("/calls/?limit=200")["data"]
        if call["agent"] is None or call["agent"]["name"].startswith("Synthetic")
    ]


async def test_calls_placed_are_rows_and_are_written_up(murima: World) -> None:
    before = {call["id"] for call in _calls(murima)}
    printed = await asyncio.to_thread(_play, murima)
    found = re.search(r"(\d+) calls placed, (\d+) answered", printed)
    assert found is not None and found[1] == found[2] and int(found[1]) >= 2

    def finished() -> list[dict[str, Any]]:
        rows = [call for call in _calls(murima) if call["id"] not in before]
        done = all(call["ended_at"] and (call["disposition"] or not call["agent"]) for call in rows)
        return rows if len(rows) == int(found[1]) and done else []

    rows = await soon(finished, 45, "every call's row")
    taken = [call for call in rows if call["outcome"] == "completed"]
    assert taken and all(call["talk_seconds"] > 0 for call in taken)
    assert all(call["disposition"]["code"] != "WRAPUP_TIMEOUT" for call in taken)


@pytest.mark.browser
async def test_a_person_takes_a_call_of_the_demo(murima: World, chromium: Any) -> None:
    """What a newcomer does in the first five minutes, with one organisation's calls and nobody else."""
    desk = await Desk.open(chromium, murima.tenant("umoja"), 1)
    await desk.go_on_shift()
    command = [sys.executable, "manage.py", "demo_calls", "--tenant", "umoja", "--rate", "60",
               "--minutes", "0.05", "--stay", "30", "30", "--seed", "2", "--no-agents"]  # fmt: skip
    environment = {**os.environ, **murima.stack.environment}
    demo = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.DEVNULL)
    try:
        await desk.rings(45)
        name = await desk.page.inner_text("[data-test=ring-name]")
        await desk.accept()
        await desk.phase("talking")
        before = await desk.stats()
        await asyncio.sleep(1.0)
        after = await desk.stats()
        assert after["packetsReceived"] - before["packetsReceived"] >= 40, "speech arrives"
        await desk.press("status")
        await desk.page.click("[data-test^=reason-] >> nth=0")
        await desk.press("hangup")
        await desk.wraps_up()
        await desk.page.fill("[data-test=note]", "Explained which form to bring.")
        await desk.press("disposition-DOCUMENTS")
        await desk.press("finish")
        await desk.state("not_ready")

        rest = murima.rest("umoja")

        def written() -> Any:
            rows = rest.get("/calls/?limit=20")["data"]
            return next((r for r in rows if (r["disposition"] or {}).get("code") == "DOCUMENTS"), None)

        row = await soon(written, what="the call's row")
        assert row["contact"] and row["contact"]["name"] == name and row["talk_seconds"] > 0
        assert rest.get(f"/calls/{row['id']}/events/")["data"]
        assert row["agent"]
    finally:
        await desk.press("status")
        await desk.press("end-shift")
        demo.terminate()
        await asyncio.wait_for(demo.wait(), 30)
