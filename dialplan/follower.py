"""Keeps Asterisk's fallback at what is published.

The daemon hears of every policy and roster; the follower listens in, and when nothing has changed for half
a second it compiles, installs and has Asterisk load the fallback. It does so once at each start, too, for the
last start may have ended between writing and loading. Asterisk away is no reason to stop: it reads the files
when it boots, and until one load has gone through, another is tried.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from dialplan.compiler import compile_fallback
from dialplan.publish import RELOAD, install
from telephony.contract.ids import AgentId, TenantId
from telephony.contract.policy import Policy
from telephony.contract.roster import RosterRow

SETTLE_SECONDS = 0.5
RETRY_SECONDS = (1.0, 15.0)

_log = structlog.get_logger("fallback")


class FallbackFollower:
    """`updates` stands in for the published feed's; `run` is a follower beside the daemon's others."""

    def __init__(
        self,
        updates: Callable[[], AsyncIterator[Any]],
        directory: Path,
        reload: Callable[[str], Awaitable[object]],
    ) -> None:
        """`reload` loads one of Asterisk's modules anew and raises when it could not."""
        self._source, self._directory, self._reload = updates, directory, reload
        self._policies: dict[TenantId, Policy] = {}
        self._rows: dict[tuple[TenantId, AgentId], RosterRow] = {}
        self._complete = False
        self._some = asyncio.Event()

    async def updates(self) -> AsyncIterator[Any]:
        """What is published, unchanged, after taking note of it."""
        async for update in self._source():
            match update:
                case Policy():
                    self._policies[update.manifest.tenant] = update
                case RosterRow():
                    self._rows[update.tenant, update.agent] = update
                case _:
                    self._complete = True  # a fallback of half the tenants would be worse than the old one
            if self._complete:
                self._some.set()
            yield update

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._some.clear()
            await self._publish()

    async def _publish(self) -> None:
        low, high = RETRY_SECONDS
        fallback = compile_fallback(self._policies.values(), self._rows.values())
        for line in fallback.left_out:
            _log.warning("fallback_left_out", what=line)
        try:
            changed = await asyncio.to_thread(install, fallback, self._directory)
        except (OSError, ValueError) as error:
            _log.error("fallback_not_written", why=type(error).__name__)
            return
        try:
            for module in RELOAD:
                await self._reload(module)
        except Exception as error:
            _log.warning("fallback_not_loaded", why=type(error).__name__)
            await asyncio.sleep(random.uniform(low, high))
            self._some.set()
            return
        _log.info("fallback_loaded", changed=changed, numbers=fallback.extensions.count("exten => +"))
