"""The log in PostgreSQL: what is done there, and nothing about when.

One connection, whose every wait has a limit. A group commit begins by reading the shard's epoch FOR SHARE, so
that it cannot overlap another owner's claim; it finds out which rows are new by the tenant's position, which
it locks: a retry whose first outcome is unknown finds its rows there, compares them and adds nothing. Rows
that differ, or a hole before the first new one, stop the writer: somebody else wrote this tenant's history.
"""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import psycopg

from telephony import codec
from telephony.adapters.log import statements
from telephony.adapters.log.records import ENTRY, Record
from telephony.codec import EntryColumns, PartyColumns
from telephony.contract.frames import Entry
from telephony.contract.ids import PartyId, TenantId
from telephony.contract.view import View
from telephony.ports.log import Fenced
from telephony.sealing import TransitKey, WrappedKey

COMMIT_SECONDS = 3.0
CONNECT_SECONDS = 3.0
_DAY = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_PAGE = 5_000


class Diverged(Fenced):
    """The database holds other facts under our numbers, or lacks some before them: two writers, or a
    directory from another life. Nothing is written; an operator must look."""


def connection_arguments(url: str) -> dict[str, Any]:
    """How the daemon connects: short limits everywhere, and row security told that it serves all tenants."""
    return {
        "conninfo": url,
        "autocommit": True,
        "connect_timeout": int(CONNECT_SECONDS),
        "tcp_user_timeout": 5_000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "application_name": "murima-daemon",
        "options": "-c statement_timeout=2000 -c lock_timeout=500 "
        "-c idle_in_transaction_session_timeout=5000 -c murima.tenant=*",
    }


