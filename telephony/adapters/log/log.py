"""FileLog: the port `Log` over segments and PostgreSQL.

`append` writes one group to the segment and returns. Followers read that file, each at its own position:
PostgreSQL's here, the bus's through `tail("bus")`. Whatever is away is tried again with jitter, and the file
is the only buffer. A checkpoint is stored after what it covers: locally when the disk has it, in PostgreSQL
when the facts are committed. A file is deleted when all followers and the checkpoints have passed it.

Order of use: `open` (lock, check, epoch), `recover`, then `watch` for as long as the daemon lives, `close`.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import structlog

from telephony import codec
from telephony.adapters.log import metrics
from telephony.adapters.log.claim import claim
from telephony.adapters.log.local import Local, Positions
from telephony.adapters.log.postgres import Database, connected
from telephony.adapters.log.progress import Backoff, Progress
from telephony.adapters.log.records import ENTRY, PARTY, Record
from telephony.adapters.log.recovery import recover
from telephony.adapters.log.segment import SEGMENT_BYTES, Segments
from telephony.adapters.log.transit import Transit
from telephony.contract.frames import Entry, Party
from telephony.contract.ids import TenantId
from telephony.contract.view import View
from telephony.ports.log import Fenced

AWAY_ERRORS = (psycopg.Error, OSError, TimeoutError)
IDLE_SECONDS = 1.0
"""How long the follower waits for something new before it asks whether the epoch is still ours."""
GATHER_SECONDS = 0.025
"""How long the follower lets a burst of steps become one commit when nobody waits for it. A commit costs the
loop more than the step that it keeps; this stays well below the 50 ms that losing the host may cost."""
LEAD_SECONDS = 0.005
"""How much later than the step's commands its facts reach the followers, unless somebody waits for them. A
ring takes Asterisk about that long, and all that the facts set going (the bus, the desks, PostgreSQL) would
take the processor from it: in turns of a second with and without, at 20 rings a second on two cores, the
phone rang 1.5 ms of 11.4 earlier."""
BUS_LAG_BYTES = 64 << 20
"""How far the bus may lag before files are deleted under it: its streams are short, so older frames would
be trimmed at once, and their readers have PostgreSQL."""
SYNC_LIMIT_SECONDS = 10.0
ROTATE_SECONDS = 300.0
"""A file is closed after this time even when it is small, so that what was erased leaves the disk soon."""
_BATCH_BYTES = 256 << 10
_log = structlog.get_logger(__name__)


class Tail:
    """One follower's place in the log."""

    def __init__(self, log: "FileLog", position: int) -> None:
        self._log = log
        self.position = position
        self._next = position

    async def batch(self, within: float | None = None) -> list[tuple[str, TenantId, bytes]]:
        """What comes after the position, as (frame kind, tenant, codec's bytes): waits for the first, at most
        `within` seconds, then returns nothing. The same again until `passed` is called."""
        return [_frame(record) for record in await self.records(within)]

    async def records(self, within: float | None = None) -> list[Record]:
        """As `batch`, as the file holds them: whole groups."""
        segments = self._log.segments
        if not await self._log.progress.until(lambda: self._log.shown > self.position, within):
            return []
        self.position = max(self.position, segments.start)
        found, self._next = segments.read(self.position, _BATCH_BYTES)
        return found

    def passed(self) -> None:
        """The last batch is where it should be."""
        self.position = self._next


