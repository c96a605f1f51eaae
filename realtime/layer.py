"""The channel layer, with an end that ends.

channels_redis closes its connections when the event loop closes: it cancels the task that reads from Redis
and waits for it without a deadline. A cancellation that meets a reply in the same turn is lost inside the
client (see tasks.py), and then the loop never closes. Here the task is asked until it is done.
"""

from __future__ import annotations

import asyncio
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisSingleShardConnection

from realtime.tasks import end


class Shard(RedisSingleShardConnection):  # type: ignore[misc]
    """One connection to Redis."""

    _receive_task: asyncio.Task[None] | None

    async def flush(self) -> None:
        """As the library's, once nothing reads any more."""
        reading, self._receive_task = self._receive_task, None
        if reading is not None:
            await end([reading])
        await super().flush()


class Layer(RedisPubSubChannelLayer):  # type: ignore[misc]
    """What CHANNEL_LAYERS names."""

    def _get_layer(self) -> Any:
        """The layer of the running loop; its connections are ours from the first use on."""
        layer = super()._get_layer()
        if not isinstance(layer._shards[0], Shard):
            layer._shards = [Shard(shard.host, layer) for shard in layer._shards]
        return layer
