"""Transit keys: what seals a party between the moment it was met and its row, and no longer.

A party travels as bytes through segments and Redis, and what copies those (a replica, an append-only file, a
directory that was set aside, a snapshot of a disk) is out of an erasure's reach. So those bytes are sealed
under a key that lives for minutes. The follower to PostgreSQL opens them and seals them anew under the
tenant's own key: only that row lasts, and it can be erased. Nothing is asked of an erasure but to empty the
row; a period or two later no key exists that opens any other copy.

A shard's daemon makes its keys, because it alone knows when it needs one no more:

- One key is current, the next one is a spare and already in PostgreSQL: who reads the stream knows it before
  it is used, and PostgreSQL going away takes nothing from anybody.
- A period after its first use the current key ends and the spare takes its place, once PostgreSQL has it.
- An ended key is destroyed, in PostgreSQL first and then here, when the follower has passed the last party
  under it and another period is over. Without PostgreSQL nothing ends and nothing is destroyed, but then
  nothing can be erased either.

The local file says which key is current before that key is used, so a daemon killed at any moment finds
what it needs; a key that ended without the file knowing where ends at the start. Rows of the shard that
nobody here holds are another life's and go when they are two periods old.
"""

import asyncio
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from telephony import codec, sealing
from telephony.adapters.log import metrics
from telephony.adapters.log.local import replace
from telephony.adapters.log.postgres import Database
from telephony.adapters.log.records import PARTY, Record
from telephony.contract.frames import Party
from telephony.contract.ids import PartyId, TenantId

FILE = "transit.json"
PERIOD_SECONDS = 240.0
"""Twice this and some seconds is below the ten minutes that SECURITY.md promises."""
_Rings = Callable[[TenantId], sealing.Keyring | None]
_log = structlog.get_logger(__name__)


class Held(msgspec.Struct):
    """A key, wrapped by the master key."""

    number: int
    wrapped: str
    until: int | None = None
    """The log's end when the next key took over: no party under this one lies after it."""
    ended: float = 0.0
    """When that was, in seconds since the epoch."""


class Kept(msgspec.Struct):
    """The file: keys from the oldest on, and which one seals."""

    current: int
    keys: list[Held]