class FileLog:
    """See the module. One event loop, one thread; only fsync happens elsewhere."""

    def __init__(
        self, local: Local, segments: Segments, url: str, shard: str, transit: Transit | None = None
    ) -> None:
        self.local, self.segments, self._transit = local, segments, transit
        self.epoch = 0
        self.provisional = False
        """True while the epoch is our own guess because PostgreSQL was away at the start."""
        self.away = True
        """PostgreSQL cannot be reached, or refuses our commits."""
        self.progress = Progress()
        self.shown = segments.end
        """How far the followers know of the log."""
        self._showing: asyncio.TimerHandle | None = None
        self._url, self._shard = url, shard
        self._last: dict[TenantId, int] = {}
        self._covered: dict[TenantId, int] = {}
        self._uncovered: dict[TenantId, int] = {}
        self._committed: dict[TenantId, int] = {}
        self._tails: dict[str, Tail] = {}
        self._positions = Positions()
        self._checkpoints: dict[TenantId, tuple[TenantId, int, int, bytes]] = {}
        self._questions: list[asyncio.Future[None]] = []
        self._awaited = 0
        """How many answers wait for a commit."""
        self._fenced: Fenced | None = None

    # --- life ---

    @classmethod
    async def open(
        cls,
        directory: Path,
        url: str,
        shard: str,
        *,
        size: int = SEGMENT_BYTES,
        transit: Transit | None = None,
    ) -> "FileLog":
        """Lock and check the directory and take the next epoch, provisionally while PostgreSQL is away.
        `transit` keeps the keys of parties on their way; without it only parties under tenants' keys fit.

        Raises segment.InUse, segment.Damaged, or claim.DatabaseNeeded for a directory without history.
        """
        local = Local(directory)
        positions = local.positions()
        segments = await asyncio.to_thread(lambda: Segments(directory, known=positions.synced, size=size))
        log = cls(local, segments, url, shard, transit)
        try:
            log.epoch, log.provisional = await claim(local, segments, url, shard)
            log.away = log.provisional
            if transit is not None:
                await asyncio.to_thread(transit.open, segments.end)
            await asyncio.to_thread(log._scan)
        except BaseException:
            segments.close()
            raise
        log._positions = local.positions()
        log._tails["postgres"] = Tail(log, log._start_of("postgres"))
        loop = asyncio.get_running_loop()
        segments.on_synced = lambda position: _from_thread(loop, log.progress.tell)
        _log.info(
            "log_opened", shard=shard, epoch=log.epoch, provisional=log.provisional, cut_bytes=segments.cut
        )
        return log

    def _scan(self) -> None:
        """Find each tenant's last seq, and where entries begin that its checkpoint does not cover."""
        covered = self._covered = {tenant: view.seq for tenant, view in self.local.checkpoints().items()}
        self._last.update(covered)
        for record, place in self.segments.replay():
            if record.kind == ENTRY:
                entry = codec.entry_columns(record.payload)
                tenant = TenantId(entry.tenant)
                self._last[tenant] = entry.seq
                if entry.seq > covered.get(tenant, 0):
                    self._uncovered.setdefault(tenant, place)

    async def recover(self) -> dict[TenantId, View]:
        """Every floor as of its last entry; raises recovery.Unrecoverable for a hole that nobody can fill."""
        views = await recover(self.local, self.segments, self._url, self._shard)
        for view in views.values():
            tenant = TenantId(view.tenant)
            self._last[tenant] = view.seq
            if self._covered.get(tenant) == view.seq:
                continue
            await self._keep_locally(tenant, view.seq, self.segments.end, codec.encode_view(view))
        return views

    async def watch(self) -> None:
        """Follow until cancelled; raises Fenced, or OSError when the disk fails."""
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._keep_house())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Bring everything to the disk and let the directory go; `watch` must have ended."""
        await asyncio.to_thread(self.segments.close)
        self._keep_positions()

    # --- writing ---

    def append(self, entries: list[Entry], parties: list[Party]) -> None:
        """See the port. Raises Fenced, ValueError for a seq or epoch out of order, OSError for a full disk;
        after any error nothing was written."""
        self._raise_if_fenced()
        group = [Record(PARTY, codec.encode_party(party)) for party in parties]
        last: dict[TenantId, int] = {}
        for entry in entries:
            before = last.get(entry.tenant, self._last.get(entry.tenant, 0))
            if entry.seq != before + 1 or entry.epoch != self.epoch:
                raise ValueError(f"entry {entry.epoch}/{entry.seq} cannot follow {self.epoch}/{before}")
            last[entry.tenant] = entry.seq
            group.append(Record(ENTRY, codec.encode_entry(entry)))
        if not group:
            return
        start = self.segments.end
        self.segments.append(group)
        self._last.update(last)
        for tenant in last:
            self._uncovered.setdefault(tenant, start)
        metrics.APPENDED.inc(len(entries))
        if self._showing is None:
            self._showing = asyncio.get_running_loop().call_later(LEAD_SECONDS, self._show)

    def _show(self) -> None:
        """Let the followers see all there is."""
        if self._showing is not None:
            self._showing.cancel()
            self._showing = None
        self.shown = self.segments.end
        self.progress.tell()

    async def committed(self, tenant: TenantId, seq: int, within: float) -> str:
        """See the port. Raises Fenced, or TimeoutError when even the disk did not answer in time."""
        written = self.segments.end
        self._awaited += 1
        self._show()
        try:
            await self.progress.until(lambda: self._settled(tenant, seq, written), within)
        finally:
            self._awaited -= 1
        self._raise_if_fenced()
        if self._committed.get(tenant, 0) >= seq:
            return "ok"
        if self.segments.synced >= written:
            return "pending"
        raise TimeoutError(f"the disk did not take fact {seq} within {within} s")

    def _settled(self, tenant: TenantId, seq: int, written: int) -> bool:
        if self._fenced is not None or self._committed.get(tenant, 0) >= seq:
            return True
        return self.away and self.segments.synced >= written

    async def checkpoint(self, view: View) -> None:
        """Encode at once, store when the disk has what the view covers; PostgreSQL follows."""
        self._raise_if_fenced()
        tenant, seq, written = TenantId(view.tenant), view.seq, self.segments.end
        data = codec.encode_view(view)
        self._checkpoints[tenant] = (tenant, seq, view.at, data)
        if not await self.progress.until(lambda: self.segments.synced >= written, SYNC_LIMIT_SECONDS):
            _log.warning("checkpoint_not_kept", tenant=tenant, reason="the disk is slow or failed")
            return
        await self._keep_locally(tenant, seq, written, data)
        self.progress.tell()

    async def _keep_locally(self, tenant: TenantId, seq: int, written: int, data: bytes) -> None:
        await asyncio.to_thread(self.local.keep_checkpoint, tenant, data)
        self._covered[tenant] = seq
        if self._last.get(tenant, 0) == seq:
            self._uncovered.pop(tenant, None)
        elif tenant in self._uncovered:
            self._uncovered[tenant] = max(self._uncovered[tenant], written)

    async def drained(self, within: float) -> bool:
        """Wait until PostgreSQL has every fact and checkpoint; False when it is away or too slow."""
        tail = self._tails["postgres"]

        def done() -> bool:
            return self.away or (tail.position == self.segments.end and not self._checkpoints)

        return await self.progress.until(done, within) and not self.away

    # --- asking ---

    async def still_ours(self, within: float) -> bool:
        """See the port: asks PostgreSQL now; True when it is away or does not answer within the time."""
        if self._fenced is not None:
            return False
        question: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._questions.append(question)
        self.progress.tell()
        await self.progress.until(lambda: question.done() or self.away or self._fenced is not None, within)
        return self._fenced is None

    def tail(self, name: str) -> Tail:
        """The place of follower `name`; it begins where it was when the log was last open."""
        if name not in self._tails:
            self._tails[name] = Tail(self, self._start_of(name))
        return self._tails[name]

    # --- following ---

    async def _follow(self) -> None:
        backoff = Backoff()
        while True:
            try:
                async with connected(self._url, self._shard) as database:
                    await self._settle(database)
                    await self._feed(database, backoff.reset)
            except Fenced as error:
                self._fenced = error
                self.progress.tell()
                _log.error("log_fenced", shard=self._shard, epoch=self.epoch, reason=str(error))
                raise
            except AWAY_ERRORS as error:
                self._note_away(error)
            await backoff.pause()

    def _note_away(self, error: Exception) -> None:
        state = getattr(error, "sqlstate", None)
        metrics.AWAY.labels(type(error).__name__).inc()
        metrics.POSTGRES_UP.set(0)
        if not self.away:
            _log.warning("log_postgres_away", shard=self._shard, error=type(error).__name__, sqlstate=state)
        self.away = True
        self.progress.tell()

    async def _settle(self, database: Database) -> None:
        """After a connect: make the epoch ours; go back if the database remembers less than we gave it."""
        if self.provisional:
            await database.confirm(self.local.identity().directory, self.epoch)
            self.provisional = False
        await database.check(self.epoch)
        await database.make_partitions(datetime.fromtimestamp(time.time(), UTC).date())
        there = await database.positions()
        if any(there.get(tenant, 0) < seq for tenant, seq in self._committed.items()) or not self._committed:
            self._tails["postgres"].position = await asyncio.to_thread(self._first_missing, there)
        self._committed = dict(there)
        if self._transit is not None:
            self._transit.connected()

    def _first_missing(self, there: dict[TenantId, int]) -> int:
        """A position at or shortly before the first entry that the database lacks."""
        end = self.segments.end
        for record, place in self.segments.replay(end):
            if record.kind == ENTRY:
                entry = codec.entry_columns(record.payload)
                if entry.seq > there.get(TenantId(entry.tenant), 0):
                    return place
        return end

    async def _feed(self, database: Database, well: Callable[[], None]) -> None:
        tail = self._tails["postgres"]
        partitioned = time.monotonic()
        while True:
            records = await self._next(tail)
            if records:
                rows = records if self._transit is None else await self._transit.arrived(database, records)
                with metrics.COMMIT_SECONDS.time():
                    self._committed.update(await database.commit(self.epoch, rows))
                tail.passed()
                metrics.COMMITTED.inc(sum(record.kind == ENTRY for record in records))
            else:
                await database.check(self.epoch)
            self._note_well(well)
            await self._give_checkpoints(database)
            if self._transit is not None:
                await self._transit.keep(database, self.epoch, tail.position, lambda: self.segments.end)
            if time.monotonic() - partitioned > 3600:
                await database.make_partitions(datetime.fromtimestamp(time.time(), UTC).date())
                partitioned = time.monotonic()

    async def _next(self, tail: Tail) -> list[Record]:
        """The next records; nothing after a second, or when a checkpoint or a question waits."""

        def due() -> bool:
            return self.shown > tail.position or bool(self._questions) or bool(self._ripe())

        await self.progress.until(due, IDLE_SECONDS)
        await self.progress.until(lambda: self._pressing(tail), GATHER_SECONDS)
        return await tail.records(0)

    def _pressing(self, tail: Tail) -> bool:
        """Whether there is a reason not to let more gather: somebody waits, or enough is there."""
        backlog = self.segments.end - tail.position
        return bool(self._awaited or self._questions) or not 0 < backlog < _BATCH_BYTES

    def _note_well(self, well: Callable[[], None]) -> None:
        """The database answered, under our epoch."""
        well()
        if self.away:
            _log.info("log_postgres_up", shard=self._shard, epoch=self.epoch)
        self.away = False
        metrics.POSTGRES_UP.set(1)
        questions, self._questions = self._questions, []
        for question in questions:
            if not question.done():
                question.set_result(None)
        self.progress.tell()

    def _ripe(self) -> list[tuple[TenantId, int, int, bytes]]:
        return [each for each in self._checkpoints.values() if each[1] <= self._committed.get(each[0], 0)]

    async def _give_checkpoints(self, database: Database) -> None:
        for checkpoint in self._ripe():
            await database.keep_checkpoint(self.epoch, checkpoint)
            if self._checkpoints.get(checkpoint[0]) is checkpoint:
                del self._checkpoints[checkpoint[0]]

    # --- keeping ---

    async def _keep_house(self) -> None:
        rotated = time.monotonic()
        while True:
            await asyncio.sleep(1)
            if self.segments.failure is not None:
                raise self.segments.failure
            self._keep_positions()
            if time.monotonic() > rotated + ROTATE_SECONDS:
                self.segments.rotate()
                rotated = time.monotonic()
            self.segments.drop_before(self._floor())
            metrics.UNSYNCED_BYTES.set(self.segments.end - self.segments.synced)
            for name, tail in self._tails.items():
                metrics.LAG_BYTES.labels(name).set(self.segments.end - tail.position)

    def _floor(self) -> int:
        """Below this position nobody needs anything."""
        needed = [self.segments.synced, *self._uncovered.values()]
        for name, tail in self._tails.items():
            slack = 0 if name == "postgres" else self.segments.end - BUS_LAG_BYTES
            needed.append(max(tail.position, slack))
        return min(needed)

    def _keep_positions(self) -> None:
        followers = self._positions.followers | {name: tail.position for name, tail in self._tails.items()}
        self._positions = Positions(synced=self.segments.synced, followers=followers)
        try:
            self.local.keep_positions(self._positions)
        except OSError as error:
            _log.warning("log_positions_not_kept", error=type(error).__name__)

    def _start_of(self, name: str) -> int:
        kept = self._positions.followers.get(name, 0)
        return min(max(kept, self.segments.start), self.segments.end)

    def _raise_if_fenced(self) -> None:
        if self._fenced is not None:
            raise self._fenced


def _frame(record: Record) -> tuple[str, TenantId, bytes]:
    decoded = (
        codec.entry_columns(record.payload) if record.kind == ENTRY else codec.decode_party(record.payload)
    )
    return "fact" if record.kind == ENTRY else "party", TenantId(decoded.tenant), record.payload


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # the loop ended first: nobody waits any more
        return
