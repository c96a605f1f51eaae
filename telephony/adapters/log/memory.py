"""MemoryLog: the port `Log` without a disk or a server, for unit tests. Held to the same tests as FileLog."""

import asyncio

from telephony import codec
from telephony.adapters.log.progress import Progress
from telephony.contract.frames import Entry, Party
from telephony.contract.ids import TenantId
from telephony.contract.view import View, apply
from telephony.ports.log import Fenced


class MemoryLog:
    """`store` may be handed to the next MemoryLog: that is a restart. A later one fences the earlier."""

    def __init__(self, store: "Store | None" = None) -> None:
        self.store = store or Store()
        self.store.epoch += 1
        self.epoch = self.store.epoch
        self.away = False
        """Set by a test: PostgreSQL cannot be reached."""
        self.progress = self.store.progress

    def append(self, entries: list[Entry], parties: list[Party]) -> None:
        self._raise_if_fenced()
        last: dict[TenantId, int] = {}
        for entry in entries:
            before = last.get(entry.tenant, self.store.last(entry.tenant))
            if entry.seq != before + 1 or entry.epoch != self.epoch:
                raise ValueError(f"entry {entry.epoch}/{entry.seq} cannot follow {self.epoch}/{before}")
            last[entry.tenant] = entry.seq
        frames: list[Party | Entry] = [*parties, *entries]
        for frame in frames:
            self.store.add(frame)
        self.progress.tell()

    async def committed(self, tenant: TenantId, seq: int, within: float) -> str:
        self._raise_if_fenced()
        if not await self.progress.until(lambda: self.store.last(tenant) >= seq, within):
            raise TimeoutError(f"fact {seq} was not appended within {within} s")
        return "pending" if self.away else "ok"

    async def recover(self) -> dict[TenantId, View]:
        views = {tenant: codec.decode_view(data) for tenant, data in self.store.checkpoints.items()}
        for kind, tenant, data in self.store.frames:
            if kind == "fact":
                apply(views.setdefault(tenant, View(tenant=tenant)), codec.decode_entry(data))
        return views

    async def checkpoint(self, view: View) -> None:
        self._raise_if_fenced()
        self.store.checkpoints[TenantId(view.tenant)] = codec.encode_view(view)

    async def still_ours(self, within: float) -> bool:
        return self.away or self.epoch == self.store.epoch

    async def watch(self) -> None:
        while True:
            self._raise_if_fenced()
            await asyncio.sleep(0.05)

    def tail(self, name: str) -> "MemoryTail":
        return self.store.tails.setdefault(name, MemoryTail(self.store))

    async def close(self) -> None:
        """Nothing to let go."""

    def _raise_if_fenced(self) -> None:
        if self.epoch != self.store.epoch:
            raise Fenced(f"epoch {self.store.epoch} is newer than {self.epoch}")


class Store:
    """What survives a restart."""

    def __init__(self) -> None:
        self.epoch = 0
        self.frames: list[tuple[str, TenantId, bytes]] = []
        self.checkpoints: dict[TenantId, bytes] = {}
        self.tails: dict[str, MemoryTail] = {}
        self.progress = Progress()
        self._last: dict[TenantId, int] = {}

    def last(self, tenant: TenantId) -> int:
        """The last seq of a tenant, 0 before the first."""
        return self._last.get(tenant, 0)

    def add(self, frame: Entry | Party) -> None:
        kind, data = codec.encode_frame(frame)
        self.frames.append((kind, frame.tenant, data))
        if isinstance(frame, Entry):
            self._last[frame.tenant] = frame.seq


class MemoryTail:
    """One follower's place: `batch` until `passed`."""

    def __init__(self, store: Store) -> None:
        self._store, self.position, self._next = store, 0, 0

    async def batch(self, within: float | None = None) -> list[tuple[str, TenantId, bytes]]:
        await self._store.progress.until(lambda: len(self._store.frames) > self.position, within)
        self._next = len(self._store.frames)
        return self._store.frames[self.position : self._next]

    def passed(self) -> None:
        self.position = self._next
