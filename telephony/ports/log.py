"""The log: where facts go before their commands leave."""

from typing import Protocol

from telephony.contract.frames import Entry, Party
from telephony.contract.ids import TenantId
from telephony.contract.view import View


class Log(Protocol):
    """The local segment file and what follows it. Raises `Fenced` when another owner took the epoch."""

    epoch: int

    def append(self, entries: list[Entry], parties: list[Party]) -> None:
        """Write to the segment; returns when the bytes are the kernel's. Waits for no disk, no server.

        Entries of one call may be of several steps of one tenant. OSError: nothing of it counts; the caller
        must stop, since its floor is ahead of the log.
        """
        ...

    async def committed(self, tenant: TenantId, seq: int, within: float) -> str:
        """Wait until seq is in PostgreSQL ('ok') or, when it is away, on the local disk ('pending')."""
        ...

    async def recover(self) -> dict[TenantId, View]:
        """Every floor as of the last entry, from the newest checkpoints and the entries after them."""
        ...

    async def checkpoint(self, view: View) -> None:
        """Encodes at once, before the first await: the view goes on changing."""
        ...

    async def still_ours(self, within: float) -> bool:
        """Read the shard's epoch: False when another daemon has a newer one. PostgreSQL away: True, since
        nobody can have taken the epoch there. Asked before the executor's door opens after a stall."""
        ...

    async def watch(self) -> None:
        """Runs the followers; returns never, raises Fenced as soon as one of them learns of another owner."""
        ...


class Fenced(Exception):
    """Another daemon owns this shard now: send no command, write nothing, exit."""
