"""A queue's hours in the fallback, walked by a real Asterisk: chosen moments, every zone, a caller now."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from deployment.dev.stack import Stack
from dialplan.compiler import compile_fallback, name_of
from dialplan.publish import RELOAD, install
from telephony.contract import hours
from telephony.contract.hours import ALWAYS, DAY, MINUTE, Calendar
from telephony.contract.ids import Endpoint
from tests.adapters.test_dialplan_asterisk import (
    AGENT,
    ANNOUNCEMENT,
    CALLER,
    NUMBER,
    Ari,
    ari,
    heard,
    outside,
    server,
)  # fmt: skip
from tests.system.kit.sip import Agent, Do
from tests.unit.test_dialplan_compiler import PHONE, QUEUE, TENANT, agent, policy

__all__ = ["ari", "outside", "server"]  # fixtures
pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]
SECOND = 1_000_000
OFFICE = ((480, 720), (780, 1020))
NEW_YEAR = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * SECOND
YEARS = (2026, 2031, 2037)


def calendars() -> Iterator[Calendar]:
    """Ordinary hours, and windows over the hours that clocks skip or repeat."""
    odd = (((0, 150), (165, 1440)), ((1439, 1440),), (), OFFICE, ((0, 1),), OFFICE, ((90, 165),))
    for zone in ("Africa/Nairobi", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana"):
        exceptions = (("2026-03-29", ((130, 140),)), ("2026-10-25", ()), ("2026-12-25", ()))
        yield Calendar(zone, odd, exceptions)


def moments(calendar: Calendar, count: int) -> list[int]:
    """Whole seconds around the edges of a year's openings, and on the days that clocks are changed."""
    chance, found = random.Random(calendar.zone), []
    starts = [NEW_YEAR + chance.randrange(365 * 1440) * MINUTE for _ in range(count)]
    starts += [NEW_YEAR + day * DAY + chance.randrange(1440) * MINUTE for day in (87, 276, 297, 304, 358)]
    for at in starts:
        edge = chance.choice((hours.next_opening, hours.next_closing))(calendar, at)
        found += [at, edge - SECOND, edge]
    return found


class Walks:
    """Sends callers of Asterisk's own through a queue's hours at moments of our choice."""

    def __init__(self, ari: Ari, server: Stack) -> None:
        self._ari, self._file = ari, Path(server.asterisk.generated) / "extensions-walk.conf"
        self._numbers = itertools.count()

    async def load(self, calendar: Calendar) -> None:
        """The compiled steps, but with the moment given and the two ends writing down where they are."""
        text = compile_fallback([policy(calendar=calendar)], [agent(Endpoint(PHONE))]).extensions
        name = name_of(TENANT, QUEUE)
        steps = text.partition(f"[{name}]")[2].partition("exten => open,1,")[0]
        assert steps.count("STRFTIME(,") == 1
        steps = steps.replace("STRFTIME(,", "STRFTIME(${MOMENT},").replace("murima-announce", "walk-closed")
        ends = [
            f"exten => {'open' if end == 'open' else 's'},1,Set(GLOBAL(WALK_${{NUMBER}})={end})\n"
            for end in ("open", "closed")
        ]
        waits = "\n[walk-end]\nexten => s,1,Wait(5)\n"
        self._file.write_text(f"[{name}]{steps}{ends[0]}\n[walk-closed]\n{ends[1]}{waits}")
        await self._ari.ask("PUT", "asterisk/modules/pbx_config.so")

    async def open_at(self, at: int) -> bool:
        number = next(self._numbers)
        body = {"variables": {"__MOMENT": str(at // SECOND), "__NUMBER": str(number)}}
        await self._ari.ask(
            "POST", "channels", body, endpoint=f"Local/s@{name_of(TENANT, QUEUE)}/n",
            context="walk-end", extension="s", priority="1",
        )  # fmt: skip
        async with asyncio.timeout(10):
            while True:
                said: Any = await self._ari.ask("GET", "asterisk/variable", variable=f"WALK_{number}")
                if said["value"]:
                    return bool(said["value"] == "open")
                await asyncio.sleep(0.005)


async def test_asterisk_is_open_when_the_floor_is(ari: Ari, server: Stack) -> None:
    walks, wrong, seen = Walks(ari, server), [], set()
    for calendar in calendars():
        await walks.load(calendar)
        for at in moments(calendar, 20):
            expected = hours.is_open(calendar, at)
            seen.add(expected)
            if await walks.open_at(at) != expected:
                wrong.append((calendar.zone, hours.local(calendar, at)))
    assert wrong == [] and seen == {True, False}


async def test_asterisk_reads_the_clock_of_every_zone_as_we_do(ari: Ari) -> None:
    """The IANA database is the machine's own: an Asterisk with another one would turn callers away."""
    zones = sorted(zone for zone in available_timezones() if zone != "localtime")
    moments_ = [datetime(year, month, 15, 11, 59, 59, tzinfo=UTC) for year in YEARS for month in (1, 7)]
    wrong = []
    made: Any = await ari.ask(
        "POST", "channels", endpoint="Local/s@murima-announce/n", context="murima-announce", extension="s",
        priority="1", channelId="clock",
    )  # fmt: skip
    for zone, at in itertools.product(zones, moments_):
        asked = f"STRFTIME({int(at.timestamp())},{zone},%Y%m%d%u%H%M)"
        said: Any = await ari.ask("GET", f"channels/{made['id']}/variable", variable=asked)
        if said["value"] != f"{at.astimezone(ZoneInfo(zone)):%Y%m%d%u%H%M}":
            wrong.append((zone, at.date(), said["value"]))
    assert len(zones) > 400 and wrong == []


async def publish(ari: Ari, server: Stack, calendar: Calendar) -> None:
    result = compile_fallback([policy(calendar=calendar)], [agent(Endpoint(PHONE))])
    install(result, Path(server.asterisk.generated))
    for module in RELOAD:
        await ari.ask("PUT", f"asterisk/modules/{module}")


async def test_a_caller_on_a_holiday_is_turned_away_and_on_a_working_day_is_served(
    ari: Ari, outside: Any, server: Stack
) -> None:
    """A zone fourteen hours ahead: its date is not the one in UTC for most of the day."""
    await ari.lease("2")  # a daemon that hangs: diverted after one second
    await ari.phone(PHONE, "word")
    zone = "Pacific/Kiritimati"
    soon = (datetime.fromtimestamp(time.time() + seconds, ZoneInfo(zone)) for seconds in (0, 300))
    days = sorted({moment.date().isoformat() for moment in soon})
    holiday = Calendar(zone, ALWAYS.weekly, tuple((day, ()) for day in days))
    working = dataclasses.replace(
        holiday, weekly=((),) * 7, exceptions=tuple((d, ((0, 1440),)) for d in days)
    )
    async with (
        ari.application(),
        Agent(("127.0.0.1", server.ports["sip"]), PHONE, "word", do=Do.ACCEPT) as phone,
    ):
        await publish(ari, server, holiday)
        turned_away = await outside.dial(NUMBER)
        await heard(turned_away, ANNOUNCEMENT)
        await turned_away.ended()
        await publish(ari, server, working)
        served = await outside.dial(NUMBER)
        ring = await phone.invited(20)
        await heard(served, AGENT)
        await heard(ring, CALLER)
        await served.hang_up()
        await ring.ended()
