"""The channel layer's end: also when a cancellation was lost inside the Redis client."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

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


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (Path(self.path),)


async def test_a_pickled_message_runs_nothing(stack_redis: str, tmp_path: Path) -> None:
    """Whoever reaches Redis can publish to a group; what they say is data, never code."""
    from django.conf import settings

    from realtime.layer import Layer

    marker = tmp_path / "exploded"
    pickle.loads(pickle.dumps(Bomb(str(marker))))
    assert marker.exists(), "the bomb is a real one"
    marker.unlink()
    configured = settings.CHANNEL_LAYERS["default"].get("CONFIG", {})
    assert "serializer_format" not in configured
    layer = Layer(hosts=[stack_redis])
    channel = await layer.new_channel()
    await layer.group_add("somebody", channel)
    async with redis.asyncio.Redis.from_url(stack_redis) as client:
        for place in (channel, layer._get_layer()._get_group_channel_name("somebody")):
            assert await client.publish(place, pickle.dumps(Bomb(str(marker)))) == 1
            with pytest.raises(ValueError, match=r"unpack|extra|Unpack|Extra"):
                async with asyncio.timeout(5):
                    await layer.receive(channel)
    assert not marker.exists()
    await layer.group_send("somebody", {"type": "still.here"})
    async with asyncio.timeout(5):
        assert await layer.receive(channel) == {"type": "still.here"}
    await layer.flush()
