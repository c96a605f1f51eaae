"""Checkpoints: every five seconds for floors that changed, and once more before the end.

A checkpoint is a shortcut for the fold, never the truth: losing one costs time at the next start. Floors are
taken one after another with a pause between, so that a large one delays nobody's turn for long.
"""

import asyncio

import structlog

from telephony.contract.ids import TenantId
from telephony.ports.log import Fenced, Log
from telephony.shell.runtime import Runtime

CHECKPOINT_SECONDS = 5.0

log = structlog.get_logger("checkpoint")


class Checkpoints:
    def __init__(self, runtime: Runtime, journal: Log) -> None:
        self._runtime, self._journal = runtime, journal
        self._kept: dict[TenantId, int] = {}

    async def run(self) -> None:
        """For ever. Raises Fenced."""
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            await self.keep()

    async def keep(self) -> None:
        """Every floor that has facts since its last checkpoint."""
        for tenant in list(self._runtime.tenancies):
            view = self._runtime.view(tenant)
            seq = view.seq
            if self._kept.get(tenant) == seq:
                continue
            try:
                await self._journal.checkpoint(view)
                self._kept[tenant] = seq
            except Fenced:
                raise
            except Exception as error:
                log.warning("checkpoint_failed", tenant=tenant, error=type(error).__name__)
            await asyncio.sleep(0)
