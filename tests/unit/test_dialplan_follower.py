"""The follower writes what is published once all is known, loads it, and tries again when it could not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dialplan import follower
from dialplan.publish import RELOAD
from telephony.ports.published import Complete
from tests.unit.test_dialplan_compiler import PHONE, agent, policy


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(follower, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(follower, "RETRY_SECONDS", (0.0, 0.0))


class World:
    """A feed to push into, and a switch whose reloads are seen and may fail."""

    def __init__(self, directory) -> None:
        self.feed: asyncio.Queue[Any] = asyncio.Queue()
        self.loads: asyncio.Queue[str] = asyncio.Queue()
        self.failures = 0
        self.seen: list[Any] = []
        self.follower = follower.FallbackFollower(self._updates, directory, self._reload)

    async def _updates(self) -> AsyncIterator[Any]:
        while True:
            yield await self.feed.get()

    async def _reload(self, name: str) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        self.loads.put_nowait(name)

    async def listen(self) -> None:
        async for update in self.follower.updates():
            self.seen.append(update)

    async def loaded(self) -> None:
        assert [await asyncio.wait_for(self.loads.get(), 5) for _ in RELOAD] == list(RELOAD)


@pytest.fixture
async def world(tmp_path):
    made = World(tmp_path)
    tasks = [asyncio.create_task(made.listen()), asyncio.create_task(made.follower.run())]
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def text(directory: Path) -> str:
    return (directory / "extensions-fallback.conf").read_text()


async def test_nothing_is_written_before_everything_is_known(world, tmp_path):
    world.feed.put_nowait(policy())
    world.feed.put_nowait(agent())
    for _ in range(20):
        await asyncio.sleep(0)
    assert list(tmp_path.iterdir()) == []
    world.feed.put_nowait(Complete(stale=False))
    await world.loaded()
    assert f"PJSIP/{PHONE}" in text(tmp_path)
    assert len(world.seen) == 3


async def test_a_change_is_followed(world, tmp_path):
    for update in (policy(), agent(), Complete(stale=False)):
        world.feed.put_nowait(update)
    await world.loaded()
    world.feed.put_nowait(agent(active=False))
    await world.loaded()
    assert f"PJSIP/{PHONE}" not in text(tmp_path)


async def test_a_load_that_failed_is_tried_again(world, tmp_path):
    world.failures = 2
    for update in (policy(), agent(), Complete(stale=False)):
        world.feed.put_nowait(update)
    await world.loaded()
    assert f"PJSIP/{PHONE}" in text(tmp_path)
