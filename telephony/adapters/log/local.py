"""The small files beside the segments: identity, positions, checkpoints, what was published.

Each is replaced whole by an atomic rename, readable by the daemon's user alone, so that a reader finds the
old one or the new one. They let the daemon start while PostgreSQL is away. Identity is brought to the disk
before it counts; positions may be old or lost, since every follower bears seeing a record again.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from telephony import codec
from telephony.contract.ids import TenantId, tenant_id
from telephony.contract.view import View

_log = structlog.get_logger(__name__)


class Identity(msgspec.Struct):
    """Who this directory is to the database, and the last epoch it wrote under."""

    directory: str
    epoch: int = 0
    format: int = 1


class Positions(msgspec.Struct):
    """How far each follower has come, and how far the disk was known to be."""

    synced: int = 0
    followers: dict[str, int] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Local:
    """The directory of one shard: `<home>/data/facts/<shard>`."""

    directory: Path

    def identity(self) -> Identity:
        """This directory's identity; made at the first call."""
        path = self.directory / "identity.json"
        if path.exists():
            return msgspec.json.decode(path.read_bytes(), type=Identity)
        fresh = Identity(directory=secrets.token_hex(8))
        self.keep_identity(fresh)
        return fresh

    def keep_identity(self, identity: Identity) -> None:
        replace(self.directory / "identity.json", msgspec.json.encode(identity), sync=True)

    def positions(self) -> Positions:
        """The last kept positions, or none when they cannot be read: followers then begin again."""
        try:
            return msgspec.json.decode((self.directory / "positions.json").read_bytes(), type=Positions)
        except (OSError, msgspec.DecodeError):
            return Positions()

    def keep_positions(self, positions: Positions) -> None:
        replace(self.directory / "positions.json", msgspec.json.encode(positions))

    def checkpoints(self) -> dict[TenantId, View]:
        """Every tenant's local checkpoint; one that cannot be read is passed over: older entries serve."""
        found: dict[TenantId, View] = {}
        for path in sorted((self.directory / "checkpoints").glob("*.json")):
            try:
                found[tenant_id(path.stem)] = codec.decode_view(path.read_bytes())
            except (ValueError, msgspec.DecodeError) as error:
                _log.error("checkpoint_unreadable", file=path.name, error=type(error).__name__)
        return found

    def keep_checkpoint(self, tenant: TenantId, data: bytes) -> None:
        replace(self.directory / "checkpoints" / f"{tenant}.json", data, sync=True)


def replace(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write `data` beside `path`, mode 0600, and rename it there; with `sync` the disk has it on return."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    beside.replace(path)
    if sync:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
