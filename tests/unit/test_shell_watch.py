# mypy: disable-error-code="arg-type"
# Parts are imagined as far as these stories need them.
"""A node that is replaced, and a loop that stood still: what is asked, in which order, before anyone acts."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from telephony.ports import switch as s
from telephony.ports.log import Fenced
from telephony.shell import lease
from telephony.shell.directory import Directory
from telephony.shell.door import Door
from telephony.shell.lease import keep_lease
from telephony.shell.reconcile import Found
from telephony.shell.watch import Watch


class Parts:
    """Switch, runtime and log in one: `said` is what was done to them, in order."""

    node = "a"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.sent: list[s.Note] = []
        self.ours = True
        self.door = Door()
        self.tenancies: dict[Any, Any] = {}
        self.watch = Watch(
            self,
            runtime=self,
            executor=self,
            door=self.door,
            clock=None,
            directory=Directory(),
            parties=None,
            interpreter=None,
            journal=self,
        )
        self.door.lift("away:a")

    async def notes(self) -> AsyncIterator[s.Note]:
        for note in self.sent:
            yield note

    async def ping(self) -> None:
        self.said.append("ping")

    def reconnect(self) -> None:
        self.said.append("reconnect")

    async def renew_lease(self, seconds: int) -> None:
        self.said.append("lease")

    async def drained(self) -> None:
        self.said.append("drained")

    def pause_offers(self) -> None:
        self.said.append("no offers")

    def busy(self, call: str) -> bool:
        return False

    async def still_ours(self, within: float) -> bool:
        self.said.append("epoch asked, door " + ("open" if self.door.is_open else "closed"))
        return self.ours


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    monkeypatch.setattr("telephony.shell.watch.random.uniform", lambda low, high: 0.0)
    return Parts()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_who_is_replaced_stands_still_until_the_epoch_was_asked(parts: Parts) -> None:
    parts.sent = [s.Replaced(node="a")]
    await parts.watch.run()
    assert parts.said == ["no offers", "epoch asked, door closed", "reconnect"]


async def test_who_is_replaced_by_a_newer_epoch_ends(parts: Parts) -> None:
    parts.sent, parts.ours = [s.Replaced(node="a")], False
    with pytest.raises(Fenced):
        await parts.watch.run()
    assert "reconnect" not in parts.said


async def test_after_a_stall_a_ping_comes_first_then_what_was_before_it(parts: Parts) -> None:
    parts.door.close("stall")
    await parts.watch.after_stall()
    assert parts.said == ["ping", "drained", "epoch asked, door closed"]


async def test_after_a_stall_the_epoch_is_asked(parts: Parts) -> None:
    parts.ours = False
    with pytest.raises(Fenced):
        await parts.watch.after_stall()


async def test_no_lease_is_renewed_behind_a_closed_door(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.001)
    parts.watch.up = True
    parts.door.close("stall")
    looks: list[bool] = []
    check = parts.door.check

    def look() -> bool:
        looks.append(check())
        return looks[-1]

    monkeypatch.setattr(parts.door, "check", look)
    keeping = asyncio.create_task(keep_lease(parts, parts.watch, parts.door))
    try:
        await until(lambda: len(looks) > 3 or bool(parts.said))
        assert not parts.said
        parts.door.lift("stall")
        await until(lambda: bool(parts.said))
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


class LateList:
    """A switch whose list of phones lags: the phone is on it from the second look on."""

    reports = 0

    offers_open = True

    def __init__(self, watch: Any) -> None:
        self.told: list[bool] = []
        self.looks = 0
        watch._interpreter = watch._lost = watch._switch = watch._runtime = self
        watch._directory.phones["d0123456789ab"] = object()

    async def ping(self) -> None:
        pass

    def open_offers(self) -> None:
        pass

    async def devices(self) -> dict[str, bool]:
        self.looks += 1
        return {"d0123456789ab": self.looks > 1}

    def reported_since(self, endpoint: str, reports: int) -> bool:
        return False

    def device(self, endpoint: str, reachable: bool) -> None:
        self.told.append(reachable)

    def moved(self, endpoint: str) -> None:
        pass


async def test_after_a_connect_phones_are_listed_again_because_the_list_follows(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Agreed:
        suspects = busy = gate = False

    async def agreed(why: str) -> Agreed:
        return Agreed()

    monkeypatch.setattr("telephony.shell.watch.AGAIN_SECONDS", (0.0,))
    switch = LateList(parts.watch)
    monkeypatch.setattr(parts.watch, "reconcile", agreed)
    await parts.watch._recover()
    assert switch.told == [False, True]


async def test_doubts_that_come_in_a_row_are_answered_at_once_and_then_together(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under more calls than the machine can carry every failed command is a doubt."""
    compared: list[float] = []

    async def compare(why: str) -> Found:
        compared.append(asyncio.get_running_loop().time())
        return Found()

    async def nothing() -> None:
        pass

    monkeypatch.setattr("telephony.shell.watch.DOUBT_SECONDS", 0.2)
    monkeypatch.setattr(parts.watch, "reconcile", compare)
    monkeypatch.setattr(parts.watch, "_phones", nothing)
    parts.watch.up = True
    audit = asyncio.create_task(parts.watch.audit())
    begun = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < begun + 0.5:
        parts.watch.doubt("command_failed")
        await asyncio.sleep(0.005)
    await until(lambda: compared[-1] > begun + 0.5)
    audit.cancel()
    assert compared[0] < begun + 0.1, "the first is not kept waiting"
    assert all(b - a >= 0.19 for a, b in itertools.pairwise(compared)), "no other on its heels"
    assert len(compared) >= 3, "and the last doubt is answered, too"
