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
