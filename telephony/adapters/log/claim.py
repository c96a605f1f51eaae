"""Taking a shard's epoch at the start.

PostgreSQL decides. A directory has an identity; when the database names another holder, somebody else wrote
this shard's history since, and what lies here is set aside unread: its committed part is in the database, the
rest must not be written after the fact. While PostgreSQL is away a directory with history goes on under a
provisional epoch, which is confirmed or fenced when the database is back; one without history must wait,
since it cannot know what was written before.
"""

import asyncio
from pathlib import Path

import psycopg
import structlog

from telephony.adapters.log import transit
from telephony.adapters.log.local import Identity, Local
from telephony.adapters.log.postgres import connected
from telephony.adapters.log.progress import Backoff
from telephony.adapters.log.segment import Segments

FIRST_CLAIM_SECONDS = 30.0
_log = structlog.get_logger(__name__)


class DatabaseNeeded(ConnectionError):
    """This directory has no history, so only PostgreSQL can say where the log stands, and it is away."""


async def claim(local: Local, segments: Segments, url: str, shard: str) -> tuple[int, bool]:
    """(epoch, whether it is provisional)."""
    identity = await asyncio.to_thread(local.identity)
    deadline = asyncio.get_running_loop().time() + FIRST_CLAIM_SECONDS
    backoff = Backoff()
    while True:
        try:
            return await _take(local, segments, identity, url, shard), False
        except (psycopg.Error, OSError, TimeoutError) as error:
            problem = error
        if identity.epoch > 0:
            break
        if asyncio.get_running_loop().time() > deadline:
            raise DatabaseNeeded(
                f"PostgreSQL is away ({type(problem).__name__}) and {local.directory} is new"
            )
        await backoff.pause()
    epoch = identity.epoch + 1
    await asyncio.to_thread(local.keep_identity, Identity(directory=identity.directory, epoch=epoch))
    _log.warning("log_epoch_provisional", shard=shard, epoch=epoch, error=type(problem).__name__)
    return epoch, True


async def _take(local: Local, segments: Segments, identity: Identity, url: str, shard: str) -> int:
    async with connected(url, shard) as database:
        owner = await database.owner()
        if owner is not None and owner[1] != identity.directory and segments.end > segments.start:
            await asyncio.to_thread(_set_aside, local, segments, identity.epoch)
        epoch = await database.take(identity.directory, identity.epoch)
    await asyncio.to_thread(local.keep_identity, Identity(directory=identity.directory, epoch=epoch))
    return epoch


def _set_aside(local: Local, segments: Segments, epoch: int) -> None:
    """Move another life's files out of the way; positions and checkpoints speak of them, so they go too."""
    place = local.directory / f"aside-{epoch}"
    place.mkdir(mode=0o700, exist_ok=True)
    segments.set_aside(place)
    for path in [*(local.directory / "checkpoints").glob("*.json"), local.directory / "positions.json"]:
        if path.exists():
            path.rename(place / path.name)
    # What lies there will never become a row: nobody shall open it any more.
    (local.directory / transit.FILE).unlink(missing_ok=True)
    _log.error("log_set_aside", epoch=epoch, directory=Path(place).name)
