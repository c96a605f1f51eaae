"""The only place that wires.

`Parts` are what the daemon needs of the world; `real_parts` makes them of PostgreSQL's log, Redis and
Asterisk, a test of whatever it likes. `Daemon` puts the shell together and runs it:

1. take the epoch, recover the floors from the log;
2. read what is published, from the cache when PostgreSQL is away;
3. connect to Asterisk, compare, open the door, then the offers;
4. on SIGTERM: no more offers, what was decided leaves, a last checkpoint, the end.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import structlog

from dialplan.follower import FallbackFollower
from telephony.adapters.ami.link import AmiLink
from telephony.adapters.ari.rest import Http
from telephony.adapters.ari.switch import AriSwitch
from telephony.adapters.bus.redis import RedisBus
from telephony.adapters.journal import JournalFiles
from telephony.adapters.log.claim import DatabaseNeeded
from telephony.adapters.log.log import FileLog
from telephony.adapters.log.published import PublishedFeed
from telephony.adapters.log.segment import InUse
from telephony.adapters.log.transit import Transit
from telephony.contract.ids import CallId, TenantId
from telephony.contract.policy import QueuePolicy
from telephony.engine import commands as c
from telephony.engine import events as e
from telephony.ports.bus import Bus
from telephony.ports.journal import Recorder
from telephony.ports.log import Fenced, Log
from telephony.ports.published import Published, Sealer
from telephony.ports.switch import Switch, SwitchTooOld
from telephony.sealing import SealError
from telephony.settings import BadSettings, Settings, read
from telephony.shell import logs
from telephony.shell.checkpoint import Checkpoints
from telephony.shell.clock import EngineClock
from telephony.shell.directory import Directory
from telephony.shell.door import Door
from telephony.shell.executor import Executor
from telephony.shell.health import Health
from telephony.shell.interpret import Interpreter
from telephony.shell.keeping import Provisioner, Publications, Stalls, beat, keep_clock
from telephony.shell.lease import keep_lease, keep_timeouts
from telephony.shell.parties import Parties
from telephony.shell.runtime import Runtime
from telephony.shell.supervisor import Supervisor, Work
from telephony.shell.watch import Watch

PUBLISHED_SECONDS = 15.0
DRAIN_SECONDS = 2.0
EXIT_FAILURE, EXIT_USAGE, EXIT_DEPENDENCY = 1, 2, 5

log = structlog.get_logger("daemon")


async def _nothing() -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Parts:
    """`followers` run beside, each started again when it falls; `close` lets go of everything."""

    log: Log
    bus: Bus
    published: Published
    sealer: Sealer
    switches: dict[str, Switch]
    older: Callable[[TenantId, str], QueuePolicy | None] = lambda tenant, digest: None
    followers: dict[str, Work] = field(default_factory=dict)
    recorder: Recorder | None = None
    close: Callable[[], Awaitable[None]] = _nothing


class Daemon:
    def __init__(self, parts: Parts, *, build: str, bind: tuple[str, int]) -> None:
        self._parts, self._build = parts, build
        self.door = Door()
        self.directory = Directory()
        self.parties = Parties(parts.sealer)
        self.interpreter = Interpreter(self.directory, self.parties)
        self._supervisor = Supervisor(lambda: self.door.close("ended"))
        self._health = Health(*bind, self.state)
        self.watches: list[Watch] = []
        self.runtime: Runtime | None = None

    def stop(self, reason: str = "asked") -> None:
        self._supervisor.stop(reason)

    def state(self) -> dict[str, object]:
        """What /readyz shows."""
        nodes = {watch.node: watch.settled for watch in self.watches}
        ready = bool(nodes) and all(nodes.values()) and self.door.is_open
        return {"ready": ready, "nodes": nodes, "closed": list(self.door.reasons)}

    async def run(self, signals: bool = True) -> None:
        """Until stopped. Raises Fenced, SwitchTooOld, OSError."""
        self.door.close("starting")
        await self._health.start()
        try:
            await self._start(signals)
            await self._supervisor.until_stopped(self._drain)
        finally:
            self.door.close("ended")
            await self._health.stop()
            await self._parts.close()

    # --- start --------------------------------------------------------------------------------------

    async def _start(self, signals: bool) -> None:
        if signals:
            self._supervisor.on_signals()
        parts = self._parts
        views = await parts.log.recover()
        self._clock = EngineClock(max((view.at for view in views.values()), default=0))
        runtime = self.runtime = self._runtime()
        for tenant in sorted(views):
            runtime.add(tenant, views[tenant])
        parts.bus.serve(set(runtime.tenancies))
        self._watch_all(runtime)
        self._run_keepers(runtime)
        await self._read_published(runtime)
        self._run_switches(runtime)
        gc.collect()
        gc.freeze()
        self.door.lift("starting")
        log.info("started", tenants=len(runtime.tenancies), epoch=parts.log.epoch, build=self._build)

    def _runtime(self) -> Runtime:
        return Runtime(
            log=self._parts.log,
            bus=self._parts.bus,
            clock=self._clock,
            door=self.door,
            directory=self.directory,
            parties=self.parties,
            submit=lambda commands: self._executor.submit(commands),
            older=self._parts.older,
            build=self._build,
            recorder=self._parts.recorder,
        )

    def _watch_all(self, runtime: Runtime) -> None:
        self._executor = Executor(
            self._parts.switches,
            self.door,
            node_of=self._node_of,
            shown=self._shown,
            wanted=self._wanted,
            report=self._report,
            doubt=self._doubt,
        )
        for switch in self._parts.switches.values():
            watch = Watch(
                switch,
                runtime=runtime,
                executor=self._executor,
                door=self.door,
                clock=self._clock,
                directory=self.directory,
                parties=self.parties,
                interpreter=self.interpreter,
                journal=self._parts.log,
            )
            self.watches.append(watch)
        self._provisioner = Provisioner(self.directory, self.watches)
        for watch in self.watches:
            watch.on_up = self._provisioner.connected

    def _run_keepers(self, runtime: Runtime) -> None:
        run, parts = self._supervisor, self._parts
        self._checkpoints = Checkpoints(runtime, parts.log)
        stalls = Stalls(self.door, runtime, self.watches)
        run.essential("door", self.door.tick)
        run.essential("log", parts.log.watch)
        run.essential("floors", runtime.watch)
        run.essential("stalls", stalls.run)
        run.essential("executor", self._executor.run)
        run.essential("checkpoints", self._checkpoints.run)
        run.restarted("clock", lambda: keep_clock(self._clock))
        run.restarted("beat", lambda: beat(runtime, parts.bus, self._clock, self.directory, parts.log.epoch))
        run.restarted("asks", self._asks)
        run.restarted("provisioner", self._provisioner.run)
        for name, work in parts.followers.items():
            run.restarted(name, work)

    def _run_switches(self, runtime: Runtime) -> None:
        run = self._supervisor
        for watch, switch in zip(self.watches, self._parts.switches.values(), strict=True):
            run.essential(f"watch-{watch.node}", watch.run)
            run.essential(f"audit-{watch.node}", watch.audit)
            run.restarted(f"lease-{watch.node}", partial(keep_lease, switch, watch, self.door))
            run.restarted(f"timeouts-{watch.node}", partial(keep_timeouts, watch, runtime, self._executor))

    async def _read_published(self, runtime: Runtime) -> None:
        """Start with policies and rosters in place; without any if that takes too long."""
        publications = Publications(
            self._parts.published,
            runtime,
            self.directory,
            self._provisioner,
            self._parts.bus,
            self.interpreter.forget_device,
        )
        self._supervisor.restarted("published", publications.run)
        try:
            async with asyncio.timeout(PUBLISHED_SECONDS):
                await publications.complete.wait()
        except TimeoutError:
            log.error("published_unknown", seconds=PUBLISHED_SECONDS)

    async def _asks(self) -> None:
        assert self.runtime is not None
        async for envelope in self._parts.bus.asks():
            self.runtime.ask(envelope)

    # --- between executor and floors ----------------------------------------------------------------

    def _node_of(self, call: CallId) -> str:
        live = self.directory.find(call)
        return live.node if live is not None else next(iter(self._parts.switches))

    def _shown(self, ring: c.RingAgent) -> str:
        """A browser pairs the call with its offer by the id; a desk phone shows the caller's number."""
        phone = self.directory.phones.get(ring.endpoint)
        if phone is not None and phone.kind == "sip":
            return self.parties.number(ring.call)
        return ring.leg

    def _wanted(self, command: c.SwitchCommand) -> bool:
        """Whether what a ring or a bridge was ordered for still holds; everything else is carried out."""
        if not isinstance(command, c.RingAgent | c.Bridge):
            return True
        assert self.runtime is not None
        view = self.runtime.live(command.call)
        call = view.calls.get(command.call) if view is not None else None
        if call is None:
            return False
        if isinstance(command, c.Bridge):
            return call.bridge == command.bridge
        return call.offer is not None and call.offer.offer == command.leg

    def _report(self, call: CallId, event: e.Event) -> None:
        tenant = self.directory.tenant_of(call)
        if tenant is not None and self.runtime is not None:
            self.runtime.post(tenant, event)

    def _doubt(self, node: str, why: str) -> None:
        for watch in self.watches:
            if watch.node == node:
                watch.doubt(why)

    # --- end ----------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        assert self.runtime is not None
        self.runtime.pause_offers()
        await self.runtime.drained()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._executor.drained()
        except TimeoutError:
            log.warning("drained_with_commands_left")
        await self._checkpoints.keep()
        log.info("drained")


