"""One inbox and one writer per tenant, turns that are fair, and the order of everything.

A turn takes at most 64 events or two milliseconds of one tenant's inbox: each is decided, then all their
facts are appended to the log in one write, then the commands leave and the answers wait for the commit.
Nothing is awaited in between, so nothing can come in between. A floor whose step raised has facts that
nobody wrote: it is thrown away and built again from the log, and no other tenant notices.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

import structlog

from telephony.contract import facts as f
from telephony.contract.asks import Envelope
from telephony.contract.frames import Ack, Entry, Party
from telephony.contract.ids import CallId, TenantId
from telephony.contract.policy import Manifest, Policy, QueuePolicy
from telephony.contract.view import View
from telephony.engine import commands as c
from telephony.engine import events as e
from telephony.engine.floor import Floor, Step
from telephony.ports.bus import Bus
from telephony.ports.journal import Recorder
from telephony.ports.log import Fenced, Log
from telephony.shell import meters
from telephony.shell.clock import EngineClock
from telephony.shell.directory import Directory
from telephony.shell.door import Door
from telephony.shell.parties import Parties

TURN_EVENTS = 64
TURN_SECONDS = 0.002
COMMIT_SECONDS = 1.5
"""How long an answer waits for PostgreSQL: asks are answered within 2 s."""
ANSWERS = 2000
"""Answers under way at once; beyond that the bus is not keeping up and asks are refused."""

log = structlog.get_logger("runtime")


class Tenancy:
    """One tenant's floor, inbox and timer."""

    __slots__ = ("floor", "inbox", "longest", "parked", "queued", "timer", "timer_at")

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.inbox: deque[e.Event] = deque()
        self.queued = False
        self.parked = False
        self.longest = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.timer_at: int | None = None


