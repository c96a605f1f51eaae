"""What Django tells a person goes to every socket of theirs in that tenant, in whichever process it is.

The group is made of tenant and user together: the same person, open in two organisations, hears in each only
what is that one's. A whole transaction's messages go in one turn, within a deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from realtime import groups
from web.shared.core.push import Message

SECONDS = 3.0
KIND = "notice"


def send(batch: Sequence[Message]) -> None:
    """Send them all; raises what the channel layer raises, and TimeoutError after SECONDS."""
    async_to_sync(_send)(batch)


async def _send(batch: Sequence[Message]) -> None:
    layer = get_channel_layer()
    async with asyncio.timeout(SECONDS):
        for message in batch:
            if message.kind == KIND:
                group = groups.member(message.tenant_id, message.user_id)
                await layer.group_send(group, groups.told(dict(message.data)))
