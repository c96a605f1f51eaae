"""Ending tasks for sure.

A cancellation that meets a reply of Redis in the same turn can be lost inside the client (seen: the read
returns instead of being cancelled), so asking once is not enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

TRIES = 20


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they are done; their results and errors are dropped."""
    left = set(tasks)
    for _ in range(TRIES):
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=0.5)
