"""One tenant followed: cold start from the log, then the stream, holes mended, heartbeat watched.

Load: the newest checkpoint and the entries after it, from PostgreSQL; then the stream from a little before
now. Every entry is folded once, by seq: older ones are dropped, a hole is read from PostgreSQL (it can lag
behind the stream by a commit, so a few times), and what cannot be mended is loaded anew. An entry of a later
epoch at a seq that we already have means that we followed a writer whose last entries were never kept: load
anew. A heartbeat says where the log stands, so a hole at the end is found too.

Live: a heartbeat younger than STALE_SECONDS. Stale: none. Offline: Redis itself does not answer us, so
that nobody's ask would get through. Clients hear of every change, and after Redis was away they are resynced.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from realtime import messages as m
from realtime import meters
from realtime.audience import Audience
from realtime.outbox import Outbox
from realtime.pops import Pops, Wanted
from realtime.replica import Desk, Replica
from realtime.stream import Stream
from realtime.tasks import end
from telephony.contract import facts as f
from telephony.contract.frames import Ack, Beat, Entry, Party
from telephony.contract.ids import AgentId, AskId, PartyId
from telephony.contract.view import CallView, View

if TYPE_CHECKING:
    from realtime.sources import Sources

STALE_SECONDS = 5.0
QUEUE_PERIOD = 0.25
QUEUE_PERIOD_LONGEST = 1.0
QUEUE_FRAMES = 100
"""So many sockets a second are told of a queue's counts, so that many desks have them a little less often."""
WALL_PERIOD = 0.5
MEND_TRIES = 8
BEHIND_GRACE = 0.3
PARTIES_KEPT = 10_000
ACKS_KEPT = 1_000

log = structlog.get_logger(__name__)
Refresh = Callable[[], list[str]]