def build() -> str:
    """The release that writes: part of the facts of a start."""
    try:
        return version("murima")
    except PackageNotFoundError:
        return "source"


async def real_parts(settings: Settings) -> Parts:
    """The parts of production. Raises InUse, DatabaseNeeded, SealError for another master key."""
    settings.facts.mkdir(parents=True, exist_ok=True)
    published = PublishedFeed(settings.database_url, settings.published_cache, settings.master_key)
    transit = Transit(
        settings.facts, settings.shard, settings.master_key, published.ring, settings.transit_seconds
    )
    journal = await FileLog.open(settings.facts, settings.database_url, settings.shard, transit=transit)
    bus = RedisBus(settings.redis_url, settings.ask_key, journal.tail("bus"))
    switch = AriSwitch(
        url=settings.ari_url,
        user=settings.ari_user,
        password=settings.ari_password,
        shard=settings.shard,
        node=settings.node,
    )

    http = Http(settings.ari_url, settings.ari_user, settings.ari_password, settings.node)
    heard: Published = published
    followers: dict[str, Work] = {"bus": bus.watch}
    if settings.dialplan is not None:
        fallback = FallbackFollower(
            published.updates, settings.dialplan, lambda name: http.request("PUT", f"asterisk/modules/{name}")
        )
        heard, followers["fallback"] = fallback, fallback.run
    if settings.ami is not None:
        address = settings.ami
        link = AmiLink(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            node=settings.node,
        )
        followers["ami"] = link.run

    recorder = JournalFiles(settings.journal, build()) if settings.journal is not None else None

    async def close() -> None:
        if recorder is not None:
            await asyncio.to_thread(recorder.close)
        await switch.close()
        await http.close()
        await journal.close()

    return Parts(
        log=journal,
        bus=bus,
        published=heard,
        sealer=transit,
        switches={settings.node: switch},
        older=published.queue_policy,
        followers=followers,
        recorder=recorder,
        close=close,
    )


async def serve(settings: Settings) -> None:
    parts = await real_parts(settings)
    daemon = Daemon(parts, build=build(), bind=(settings.metrics_host, settings.metrics_port))
    await daemon.run()


def main() -> int:
    """The exit code: 0 stopped, 1 failure, 2 settings, 5 a dependency is missing or too old."""
    try:
        settings = read(os.environ)
    except BadSettings as error:
        print(f"The daemon cannot start:\n{error}", file=sys.stderr)
        return EXIT_USAGE
    logs.configure(settings.log_level, node=settings.node, shard=settings.shard)
    try:
        asyncio.run(serve(settings))
    except (SwitchTooOld, DatabaseNeeded) as error:
        log.error("dependency", detail=str(error))
        return EXIT_DEPENDENCY
    except SealError as error:  # going on would leave the callers on their way unreadable for good
        log.error("master_key", detail=str(error))
        return EXIT_USAGE
    except (Fenced, InUse, OSError) as error:
        log.error("ended", error=type(error).__name__, detail=str(error))
        return EXIT_FAILURE
    return 0