class Transit:
    """The keys of one shard, and the port `Sealer`. Belongs to one loop; files are written in threads."""

    def __init__(
        self, directory: Path, shard: str, master: bytes, rings: _Rings, period: float = PERIOD_SECONDS
    ) -> None:
        self._path, self._shard, self._master, self._rings = directory / FILE, shard, master, rings
        self._period = period
        self._kept = Kept(current=0, keys=[])
        self._ring = sealing.TransitRing(master, [])
        self._published: set[int] = set()
        """Those that PostgreSQL is known to have, since it was last connected."""
        self._told = self._shown = 0.0
        """When it was last told of them, and when of the spare, on the monotonic clock."""
        self._first: float | None = None
        """When the current key first sealed."""

    def open(self, end: int) -> None:
        """Take up the file's keys, or begin with a new one; `end` is the log's. Raises OSError, and SealError
        when they were wrapped by another master key."""
        for beside in self._path.parent.glob(f".{FILE}.*"):
            beside.unlink()  # a write that was killed: it may hold keys that were destroyed since
        kept = _load(self._path)
        if kept is None:
            made = self._made()
            kept = Kept(current=made.number, keys=[made])
        for held in kept.keys:
            if held.number < kept.current and held.until is None:
                held.until, held.ended = end, time.time()
        self._write(kept)
        self._first = time.time()
        self._keep(kept)

    # --- sealing ---

    def seal(self, tenant: TenantId, party: PartyId, number: str, name: str) -> Party | None:
        """See the port. The party must go into the log before anything else happens in the loop."""
        if self._first is None:
            self._first = time.time()
        return sealing.seal_in_transit(
            self._ring, self._shard, self._kept.current, tenant, party, number, name
        )

    async def arrived(self, database: Database, records: Sequence[Record]) -> list[Record]:
        """The same records with parties as rows hold them; those that cannot be opened are left out."""
        found: list[Record] = []
        closed: dict[tuple[TenantId, PartyId], str] = {}
        for record in records:
            party = codec.decode_party(record.payload) if record.kind == PARTY else None
            if party is None or not party.shard:
                found.append(record)
                continue
            try:
                found.append(await self._arrived(database, party))
            except sealing.SealError as error:
                closed[party.tenant, party.party] = str(error)
        if closed:
            await self._report(database, closed)
        return found

    async def _arrived(self, database: Database, party: Party) -> Record:
        own = self._rings(party.tenant) or await self._read_ring(database, party.tenant)
        caller = sealing.open_in_transit(self._ring, party)
        sealed = sealing.seal_party(own, party.party, caller.number, caller.name)
        return Record(PARTY, codec.encode_party(sealed))

    async def _report(self, database: Database, closed: dict[tuple[TenantId, PartyId], str]) -> None:
        """Count those that are lost. One with a row is not: after a connect the follower begins somewhat
        before what the database lacks, and a key may have been destroyed since it passed there."""
        there = await database.have_parties(list(closed))
        for (tenant, party), reason in closed.items():
            if (tenant, party) not in there:
                metrics.PARTIES_LOST.inc()
                _log.error("party_not_kept", tenant=tenant, party=party, reason=reason)

    async def _read_ring(self, database: Database, tenant: TenantId) -> sealing.Keyring:
        """For a tenant that the cache of what is published does not know (yet)."""
        return sealing.keyring(self._master, await database.tenant_keys(tenant))

    # --- life of the keys ---

    def connected(self) -> None:
        """PostgreSQL was away, and may be another one: it is told of every key again."""
        self._published.clear()

    async def keep(self, database: Database, epoch: int, passed: int, end: Callable[[], int]) -> None:
        """Do what is due. `passed` is what the follower has committed, `end` tells where the log ends.
        In this order: there is a spare, PostgreSQL has it, and only then may it seal."""
        await self._have_spare()
        await self._tell(database, epoch, passed)
        if self._over():
            await self._switch(end)

    async def _have_spare(self) -> None:
        if self._spare() is None:
            kept = Kept(current=self._kept.current, keys=[*self._kept.keys, self._made()])
            await asyncio.to_thread(self._write, kept)
            self._keep(kept)

    async def _tell(self, database: Database, epoch: int, passed: int) -> None:
        """Bring PostgreSQL's rows, then the file, to the keys that are still needed."""
        needed = [held for held in self._kept.keys if not self._spent(held, passed)]
        known = self._published == {held.number for held in needed}
        if known and time.monotonic() < self._told + self._period:
            return
        before = int((time.time() - 2 * self._period) * 1000)
        await database.keep_transit_keys(epoch, [self._key(held) for held in needed], before)
        self._note_told({held.number for held in needed})
        if len(needed) < len(self._kept.keys):
            kept = Kept(current=self._kept.current, keys=needed)
            await asyncio.to_thread(self._write, kept)
            self._keep(kept)

    def _note_told(self, numbers: set[int]) -> None:
        spare = self._spare()
        self._told = time.monotonic()
        if spare is not None and spare.number not in self._published:
            self._shown = self._told
        self._published = numbers

    async def _switch(self, end: Callable[[], int]) -> None:
        """Written down before it is done: from here to the last line the old key may still seal."""
        spare = self._spare()
        assert spare is not None
        await asyncio.to_thread(self._write, Kept(current=spare.number, keys=self._kept.keys))
        old = next(held for held in self._kept.keys if held.number == self._kept.current)
        old.until, old.ended = end(), time.time()
        self._kept.current, self._first = spare.number, None

    def _over(self) -> bool:
        """Its period is over, and who reads along had a moment to learn of the spare."""
        used = self._first is not None and time.time() >= self._first + self._period
        return used and time.monotonic() >= self._shown + self._period / 4

    def _spent(self, held: Held, passed: int) -> bool:
        return held.until is not None and passed >= held.until and time.time() >= held.ended + self._period

    def _spare(self) -> Held | None:
        return next((held for held in self._kept.keys if held.number > self._kept.current), None)

    # --- the file ---

    def _made(self) -> Held:
        number = max(int(time.time() * 1000), *(held.number + 1 for held in self._kept.keys), 0)
        made = sealing.new_transit_key(self._master, self._shard, number)
        return Held(number=number, wrapped=b64encode(made.wrapped).decode())

    def _key(self, held: Held) -> sealing.TransitKey:
        return sealing.TransitKey(shard=self._shard, number=held.number, wrapped=b64decode(held.wrapped))

    def _write(self, kept: Kept) -> None:
        replace(self._path, msgspec.json.encode(kept), sync=True)

    def _keep(self, kept: Kept) -> None:
        """What counts from now on: what the file says."""
        self._kept = kept
        self._ring = sealing.TransitRing(self._master, [self._key(held) for held in kept.keys])
        metrics.TRANSIT_KEYS.set(len(kept.keys))


def _load(path: Path) -> Kept | None:
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        _log.error("transit_keys_unreadable", error=type(error).__name__)
        return None
    return kept if any(held.number == kept.current for held in kept.keys) else None
