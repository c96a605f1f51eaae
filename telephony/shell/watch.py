"""One node of the switch, watched: its notes become events, its silences become comparisons.

On every (re)connect, every 30 s and on any doubt the lists are fetched, then a ping is answered, then they
are compared: so whatever happened before the lists is decided already, and only what no event told is left.
While the node is away the door is closed and floors make no offers. After a (re)connect offers wait until
nothing is suspect any more and nobody is in the dialplan's retry loop, or three seconds have passed.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from time import monotonic

import structlog

from telephony.contract.ids import Endpoint, TenantId
from telephony.contract.roster import Device
from telephony.contract.view import CallState
from telephony.engine import commands as c
from telephony.engine import events as e
from telephony.ports import switch as s
from telephony.ports.log import Fenced, Log
from telephony.shell import meters
from telephony.shell.clock import EngineClock
from telephony.shell.directory import Directory
from telephony.shell.door import Door
from telephony.shell.executor import Executor
from telephony.shell.interpret import GiveBack, Interpreter
from telephony.shell.lost import LostLegs
from telephony.shell.parties import Parties
from telephony.shell.reconcile import CONFIRM_SECONDS, Found, Reconciler
from telephony.shell.runtime import Runtime

AUDIT_SECONDS = 30.0
DOUBT_SECONDS = 1.0
"""How far comparisons for a doubt are apart. Where calls end faster than commands reach the switch, each
failure is a doubt, and comparisons on the heels of one another would take the time that the commands lack."""
SETTLE_SECONDS = 3.0
"""How long offers wait at most after a (re)connect."""
LOOK_SECONDS = 0.25
AGAIN_SECONDS = (1.0, 3.0)
"""When phones are listed once more after a (re)connect: Asterisk's list follows a registration that it has
already answered, and the event about it may have been before our subscription."""
PING_TRIES = 10
EPOCH_SECONDS = 2.0

log = structlog.get_logger("watch")


class Watch:
    """Everything that the shell does about one node."""

    def __init__(
        self,
        switch: s.Switch,
        *,
        runtime: Runtime,
        executor: Executor,
        door: Door,
        clock: EngineClock,
        directory: Directory,
        parties: Parties,
        interpreter: Interpreter,
        journal: Log,
    ) -> None:
        self._switch, self._runtime, self._executor = switch, runtime, executor
        self._door, self._clock, self._directory = door, clock, directory
        self._parties, self._interpreter, self._journal = parties, interpreter, journal
        self.node = switch.node
        self.up = False
        self.settled = False
        """Reconciled since the last connect."""
        self.on_up: Callable[[Watch], None] = lambda watch: None
        self._reconciler = Reconciler(self.node, directory, executor.busy)
        self._doubt = asyncio.Event()
        self._boot = ""
        self._rearm = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._recovery: asyncio.Task[None] | None = None
        self._lists = asyncio.Lock()
        self._lost = LostLegs(
            switch, runtime=runtime, directory=directory, door=door, doubt=self.doubt, spawn=self._spawn
        )
        door.close(self._away)

    @property
    def _away(self) -> str:
        return f"away:{self.node}"

    # --- notes --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. Raises SwitchTooOld, Fenced."""
        async for note in self._switch.notes():
            self._door.check()
            meters.notes(self.node, type(note).__name__).inc()
            match note:
                case s.SwitchUp(boot=boot):
                    self._came_up(boot)
                case s.SwitchDown():
                    self._went_down()
                case s.Doubt(why=why):
                    self.doubt(why)
                case s.Replaced():
                    await self._replaced()
                case _:
                    self.take(note)

    def take(self, note: s.Note) -> None:
        """Post what a note means. A note that breaks us is counted and left out: it would come again with
        the next list, and must not end every call each time."""
        try:
            read = self._interpreter.read(note, self._clock.now())
        except Exception as error:
            meters.BROKEN.labels(self.node, type(note).__name__).inc()
            log.exception(
                "note_broke", node=self.node, note_kind=type(note).__name__, error=type(error).__name__
            )
            return
        if isinstance(read, GiveBack):
            self._refuse(read)
        elif read is not None:
            self._runtime.post(*read)
        if isinstance(note, s.DeviceSeen):
            self._lost.moved(note.endpoint)

    def _refuse(self, refused: GiveBack) -> None:
        """Nobody's caller: named, counted, and given back to the dialplan's announcement."""
        meters.REFUSED.labels(self.node, refused.why).inc()
        log.warning("caller_refused", node=self.node, channel=refused.channel, why=refused.why)
        self._spawn(self._give_back(refused.channel))

    async def _give_back(self, channel: str) -> None:
        try:
            await self._switch.give_back(channel)
        except (s.SwitchError, ValueError) as error:
            log.warning("give_back_failed", node=self.node, error=str(error))

    def doubt(self, why: str) -> None:
        """Compare lists soon."""
        log.info("doubt", node=self.node, why=why)
        self._doubt.set()

    # --- up, down, replaced -------------------------------------------------------------------------

    def _came_up(self, boot: str) -> None:
        rebooted = bool(self._boot) and boot != self._boot
        self._boot = boot
        self.up, self.settled = True, False
        if rebooted:
            log.warning("switch_rebooted", node=self.node)
            self._lost_with_boot()
        if self._recovery is not None:
            self._recovery.cancel()
        self._recovery = asyncio.create_task(self._recover(), name="recover")
        self.on_up(self)

    def _went_down(self) -> None:
        self.up = self.settled = False
        if self._recovery is not None:
            self._recovery.cancel()
        self._door.close(self._away)
        self._runtime.pause_offers()

    def _lost_with_boot(self) -> None:
        """Another boot: nothing of before is left, and no list needs to say so."""
        for call, live in self._directory.calls.items():
            if live.node == self.node:
                self._runtime.post(live.tenant, e.CallerGone(call=call, missing=True))

    async def _replaced(self) -> None:
        """Somebody took our application. With a newer epoch: they are the owner, we are done. Without: a
        stranger; we take it back."""
        self._door.close(self._away)
        self._runtime.pause_offers()
        log.error("application_replaced", node=self.node)
        if not await self._journal.still_ours(EPOCH_SECONDS):
            raise Fenced("another daemon owns this shard and has taken its application")
        await asyncio.sleep(random.uniform(0.5, 1.5))
        self._switch.reconnect()

    # --- recovery -----------------------------------------------------------------------------------

    async def _recover(self) -> None:
        """Lists until they agree, devices, then the door, then offers."""
        until = monotonic() + SETTLE_SECONDS
        opened = False
        while True:
            try:
                found = await self.reconcile("connect")
                if not opened:
                    await self._phones()
                    self._door.lift(self._away)
                    opened = True
                if not (found.suspects or found.busy or found.gate) or monotonic() >= until:
                    break
            except s.SwitchError as error:
                log.warning("recovery_delayed", node=self.node, error=str(error))
                if not opened:
                    until = monotonic() + SETTLE_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
        self.settled = True
        if self._door.is_open:
            self._runtime.open_offers()
        log.info("switch_settled", node=self.node, offers=self._runtime.offers_open)
        for pause in AGAIN_SECONDS:
            await asyncio.sleep(pause)
            try:
                await self._phones()
            except s.SwitchError as error:
                log.warning("phones_not_listed", node=self.node, error=str(error))

    async def _phones(self) -> None:
        """Devices as the switch knows them; what it does not know is unreachable. Whoever was reported while
        the list was on its way is newer than the list."""
        reports = self._interpreter.reports
        seen = await self._switch.devices()
        await self._switch.ping()
        for endpoint in list(self._directory.phones):
            if self._interpreter.reported_since(endpoint, reports):
                continue
            posted = self._interpreter.device(endpoint, seen.get(endpoint, False))
            if posted is not None:
                self._runtime.post(*posted)
            if not seen.get(endpoint, False):
                self._lost.moved(endpoint)

    async def after_stall(self) -> None:
        """See the door: a ping sent now, everything before its answer decided, the epoch still ours."""
        for attempt in range(PING_TRIES):
            try:
                await self._switch.ping()
                await self._runtime.drained()
                break
            except s.SwitchError:
                if not self.up:
                    break
                await asyncio.sleep(min(2.0, 0.1 * 2**attempt))
        if not await self._journal.still_ours(EPOCH_SECONDS):
            raise Fenced("another daemon took this shard while we stood still")

    # --- comparing ----------------------------------------------------------------------------------

    async def audit(self) -> None:
        """For ever: every 30 s, on doubt, and a second later for what needs a second look."""
        pause, quiet_until = AUDIT_SECONDS, 0.0
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._doubt.wait()
                    await asyncio.sleep(quiet_until - monotonic())
            except TimeoutError:
                pass
            quiet_until = monotonic() + DOUBT_SECONDS
            doubted = self._doubt.is_set()
            self._doubt.clear()
            pause = AUDIT_SECONDS
            if not self.up:
                continue
            try:
                found = await self.reconcile("audit")
                await self._phones()
            except s.SwitchError as error:
                log.warning("audit_failed", node=self.node, error=str(error))
                pause = 5.0
                continue
            if found.suspects or (doubted and found.busy):
                pause = CONFIRM_SECONDS + 0.1

    async def reconcile(self, why: str) -> Found:
        """One comparison and what follows from it. SwitchError when the lists could not be had."""
        async with self._lists:
            channels = await self._switch.channels()
            bridges = await self._switch.bridges()
            await self._switch.ping()
            await self._runtime.drained()
            views = [tenancy.floor.view for tenancy in self._runtime.tenancies.values()]
            found = self._reconciler.compare(views, channels, bridges, monotonic(), self._rearm)
            self._rearm = False
            meters.RECONCILED.labels(self.node, why).inc()
            await self._act(found, channels)
            return found

    async def _act(self, found: Found, channels: list[s.ChannelSeen]) -> None:
        for kind, count in found.repairs.items():
            meters.REPAIRS.labels(self.node, kind).inc(count)
            log.info("reconciled", node=self.node, kind=kind, count=count)
        for channel in channels:
            call = self._directory.callers.get(channel.id)
            if call is not None:
                self._parties.recall(call, channel.number)
        for newcomer in sorted(found.newcomers, key=lambda each: each.created):
            self._adopt(newcomer)
        for tenant, event in found.events:
            self._runtime.post(tenant, event)
        self._executor.submit(found.resend)
        for name in found.hang_up:
            await self._switch.hang_up(name)
        for name in found.destroy:
            await self._switch.destroy_bridge(name)

    def _adopt(self, channel: s.ChannelSeen) -> None:
        note = self._switch.caller(channel)
        if note is not None:
            self.take(replace(note, adopted=True))

    # --- time-outs ----------------------------------------------------------------------------------

    def renewals(self, tenants: Iterable[TenantId]) -> list[c.SetTimeout]:
        """The dead-man's time-out of every caller who is not talking, again."""
        return [
            c.SetTimeout(call=call.call, channel=call.channel, seconds=90)
            for tenant in tenants
            for call in self._runtime.view(tenant).calls.values()
            if call.node == self.node and call.state in _RENEWED
        ]

    # --- devices ------------------------------------------------------------------------------------

    async def push(self, tenant: TenantId, devices: list[Device], gone: list[Endpoint]) -> None:
        """Make devices known to the switch, take others away. SwitchError: try again."""
        for device in devices:
            if await self._switch.provision(tenant, device):
                log.info("device_written", node=self.node, tenant=tenant)
        for endpoint in gone:
            await self._switch.withdraw(endpoint)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_RENEWED = (CallState.ARRIVED, CallState.WAITING, CallState.HELD, CallState.KEPT)
