"""The channel layer's end: also when a cancellation was lost inside the Redis client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.redis


async def test_it_ends_although_the_reader_misses_a_cancellation(stack_redis: str, monkeypatch: Any) -> None:
    from realtime.layer import Layer, Shard

    missed = 0

    async def deaf(self: Any) -> None:
        nonlocal missed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                missed += 1
                if missed > 1:
                    raise

    monkeypatch.setattr(Shard, "_do_receiving", deaf)
    layer = Layer(hosts=[stack_redis])
    await layer.group_add("somebody", await layer.new_channel())
    async with asyncio.timeout(20):
        await layer.flush()
    assert missed == 2
