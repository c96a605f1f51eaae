"""The daemon is away, or stands still: what callers hear, and what happens when it is back."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from deployment.dev.sounds import ANNOUNCEMENT_HZ, MUSIC_HZ
from tests.system.kit.rest import Rest
from tests.system.kit.sip import Caller
from tests.system.kit.survival import AGENT_HZ, CALLER_HZ, OTHER_HZ, Field, Seat, heard, soon, talk, unbroken

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

SLACK = 3
LEASE_SECONDS = 3.0
SILENCE_SECONDS = 15.0


async def _announces(field: Field, slug: str) -> None:
    """Publish that the tenant's first queue has an announcement for a fallback, and wait for the dialplan."""
    boss = next(user for user in field.tenants[slug]["users"] if user["role"] == "admin")
    rest = Rest(field.tenants[slug]["url"], boss["email"], boss["password"])
    name = field.tenants[slug]["numbers"][0]["queue"]

    def publish() -> None:
        queue = next(one for one in rest.get("/calls/queues/")["data"] if one["name"] == name)
        if queue["fallback"] != "announcement":
            status, told = rest.call(
                "PATCH", f"/calls/queues/{queue['id']}/", {"fallback": "announcement"}, If_Match="*"
            )
            assert status == 200, told

    await asyncio.to_thread(publish)
    console = [str(field.stack.asterisk.binary), "-C", str(field.stack.asterisk.root / "etc/asterisk.conf")]

    async def loaded() -> bool:
        command = [*console, "-rx", f"dialplan show {field.number(slug)}@murima-fallback"]
        ran = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        text = (await ran.communicate())[0].decode()
        context = text.partition("Goto(")[2].partition(",")[0]
        if not context:
            return False
        ran = await asyncio.create_subprocess_exec(
            *console, "-rx", f"dialplan show {context}", stdout=asyncio.subprocess.PIPE
        )
        text = (await ran.communicate())[0].decode()
        return "murima-announce" in text and "Queue(" not in text

    async with asyncio.timeout(30):
        while not await loaded():  # noqa: ASYNC110 - another program's state has no events
            await asyncio.sleep(0.25)


async def test_callers_of_an_outage_hear_music_and_are_served_in_the_order_they_came(battered):
    field = battered
    tenant, tones = field.id("amani"), (1000.0, 1900.0, OTHER_HZ)
    field.oracle.mark([tenant])
    async with Seat(field, "amani") as seat, Caller(field.place) as outside:
        await asyncio.to_thread(field.keeper.hold, "daemon", signal.SIGKILL)
        waiting = []
        for tone in tones:
            waiting.append(await field.dial(outside, "amani", tone))
            await asyncio.sleep(0.3)
        await asyncio.gather(*(heard(call, MUSIC_HZ) for call in waiting))
        assert seat.phone.arrivals == []
        await asyncio.to_thread(field.keeper.release, "daemon")
        for call, tone in zip(waiting, tones, strict=True):
            ring = await seat.takes(20)
            await heard(ring, (tone,))
            await heard(call, (AGENT_HZ["amani"],))
            shown = str(seat.call["id"])
            await call.hang_up()
            await seat.writes_up(shown)
    await asyncio.to_thread(field.oracle.at_rest, {tenant: len(tones)})


async def test_who_waits_longer_than_the_retry_reaches_the_published_fallback(battered):
    field = battered
    await _announces(field, "umoja")
    field.oracle.mark([field.id("amani"), field.id("umoja")])
    async with Seat(field, "amani") as seat, Caller(field.place) as outside:
        await asyncio.to_thread(field.keeper.hold, "daemon", signal.SIGKILL)
        one = await field.dial(outside, "amani")
        other = await field.dial(outside, "umoja")
        await asyncio.gather(heard(one, MUSIC_HZ), heard(other, MUSIC_HZ))
        await heard(other, ANNOUNCEMENT_HZ, 60)
        ring = await seat.rings(60)
        await ring.accept()
        await talk("amani", one, ring)
        await one.hang_up()
        await ring.ended()
        await other.ended(20)
        await asyncio.to_thread(field.keeper.release, "daemon")
        await soon(field.ready, 30, "a daemon that is ready")
        await seat.desk.effective("ready")
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 0, field.id("umoja"): 0})


async def test_a_daemon_that_stands_still_leaves_nobody_in_silence(battered):
    field = battered
    await _announces(field, "umoja")
    field.oracle.mark([field.id("amani"), field.id("umoja")])
    async with Seat(field, "amani") as seat, Caller(field.place) as outside:
        talking = await field.dial(outside, "amani")
        ring = await seat.takes()
        await talk("amani", talking, ring)
        await soon(field.leased, 10, "a lease")
        stopped = field.kill("daemon", signal.SIGSTOP)
        try:
            inside = await field.dial(outside, "umoja")
            await asyncio.sleep(LEASE_SECONDS + 0.5)
            new = await field.dial(outside, "umoja")
            dialled = time.monotonic()
            await heard(new, ANNOUNCEMENT_HZ, LEASE_SECONDS * SLACK)
            assert field.oracle.ari("channels"), "the stack has no channels at all"
            diverted = time.monotonic() - dialled
            heard_at = await heard(inside, ANNOUNCEMENT_HZ, SILENCE_SECONDS)
            assert heard_at - stopped < SILENCE_SECONDS * SLACK
            gap = unbroken(talking, AGENT_HZ["amani"], stopped, heard_at)
            gap = max(gap, unbroken(ring, CALLER_HZ["amani"], stopped, heard_at))
            before, logged = len(field.capture.requests), field.log_size()
        finally:
            woken = field.kill("daemon", signal.SIGCONT)
        await soon(lambda: field.logged("door_opened", logged), 15, "the door")
        shown = str(seat.call["id"])
        await talking.hang_up()
        await seat.writes_up(shown)
        acts = [one for one in field.capture.requests[before:] if one.acts]
        assert acts, "the daemon did something afterwards, or the capture is blind"
        pings = [beat for beat in field.capture.beats if beat.at > woken and beat.label.isdigit()]
        asked = next(beat for beat in pings if beat.kind == "ping")
        answered = next(b for b in pings if b.kind == "pong" and b.label == asked.label)
        assert acts[0].at > answered.at, f"{acts[0].method} {acts[0].path} left before the door had opened"
        await inside.ended(20)
        await new.ended(20)
        field.note(test="stop", diverted=round(diverted, 2), inside=round(heard_at - stopped, 2),
                   gap=round(gap, 3), door=round(acts[0].at - woken, 3))  # fmt: skip
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 1, field.id("umoja"): 2})