class Database:
    """One open connection. Errors are psycopg.Error, TimeoutError, and Fenced."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], shard: str) -> None:
        self._connection = connection
        self._shard = shard
        self._days: set[date] = set()

    # --- the owner ---

    async def owner(self) -> tuple[int, str] | None:
        """(epoch, holder) of the shard, None before anybody owned it."""
        rows = await self._all(statements.OWNER, (self._shard,))
        return rows[0] if rows else None

    async def take(self, holder: str, above: int) -> int:
        """Become the owner under a new epoch, greater than `above` and than the present one."""
        rows = await self._all(statements.TAKE, {"shard": self._shard, "above": above, "holder": holder})
        return int(rows[0][0])

    async def confirm(self, holder: str, epoch: int) -> None:
        """Make a provisional epoch ours; raises Fenced when the shard's is not older than it."""
        await self._do(statements.CONFIRM, {"shard": self._shard, "epoch": epoch, "holder": holder})
        found = await self.owner()
        if found != (epoch, holder):
            raise Fenced(f"shard {self._shard} has epoch {found and found[0]}; ours was provisional {epoch}")

    async def check(self, epoch: int) -> None:
        """Raises Fenced unless the shard's epoch is still this one."""
        found = await self.owner()
        self._same_epoch(found[0] if found else None, epoch)

    async def _fence(self, epoch: int) -> None:
        rows = await self._all(statements.OWNER_FOR_SHARE, (self._shard,))
        self._same_epoch(rows[0][0] if rows else None, epoch)

    def _same_epoch(self, found: int | None, mine: int) -> None:
        if found != mine:
            raise Fenced(f"shard {self._shard} has epoch {found}, ours is {mine}: another daemon owns it")

    # --- writing ---

    async def commit(self, epoch: int, records: Sequence[Record]) -> dict[TenantId, int]:
        """One group commit of whole groups; returns the last seq of each tenant in it."""
        entries = [codec.entry_columns(record.payload) for record in records if record.kind == ENTRY]
        parties = [codec.party_columns(record.payload) for record in records if record.kind != ENTRY]
        for day in sorted({_day(entry.at) for entry in entries} - self._days):
            await self._partition(day)
        async with asyncio.timeout(COMMIT_SECONDS), self._connection.transaction():
            last = await self._facts(epoch, entries)
            await self._parties(parties)
        return last

    async def _facts(self, epoch: int, entries: list[EntryColumns]) -> dict[TenantId, int]:
        """Under our epoch, insert what is new and compare what is not; returns each tenant's last seq."""
        by_tenant: dict[str, list[EntryColumns]] = {}
        for entry in entries:
            by_tenant.setdefault(entry.tenant, []).append(entry)
        positions = await self._positions(epoch, sorted(by_tenant))
        fresh: list[EntryColumns] = []
        known: list[EntryColumns] = []
        for tenant, mine in by_tenant.items():
            old, new = _split(tenant, positions.get(tenant, 0), mine)
            known += old
            fresh += new
        await self._compare(known)
        await self._insert(fresh)
        return {TenantId(tenant): mine[-1].seq for tenant, mine in by_tenant.items()}

    async def _positions(self, epoch: int, tenants: list[str]) -> dict[str, int]:
        """Where these tenants' logs stand, locked; raises Fenced unless the shard's epoch is this one."""
        found, known, seqs = (await self._all(statements.OWNER_AND_POSITIONS, (self._shard, tenants)))[0]
        self._same_epoch(found, epoch)
        return dict(zip(known, seqs, strict=True))

    async def _insert(self, entries: list[EntryColumns]) -> None:
        if not entries:
            return
        last = {entry.tenant: entry for entry in entries}
        seqs, instants = [entry.seq for entry in last.values()], [entry.at for entry in last.values()]
        positions = (list(last), seqs, instants, self._shard)
        written = (await self._all(statements.WRITE_FACTS, (*_arrays(entries), *positions)))[0][0]
        if written != len(entries):
            raise Diverged(f"{len(entries) - written} of {len(entries)} facts were there before their time")

    async def _compare(self, entries: list[EntryColumns]) -> None:
        if not entries:
            return
        rows = await self._all(statements.EQUAL_FACTS, _arrays(entries))
        if rows[0][0] != len(entries):
            raise Diverged(f"of {len(entries)} facts written before, {rows[0][0]} are the same")

    async def _parties(self, parties: list[PartyColumns]) -> None:
        """A party that is there stays as it is: it may have been erased since."""
        if not parties:
            return
        arrays = (
            [party.tenant for party in parties],
            [party.party for party in parties],
            [party.key for party in parties],
            [b64decode(party.sealed) for party in parties],
            [bytes.fromhex(party.digest) for party in parties],
        )
        await self._do(statements.INSERT_PARTIES, arrays)

    async def keep_checkpoint(self, epoch: int, view: tuple[TenantId, int, int, bytes]) -> None:
        """Store (tenant, seq, at, bytes of the view); an older one never replaces a newer."""
        tenant, seq, at, data = view
        async with asyncio.timeout(COMMIT_SECONDS), self._connection.transaction():
            await self._fence(epoch)
            await self._do(statements.KEEP_CHECKPOINT, (tenant, epoch, seq, at, data.decode()))

    async def keep_transit_keys(self, epoch: int, keys: Sequence[TransitKey], before: int) -> None:
        """Let the shard have these keys, and no other that was made before an instant (in milliseconds)."""
        numbers, wrapped = [key.number for key in keys], [key.wrapped for key in keys]
        async with asyncio.timeout(COMMIT_SECONDS), self._connection.transaction():
            await self._fence(epoch)
            await self._do(statements.KEEP_TRANSIT_KEYS, (self._shard, numbers, wrapped))
            await self._do(statements.DESTROY_TRANSIT_KEYS, (self._shard, numbers, before))

    async def tenant_keys(self, tenant: TenantId) -> list[WrappedKey]:
        """A tenant's own keys."""
        return [
            WrappedKey(tenant=tenant, version=version, wrapped=wrapped, active=active)
            for version, wrapped, active in await self._all(statements.TENANT_KEYS, (tenant,))
        ]

    async def have_parties(
        self, parties: Sequence[tuple[TenantId, PartyId]]
    ) -> set[tuple[TenantId, PartyId]]:
        """Which of these parties have a row, be it an erased one."""
        tenants, names = [tenant for tenant, _ in parties], [party for _, party in parties]
        found = await self._all(statements.HAVE_PARTIES, (tenants, names))
        return {(TenantId(tenant), PartyId(party)) for tenant, party in found}

    async def make_partitions(self, today: date) -> None:
        """Today's partition and those of the next three days."""
        for ahead in range(4):
            await self._partition(today + timedelta(days=ahead))

    async def _partition(self, day: date) -> None:
        if day not in self._days:
            await self._do(statements.MAKE_PARTITION, (day,))
            self._days.add(day)

    # --- reading ---

    async def positions(self) -> dict[TenantId, int]:
        """The last seq of every tenant of this shard."""
        return {
            TenantId(tenant): seq for tenant, seq in await self._all(statements.POSITIONS, (self._shard,))
        }

    async def checkpoints(self) -> dict[TenantId, View]:
        """The newest checkpoint of every tenant of this shard."""
        rows = await self._all(statements.CHECKPOINTS, (self._shard,))
        return {TenantId(tenant): codec.decode_view(data.encode()) for tenant, data in rows}

    async def entries(self, tenant: TenantId, after: int) -> AsyncIterator[Entry]:
        """Entries of a tenant with seq > after, in order."""
        while True:
            page = await self._all(statements.ENTRIES, (tenant, after, _PAGE))
            for epoch, seq, at, kind, data, ask in page:
                yield codec.entry(tenant, epoch, seq, at, kind, data.encode(), ask)
                after = seq
            if len(page) < _PAGE:
                return

    # --- statements ---

    async def _all(self, statement: str, arguments: Any) -> list[Any]:
        """Rows of a statement; COMMIT_SECONDS at most."""
        async with asyncio.timeout(COMMIT_SECONDS):
            cursor = await self._connection.execute(statement.encode(), arguments)
            return await cursor.fetchall()

    async def _do(self, statement: str, arguments: Any) -> int:
        """How many rows a statement touched; COMMIT_SECONDS at most."""
        async with asyncio.timeout(COMMIT_SECONDS):
            return (await self._connection.execute(statement.encode(), arguments)).rowcount


