"""Cards' look-ups go together when they must wait, and one that fails costs nobody else a card."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from realtime import pops
from realtime.pops import Pops


class Looker:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.fails = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.pops = Pops("t", self.look, lambda work: self.tasks.append(asyncio.create_task(work)))

    async def look(self, batch: list[Any]) -> None:
        self.batches.append([each.call.call for each in batch])
        await self.open.wait()
        if self.fails:
            self.fails -= 1
            raise ConnectionError

    def ask(self, *names: str) -> None:
        for name in names:
            self.pops.ask(None, SimpleNamespace(call=name))  # type: ignore[arg-type]

    async def done(self) -> None:
        self.open.set()
        async with asyncio.timeout(5):
            for task in self.tasks:
                await task


async def test_the_first_goes_at_once_and_those_who_waited_go_together() -> None:
    looker = Looker()
    looker.ask("a")
    await asyncio.sleep(0)
    looker.ask("b", "c", "d")
    await looker.done()
    assert looker.batches == [["a"], ["b", "c", "d"]]
    looker.ask("e")
    await looker.done()
    assert looker.batches[2:] == [["e"]]


async def test_more_than_fit_go_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pops, "MOST", 2)
    looker = Looker()
    looker.ask("a", "b", "c")
    await looker.done()
    assert looker.batches == [["a", "b"], ["c"]]


async def test_a_look_up_that_fails_or_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pops, "DEADLINE", 0.05)
    looker = Looker()
    looker.ask("hangs")
    await asyncio.sleep(0)
    looker.ask("fails")
    async with asyncio.timeout(5):
        while len(looker.batches) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    looker.fails = 1
    looker.ask("comes")
    await looker.done()
    assert looker.batches == [["hangs"], ["fails"], ["comes"]] and not looker.fails