class Runtime:
    """`submit` takes switch commands. `failed` ends with the error that makes going on impossible."""

    def __init__(
        self,
        *,
        log: Log,
        bus: Bus,
        clock: EngineClock,
        door: Door,
        directory: Directory,
        parties: Parties,
        submit: Callable[[list[c.SwitchCommand]], None],
        build: str,
        older: Callable[[TenantId, str], QueuePolicy | None] = lambda tenant, digest: None,
        recorder: Recorder | None = None,
    ) -> None:
        self._log, self._bus, self._clock, self._door = log, bus, clock, door
        self._directory, self._parties, self._submit = directory, parties, submit
        self._build, self._older, self._recorder = build, older, recorder
        self._ready: deque[TenantId] = deque()
        self._scheduled = False
        self._drained: list[asyncio.Future[None]] = []
        self._answers: set[asyncio.Task[None]] = set()
        self._repairs: set[asyncio.Task[None]] = set()
        self.tenancies: dict[TenantId, Tenancy] = {}
        self.policies: dict[TenantId, Policy] = {}
        """The latest of each tenant: what a floor is built with."""
        self.offers_open = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- floors -------------------------------------------------------------------------------------

    def add(self, tenant: TenantId, view: View | None = None) -> None:
        """Serve a tenant from now on; its floor begins with the view, or empty."""
        floor = self._floor(tenant, view)
        self._directory.load(floor.view)
        self.tenancies[tenant] = Tenancy(floor)
        self.post(tenant, e.DaemonStarted(build=self._build))
        if self.offers_open:
            self.post(tenant, e.OffersOpened())

    def _floor(self, tenant: TenantId, view: View | None) -> Floor:
        view = view or View(tenant=tenant)
        floor = Floor(view, self._pinned(tenant, view))
        floor.epoch = self._log.epoch
        return floor

    def _pinned(self, tenant: TenantId, view: View) -> list[Policy]:
        """The policy in force, and what live calls still go by although it was replaced."""
        known = self.policies.get(tenant)
        policies = [known] if known is not None else []
        for call in view.calls.values():
            blob = self._older(tenant, call.flow) if call.flow and call.queue is not None else None
            if blob is not None:
                pinned = Manifest(tenant=tenant, version=0, queues=((blob.queue, call.flow),), numbers=())
                policies.append(Policy(hash="", manifest=pinned, queues={blob.queue: blob}))
        return policies

    async def watch(self) -> None:
        """Runs until going on is impossible; raises why."""
        await asyncio.shield(self.failed)

    def publish(self, policy: Policy) -> None:
        """A policy of a tenant, which is served from now on."""
        tenant = policy.manifest.tenant
        self.policies[tenant] = policy
        if tenant not in self.tenancies:
            self.add(tenant)
        self.post(tenant, e.PolicyPublished(policy=policy))

    def view(self, tenant: TenantId) -> View:
        return self.tenancies[tenant].floor.view

    def open_offers(self) -> None:
        """Blindness is over."""
        self.offers_open = True
        meters.OFFERS_OPEN.set(1)
        for tenant in self.tenancies:
            self.post(tenant, e.OffersOpened())

    def pause_offers(self) -> None:
        """At once, before anything else is decided, and as of the last instant before the blindness: nobody
        misses a ring because we stood still."""
        self.offers_open = False
        meters.OFFERS_OPEN.set(0)
        for tenant, tenancy in self.tenancies.items():
            if tenancy.parked or self.failed.done():
                continue
            try:
                self._keep(tenancy, [self._step(tenant, tenancy, e.OffersPaused(), self._clock.last)])
                self._arm(tenant, tenancy)
            except (Fenced, OSError, ValueError) as error:
                self._fail(error)

    # --- events -------------------------------------------------------------------------------------

    def post(self, tenant: TenantId, event: e.Event) -> bool:
        """Put an event into a tenant's inbox; False for a tenant that is not served."""
        tenancy = self.tenancies.get(tenant)
        if tenancy is None:
            return False
        tenancy.inbox.append(event)
        self._enqueue(tenant, tenancy)
        return True

    def ask(self, envelope: Envelope) -> None:
        if len(self._answers) < ANSWERS:
            self.post(envelope.tenant, e.Asked(envelope=envelope))

    async def drained(self) -> None:
        """Returns when every event posted so far has been decided."""
        if self._ready:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._drained.append(waiter)
            await waiter

    def _enqueue(self, tenant: TenantId, tenancy: Tenancy) -> None:
        if tenancy.queued or tenancy.parked:
            return
        tenancy.queued = True
        self._ready.append(tenant)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self.failed.done():
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """One tenant's turn, then whatever else the loop has to do."""
        self._scheduled = False
        if self.failed.done() or not self._ready:
            return
        self._door.check()
        if self.failed.done():
            return
        tenant = self._ready.popleft()
        tenancy = self.tenancies[tenant]
        tenancy.queued = False
        try:
            self._turn(tenant, tenancy)
        except (Fenced, OSError, ValueError) as error:
            self._fail(error)
            return
        if tenancy.inbox:
            self._enqueue(tenant, tenancy)
        if self._ready:
            self._schedule()
            return
        waiters, self._drained = self._drained, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        """The log took nothing: what floors decided since holds nowhere, so nothing of it may leave."""
        self._door.close("failed")
        log.error("log_refused", error=type(error).__name__, detail=str(error))
        if not self.failed.done():
            self.failed.set_exception(error)

    # --- a turn -------------------------------------------------------------------------------------

    def _turn(self, tenant: TenantId, tenancy: Tenancy) -> None:
        steps = []
        until = monotonic() + TURN_SECONDS
        for _ in range(TURN_EVENTS):
            if not tenancy.inbox or tenancy.parked:
                break
            steps.append(self._step(tenant, tenancy, tenancy.inbox.popleft(), self._clock.now()))
            if monotonic() > until:
                break
        if not steps and not tenancy.parked:
            steps.append(self._step(tenant, tenancy, None, self._clock.now()))
        self._keep(tenancy, steps)
        self._arm(tenant, tenancy)

    def _step(self, tenant: TenantId, tenancy: Tenancy, event: e.Event | None, now: int) -> Step:
        started = monotonic()
        kind = "Wake" if event is None else type(event).__name__
        try:
            if self._recorder is not None:
                self._recorder.note(tenancy.floor, event, now)
            step = tenancy.floor.wake(now) if event is None else tenancy.floor.step(event, now)
        except Exception as error:
            log.exception("floor_broke", tenant=tenant, event_kind=kind, error=type(error).__name__)
            self._park(tenant, tenancy)
            return Step()
        tenancy.longest = max(tenancy.longest, monotonic() - started)
        meters.steps(tenant, kind).inc()
        if step.ignored is not None:
            meters.ignored(tenant, kind).inc()
            if isinstance(event, e.CallerEntered):
                self._parties.drop(event.call, event.party)
        return step

    def _keep(self, tenancy: Tenancy, steps: list[Step]) -> None:
        """Facts to the log, then commands to the switch, then answers."""
        entries = [entry for step in steps for entry in step.entries]
        if entries:
            self._log.append(entries, self._parties_of(entries))
            self._directory.note(entries)
            self._forget(entries)
        commands: list[c.SwitchCommand] = []
        for step in steps:
            for command in step.commands:
                if isinstance(command, c.Answer):
                    self._answer(tenancy, command)
                else:
                    commands.append(command)
        if commands:
            self._submit(commands)

    def _parties_of(self, entries: list[Entry]) -> list[Party]:
        named = (entry.fact.party for entry in entries if isinstance(entry.fact, f.CallArrived))
        found = (self._parties.take(party) for party in named)
        return [party for party in found if party is not None]

    def _forget(self, entries: list[Entry]) -> None:
        for entry in entries:
            meters.facts(entry.tenant, type(entry.fact).__name__).inc()
            if isinstance(entry.fact, f.CallEnded):
                self._parties.forget(entry.fact.call)

    # --- deadlines ----------------------------------------------------------------------------------

    def _arm(self, tenant: TenantId, tenancy: Tenancy) -> None:
        due = tenancy.floor.next_deadline()
        if due == tenancy.timer_at and tenancy.timer is not None:
            return
        if tenancy.timer is not None:
            tenancy.timer.cancel()
        tenancy.timer, tenancy.timer_at = None, due
        if due is not None:
            pause = max(0, due - self._clock.now()) / 1_000_000
            loop = asyncio.get_running_loop()
            tenancy.timer = loop.call_later(pause, self._due, tenant, tenancy)

    def _due(self, tenant: TenantId, tenancy: Tenancy) -> None:
        tenancy.timer = None
        tenancy.timer_at = None
        self._enqueue(tenant, tenancy)

    # --- answers ------------------------------------------------------------------------------------

    def _answer(self, tenancy: Tenancy, answer: c.Answer) -> None:
        view = tenancy.floor.view
        task = asyncio.create_task(self._send_answer(TenantId(view.tenant), answer, view.seq))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _send_answer(self, tenant: TenantId, answer: c.Answer, seq: int) -> None:
        code = answer.code
        if answer.ok:
            try:
                kept = await self._log.committed(tenant, seq, COMMIT_SECONDS)
            except (TimeoutError, OSError):
                kept = "pending"
            except Fenced as error:
                self._fail(error)
                return
            code = code if kept == "ok" else kept
        await self._bus.send(
            Ack(tenant=tenant, ask=answer.ask, ok=answer.ok, code=code, detail=answer.detail, seq=seq)
        )

    # --- mending ------------------------------------------------------------------------------------

    def _park(self, tenant: TenantId, tenancy: Tenancy) -> None:
        """Take a broken floor out of the turns and build it anew from the log."""
        tenancy.parked = True
        meters.POISONED.labels(tenant).inc()
        task = asyncio.get_running_loop().create_task(self._rebuild(tenant, tenancy))
        self._repairs.add(task)
        task.add_done_callback(self._repairs.discard)

    async def _rebuild(self, tenant: TenantId, tenancy: Tenancy) -> None:
        try:
            views = await self._log.recover()
        except Exception as error:
            self._fail(error)
            return
        tenancy.floor, tenancy.parked = self._floor(tenant, views.get(tenant)), False
        start: list[e.Event] = [e.DaemonStarted(build=self._build)]
        if tenant in self.policies:
            start.append(e.PolicyPublished(policy=self.policies[tenant]))
        start += [e.OffersOpened()] if self.offers_open else []
        tenancy.inbox.extendleft(reversed(start))
        self._enqueue(tenant, tenancy)

    def live(self, call: CallId) -> View | None:
        """The view that holds a call, if a floor has it."""
        tenant = self._directory.tenant_of(call)
        tenancy = self.tenancies.get(tenant) if tenant is not None else None
        return tenancy.floor.view if tenancy is not None and call in tenancy.floor.view.calls else None
