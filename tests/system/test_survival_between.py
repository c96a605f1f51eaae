"""The daemon dies between a fact and its command, or between a command and its answer.

A trap in the capture waits for one kind of command. Either it is swallowed and the daemon killed at once: the
fact stands, the deed is missing. Or it goes on and the daemon is killed a moment later: the deed is done and
nobody has heard so. Either way the next daemon must bring the world to what the log says. With MURIMA_KILLS
set every command has its turn, else a few.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable

import pytest

from deployment.dev.sounds import MUSIC_HZ
from tests.system.kit.capture import Request
from tests.system.kit.desk_socket import Refused
from tests.system.kit.sip import Caller
from tests.system.kit.survival import CALLER_HZ, Field, Seat, heard, soon, talk

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

KINDS = {
    "answer": "POST channels/[^/]+/answer",
    "music": "POST channels/[^/]+/moh",
    "create": "POST channels/create",
    "dial": "POST channels/[^/]+/dial",
    "bridge": "POST bridges/[^/]+",
    "join": "POST bridges/[^/]+/addChannel",
    "hold": "POST bridges/[^/]+/removeChannel",
    "held music": "POST channels/[^/]+/moh",
    "resume": "POST bridges/[^/]+/addChannel",
    "hang up": "DELETE channels/[^/.]+[.][0-9]+",
    "bridge's end": "DELETE bridges/[^/]+",
}
ARRIVING, ANSWERING = ("answer", "music", "create", "dial"), ("bridge", "join")
HOLDING, ENDING = ("hold", "held music"), ("hang up", "bridge's end")
SWALLOWED = [(kind, True) for kind in KINDS]
UNHEARD = [(kind, False) for kind in ("create", "dial", "join", "hold")]
FEW = [
    ("create", True),
    ("dial", True),
    ("join", True),
    ("held music", True),
    ("hang up", True),
    ("create", False),
]
CASES = SWALLOWED + UNHEARD if os.environ.get("MURIMA_KILLS") else FEW


def _matches(kind: str) -> Callable[[Request], bool]:
    pattern = re.compile(KINDS[kind])
    return lambda one: one.over == "socket" and pattern.fullmatch(f"{one.method} {one.path}") is not None


async def _asks(seat: Seat, kind: str) -> None:
    """Ask, and expect no answer: who should give it dies."""
    with contextlib.suppress(Refused, TimeoutError):
        await seat.desk.ask(kind, call=str(seat.call["id"]))


@pytest.mark.parametrize(("kind", "drop"), CASES)
async def test_what_a_fact_says_comes_true(battered: Field, kind, drop):
    field = battered
    tenant = field.id("amani")
    field.oracle.mark([tenant])
    async with Seat(field, "amani") as seat, Caller(field.place) as outside:
        starts, died = field.starts(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def kill() -> None:
            field.kill()
            loop.call_soon_threadsafe(died.set)

        def trap() -> None:
            field.capture.trap(_matches(kind), kill, drop=drop)

        if kind in ARRIVING:
            trap()
        call = await field.dial(outside, "amani")
        if kind not in ARRIVING:
            ring = await seat.rings()
            if kind in ANSWERING:
                trap()
            await ring.accept()
        if kind not in ARRIVING + ANSWERING:
            await seat.desk.phase("talking")
            await talk("amani", call, ring)
            shown = str(seat.call["id"])
            if kind == "resume":
                await seat.desk.ask("call.hold", call=shown)
                await heard(call, MUSIC_HZ)
            trap()
            await _asks(seat, "call.unhold" if kind == "resume" else
                        "call.hold" if kind in HOLDING else "call.hangup")  # fmt: skip
        async with asyncio.timeout(15):
            await died.wait()
        await field.recovered(starts)
        if kind in ARRIVING:
            ring = await seat.rings(20)
            await ring.accept()
        if kind in ENDING:
            await call.ended(20)
        elif kind in HOLDING:
            await heard(call, MUSIC_HZ)
            now = time.monotonic()
            assert ring.media is not None
            assert CALLER_HZ["amani"] not in ring.media.ear.hears(CALLER_HZ.values(), now - 0.4, now)
            await seat.desk.phase("held")
            await seat.desk.ask("call.unhold", call=shown)
        if kind not in ENDING:
            await seat.desk.phase("talking")
            await talk("amani", call, ring)
            shown = str(seat.call["id"])
            await call.hang_up()
        assert not seat.desk.state["agent"]["set_aside"]
        await seat.writes_up(shown)
        assert len({one.call_id for one in seat.phone.arrivals}) == 1, "the phone rang twice"
        await soon(lambda: field.oracle.counts(tenant, shown)["CallEnded"] == 1, 10, "the end")
    await asyncio.to_thread(field.oracle.at_rest, {tenant: 1})