class Reload(Exception):
    """The replica cannot be continued; `why` is one of a closed set."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Feed:
    """Runs in one task from `start` to `stop`; the rest of its methods are called from the same loop."""

    def __init__(self, tenant: str, stream: Stream, sources: Sources) -> None:
        self.tenant = tenant
        self.replica = Replica(tenant)
        self._expected: dict[AskId, set[asyncio.Future[Ack]]] = {}
        self._acks: OrderedDict[AskId, Ack] = OrderedDict()
        self.loaded = False
        self.users = 0
        self.idle_since = time.monotonic()
        self._stream, self._sources = stream, sources
        self._parties: OrderedDict[PartyId, m.Who] = OrderedDict()
        self._beat_ms: int | None = None
        self._must_reach: tuple[int, float] | None = None
        self._away = False
        self._cards = Pops(tenant, self._look, self._spawn)
        self._moved = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue_flush: asyncio.TimerHandle | None = None
        self._wall_flush: asyncio.TimerHandle | None = None
        self._queues_at = self._wall_at = 0.0

    # --- life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._spawn(self._run())
        self._spawn(self._watch_beat())

    async def stop(self) -> None:
        for timer in (self._queue_flush, self._wall_flush):
            if timer is not None:
                timer.cancel()
        await end(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        tries = 0
        while True:
            try:
                await self._load()
                tries = 0
                while True:
                    await self._step()
            except Reload as why:
                meters.RELOADS.labels(why.why).inc()
            except Exception as error:  # whatever it was, desks come back by themselves
                meters.RELOADS.labels("error").inc()
                log.warning("feed_failed", tenant=self.tenant, error=type(error).__name__, exc_info=True)
            tries = min(tries + 1, 6)
            await asyncio.sleep(random.uniform(0.5, 1.0) * 0.05 * 2**tries)

    async def _load(self) -> None:
        view = await self._sources.cold(self.tenant)
        await self._learn_names()
        await self._learn_parties(view.calls.values())
        self._must_reach, self.loaded = None, False
        self.replica.replace(view)
        await self._step(block_ms=1)
        self.loaded = True
        self._judge()
        for audience in self.replica.audiences():
            for socket in audience.sockets:
                socket.resync()

    # --- the stream ------------------------------------------------------------------------------------

    async def _step(self, block_ms: int = 500) -> None:
        items = await self._stream.read(50 if self._must_reach is not None else block_ms)
        entries = []
        for at, item in items:
            if isinstance(item, Entry):
                entries.append(item)
            elif isinstance(item, Party):
                self._keep_party(item)
            elif isinstance(item, Beat):
                self._beat(at, item)
        if entries:
            await self._take(entries)
        for _, item in items:
            if isinstance(item, Ack):
                self._answer(item)
        await self._catch_up()
        self._judge()

    async def _take(self, entries: list[Entry]) -> None:
        """Fold a batch and tell; holes in it are mended first."""
        view = self.replica.view
        ready: list[Entry] = []
        seq, epoch, turned = view.seq, view.epoch, False
        for entry in entries:
            if entry.epoch > epoch and entry.seq <= seq:
                raise Reload("another branch")
            if entry.seq <= seq:
                continue
            if entry.epoch < epoch:
                meters.FENCED.inc()
                continue
            if entry.seq > seq + 1:
                if entry.epoch > epoch:
                    raise Reload("epoch with a gap")
                missing = await self._mend(seq, entry.seq - 1)
                ready += missing
            turned = turned or entry.epoch != epoch
            ready.append(entry)
            seq, epoch = entry.seq, entry.epoch
        self._apply(ready, turned)

    def _apply(self, entries: list[Entry], turned: bool) -> None:
        if not entries:
            return
        touched = self.replica.fold(entries)
        self._name_parties(entries)
        self._moved.set()
        self._moved.clear()
        if turned:
            self.replica.resync()
        for desk, call in self.replica.tell(touched):
            self._cards.ask(desk, call)
        if any(isinstance(each.fact, f.PolicyAdopted | f.RosterAdopted) for each in entries):
            self._spawn(self._relearn())
        self._schedule()

    async def _mend(self, after: int, upto: int) -> list[Entry]:
        """The entries in (after, upto], from PostgreSQL; Reload when they do not appear."""
        for attempt in range(MEND_TRIES):
            found = await self._sources.entries(self.tenant, after, upto)
            if len(found) == upto - after:
                meters.GAPS.labels("read").inc()
                return found
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(0.4, 0.025 * 2**attempt))
        meters.GAPS.labels("not_there").inc()
        raise Reload("gap")

    def _beat(self, at: int, beat: Beat) -> None:
        view = self.replica.view
        if beat.epoch < view.epoch:
            return
        if beat.epoch > view.epoch and beat.seq < view.seq:
            raise Reload("another branch")
        self._beat_ms = max(at, self._beat_ms or 0)
        if beat.seq > view.seq and self._must_reach is None:
            self._must_reach = (beat.seq, time.monotonic() + BEHIND_GRACE)

    async def _catch_up(self) -> None:
        """A heartbeat named a seq: when the stream has not brought it in a moment, read it."""
        if self._must_reach is None:
            return
        goal, by = self._must_reach
        view = self.replica.view
        if view.seq >= goal:
            self._must_reach = None
        elif time.monotonic() >= by:
            self._must_reach = None
            missing = await self._mend(view.seq, goal)
            self._apply(missing, any(each.epoch != view.epoch for each in missing))

    def _answer(self, ack: Ack) -> None:
        self._acks[ack.ask] = ack
        while len(self._acks) > ACKS_KEPT:
            self._acks.popitem(last=False)
        for waiting in self._expected.get(ack.ask, ()):
            if not waiting.done():
                waiting.set_result(ack)

    async def until(self, holds: Callable[[View], bool], within: float) -> bool:
        """Wait until something is true of the replica; False when it was not within so many seconds."""
        try:
            async with asyncio.timeout(within):
                while not holds(self.replica.view):
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    @contextmanager
    def expect(self, ask: AskId) -> Iterator[asyncio.Future[Ack]]:
        """A future of the answer to this ask; done at once when it was answered a moment ago."""
        waiting: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        if ask in self._acks:
            waiting.set_result(self._acks[ask])
        self._expected.setdefault(ask, set()).add(waiting)
        try:
            yield waiting
        finally:
            left = self._expected.get(ask, set())
            left.discard(waiting)
            if not left:
                self._expected.pop(ask, None)

    # --- live, stale, offline --------------------------------------------------------------------------

    async def _watch_beat(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            self._judge()

    def _judge(self) -> None:
        """Settle on live, stale or offline, and tell when it changed."""
        now: m.Live = "stale"
        if not self.loaded or not self._stream.present:
            now = "offline"
        elif self._beat_ms is not None and self._stream.age(self._beat_ms) <= STALE_SECONDS:
            now = "live"
        self._away = self._away or (self.loaded and now == "offline")
        before, self.replica.live = self.replica.live, now
        if now == before:
            return
        text = self.notice()
        for audience in self.replica.audiences():
            for socket in audience.sockets:
                socket.put(text)
        if self._away and now == "live":
            self._away = False
            self.replica.resync()

    def notice(self) -> str:
        """How the telephone side is, as a frame."""
        level: dict[m.Live, m.Level] = {"live": "info", "stale": "warning", "offline": "error"}
        live = self.replica.live
        return self.replica.text("notice", m.Notice(code=live, level=level[live], detail=_SAYS[live]))

    # --- parties and pops ------------------------------------------------------------------------------

    def _keep_party(self, party: Party) -> None:
        who = self._sources.open_party(party)
        if who is not None:
            self._parties[party.party] = self.replica.names.parties[party.party] = who
            while len(self._parties) > PARTIES_KEPT:
                self._parties.popitem(last=False)
        if self._sources.keys_wanted(party):
            self._spawn(self._learn_keys(party if who is None else None))

    async def _learn_keys(self, unopened: Party | None) -> None:
        """Know the next key before it is used; a party that came too early is opened now."""
        try:
            await self._sources.learn_keys(self.tenant)
        except Exception as error:  # its row tells the same, a little later
            log.warning("keys_not_read", tenant=self.tenant, error=type(error).__name__)
            return
        if unopened is not None:
            self._keep_party(unopened)

    def _name_parties(self, entries: list[Entry]) -> None:
        for entry in entries:
            if isinstance(entry.fact, f.CallArrived) and entry.fact.party in self._parties:
                self.replica.names.parties[entry.fact.party] = self._parties[entry.fact.party]
        if len(self.replica.names.parties) > 2 * len(self.replica.view.calls) + 64:
            living = {each.party for each in self.replica.view.calls.values()}
            known = self.replica.names.parties
            self.replica.names.parties = {each: known[each] for each in known.keys() & living}

    async def _learn_parties(self, calls: Iterable[CallView]) -> None:
        known = self.replica.names.parties
        wanted = []
        for party in (each.party for each in calls):
            if party in self._parties:
                known.setdefault(party, self._parties[party])
            elif party not in known:
                wanted.append(party)
        if wanted:
            self.replica.names.parties |= await self._sources.parties(self.tenant, wanted)

    async def _look(self, batch: list[Wanted]) -> None:
        """Show who is calling to those for whom it still matters."""
        live = [each for each in batch if each.call.call in self.replica.view.calls]
        await self._learn_parties(each.call for each in live)
        known, nobody = self.replica.names.parties, m.Who(number=None, name=None)
        callers = [(each.call.call, each.leg, known.get(each.call.party, nobody)) for each in live]
        for each, pop in zip(live, await self._sources.pops(self.tenant, callers), strict=True):
            self.replica.know(pop, each.desk)

    async def _relearn(self) -> None:
        try:
            await self._learn_names()
        except Exception as error:
            log.warning("names_not_read", tenant=self.tenant, error=type(error).__name__)
            return
        self.replica.tally.dirty |= self.replica.tally.queues()
        self._schedule()

    async def _learn_names(self) -> None:
        names = self.replica.names
        names.queues, names.people = await self._sources.names(self.tenant)

    # --- counts, a few times a second ------------------------------------------------------------------

    def _schedule(self) -> None:
        """Flush at once after a quiet time, else when the period since the last flush is over."""
        if self.replica.tally.dirty and self._queue_flush is None:
            loop = asyncio.get_running_loop()
            self._queue_flush = loop.call_at(self._queues_at + self._queue_period(), self._flush_queues)

    def _queue_period(self) -> float:
        sockets = sum(len(audience.sockets) for audience in self.replica.audiences())
        return min(max(QUEUE_PERIOD, sockets / QUEUE_FRAMES), QUEUE_PERIOD_LONGEST)

    def _flush_queues(self) -> None:
        self._queue_flush = None
        loop = asyncio.get_running_loop()
        self._queues_at = loop.time()
        self.replica.flush_queues()
        if self.replica.wall_waits and self._wall_flush is None:
            self._wall_flush = loop.call_at(self._wall_at + WALL_PERIOD, self._flush_wall)

    def _flush_wall(self) -> None:
        self._wall_flush = None
        self._wall_at = asyncio.get_running_loop().time()
        self.replica.flush_wallboard()

    # --- sockets ---------------------------------------------------------------------------------------

    def desk(self, agent: AgentId, position: tuple[int, int] | None) -> tuple[Audience, Outbox]:
        """A place at an agent's desk, continued from `position` (epoch, seq) when that is possible."""
        desk = self.replica.desk(agent)

        def snapshot() -> list[str]:
            if not self.loaded:
                return []
            self._pops(desk)
            return self.replica.desk_snapshot(desk)

        return desk, self._enter(desk, Outbox(snapshot), position)

    def floor(self, position: tuple[int, int] | None) -> tuple[Audience, Outbox]:
        audience = self.replica.watch_floor()
        return audience, self._enter(audience, self._box(self.replica.floor_snapshot), position)

    def wallboard(self, position: tuple[int, int] | None) -> tuple[Audience, Outbox]:
        audience = self.replica.watch_wallboard()
        return audience, self._enter(audience, self._box(self.replica.wallboard_snapshot), position)

    def leave(self, audience: Audience, outbox: Outbox) -> None:
        audience.sockets.discard(outbox)
        if not audience.sockets:
            audience.quiet_since = time.monotonic()

    def forget_quiet(self, seconds: float) -> None:
        """Drop desks that nobody came back to."""
        old = time.monotonic() - seconds
        for agent, desk in list(self.replica.desks.items()):
            if desk.quiet_since is not None and desk.quiet_since < old and not desk.sockets:
                del self.replica.desks[agent]

    def _box(self, snapshot: Refresh) -> Outbox:
        return Outbox(lambda: snapshot() if self.loaded else [])

    def _enter(self, audience: Audience, outbox: Outbox, position: tuple[int, int] | None) -> Outbox:
        audience.sockets.add(outbox)
        audience.quiet_since = None
        missed, view = None, self.replica.view
        if self.loaded and position is not None and position[0] == view.epoch and position[1] <= view.seq:
            missed = audience.after(position[1])
        if missed is None:
            outbox.resync()
            if not self.loaded:
                outbox.answer(self.notice())
            return outbox
        outbox.resumed = True
        for text in (*missed, self.notice()):
            outbox.put(text)
        return outbox

    def _pops(self, desk: Desk) -> None:
        """A snapshot says what rings and what is in hand; who it is follows."""
        calls = (self.replica.offered(self.replica.agent(desk.agent)), self.replica.in_hand(desk.agent))
        for call in calls:
            if call is not None:
                self._cards.ask(desk, call)


_SAYS: dict[m.Live, str] = {
    "live": "The telephone side answers.",
    "stale": "Nothing was heard from the telephone side for some seconds. What is shown may be old.",
    "offline": "The way to the telephone side is closed. The phone itself goes on working.",
}