@asynccontextmanager
async def connected(url: str, shard: str) -> AsyncIterator[Database]:
    """A Database for as long as the block runs."""
    async with asyncio.timeout(CONNECT_SECONDS + 1):
        connection = await psycopg.AsyncConnection.connect(**connection_arguments(url))
    try:
        yield Database(connection, shard)
    finally:
        await connection.close()


def _split(
    tenant: str, position: int, entries: list[EntryColumns]
) -> tuple[list[EntryColumns], list[EntryColumns]]:
    """(written before, new); raises Diverged when the new ones leave a hole."""
    old = [entry for entry in entries if entry.seq <= position]
    new = [entry for entry in entries if entry.seq > position]
    for expected, entry in enumerate(new, position + 1):
        if entry.seq != expected:
            raise Diverged(f"tenant {tenant}: fact {entry.seq} cannot follow {expected - 1}")
    return old, new


def _arrays(entries: list[EntryColumns]) -> list[list[Any]]:
    return [
        [entry.tenant for entry in entries],
        [entry.seq for entry in entries],
        [_day(entry.at) for entry in entries],
        [entry.epoch for entry in entries],
        [entry.at for entry in entries],
        [entry.type for entry in entries],
        [bytes(entry.data).decode() for entry in entries],
        [entry.ask and entry.ask.replace("\0", "\ufffd") for entry in entries],
    ]


def _day(at: int) -> date:
    return _EPOCH + timedelta(days=at // _DAY)
