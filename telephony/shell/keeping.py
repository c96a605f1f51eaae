"""What must happen every so often beside the calls: beats, the clock, publications, devices, stalls."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from telephony.contract.frames import Beat
from telephony.contract.ids import Endpoint, TenantId
from telephony.contract.policy import Policy
from telephony.contract.roster import Device, RosterRow
from telephony.engine import events as e
from telephony.ports.bus import Bus
from telephony.ports.published import Complete, Published, Suspended
from telephony.ports.switch import SwitchError
from telephony.shell import meters
from telephony.shell.clock import EngineClock
from telephony.shell.directory import Directory
from telephony.shell.door import Door
from telephony.shell.runtime import Runtime
from telephony.shell.watch import Watch

BEAT_SECONDS = 2.0
RETRY_SECONDS = 2.0

log = structlog.get_logger("keeping")


async def beat(runtime: Runtime, bus: Bus, clock: EngineClock, directory: Directory, epoch: int) -> None:
    """For ever: the heartbeat of every tenant, and the gauges that go with it."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        now = clock.now()
        directory.forget(now)
        for tenant, tenancy in list(runtime.tenancies.items()):
            view = tenancy.floor.view
            meters.LONGEST_STEP.labels(tenant).set(tenancy.longest)
            meters.INBOX.labels(tenant).set(len(tenancy.inbox))
            meters.CALLS.labels(tenant).set(len(view.calls))
            tenancy.longest = 0.0
            await bus.send(Beat(tenant=tenant, epoch=epoch, seq=view.seq, at=now))


async def keep_clock(clock: EngineClock) -> None:
    """For ever: slew towards UTC."""
    while True:
        await asyncio.sleep(1.0)
        meters.SLEW.set(clock.tick() / 1_000_000)


class Stalls:
    """Opens the door again after the loop stood still."""

    def __init__(self, door: Door, runtime: Runtime, watches: Sequence[Watch]) -> None:
        self._door, self._runtime, self._watches = door, runtime, watches
        self._stood = asyncio.Event()
        self._count = 0
        door.on_stall = self._stalled

    def _stalled(self, seconds: float) -> None:
        self._count += 1
        log.warning("loop_stalled", seconds=round(seconds, 3))
        self._runtime.pause_offers()
        self._stood.set()

    async def run(self) -> None:
        """For ever. Raises Fenced."""
        while True:
            await self._stood.wait()
            self._stood.clear()
            count = self._count
            for watch in self._watches:
                await watch.after_stall()
            if count != self._count:
                continue
            self._door.lift("stall")
            log.info("door_opened", reasons=self._door.reasons)
            for watch in self._watches:
                watch.doubt("stall")
            if self._door.is_open and all(watch.settled for watch in self._watches):
                self._runtime.open_offers()


class Provisioner:
    """Pushes devices to every node: when the roster changes, and all of them after a (re)connect."""

    def __init__(self, directory: Directory, watches: Sequence[Watch]) -> None:
        self._directory, self._watches = directory, watches
        self._pending: deque[tuple[Watch, TenantId, list[Device], list[Endpoint]]] = deque()
        self._some = asyncio.Event()

    def changed(self, tenant: TenantId, devices: list[Device], gone: list[Endpoint]) -> None:
        for watch in self._watches:
            if watch.up:
                self._pending.append((watch, tenant, devices, gone))
        self._some.set()

    def connected(self, watch: Watch) -> None:
        """Whatever the node has forgotten, it learns again; what it has kept is only read."""
        for endpoint, phone in self._directory.phones.items():
            self._pending.append((watch, phone.tenant, [self._directory.devices[endpoint]], []))
        self._some.set()

    async def run(self) -> None:
        while True:
            while self._pending:
                watch, tenant, devices, gone = self._pending[0]
                current = [each for each in devices if self._directory.devices.get(each.endpoint) == each]
                still_gone = [each for each in gone if each not in self._directory.devices]
                try:
                    if watch.up:
                        await watch.push(tenant, current, still_gone)
                    self._pending.popleft()
                except SwitchError as error:
                    log.warning("device_not_written", node=watch.node, tenant=tenant, status=error.status)
                    await asyncio.sleep(RETRY_SECONDS)
                except ValueError as error:
                    log.error("device_refused", node=watch.node, tenant=tenant, why=str(error))
                    self._pending.popleft()
            self._some.clear()
            await self._some.wait()


class Publications:
    """Policy and roster, into the directory, the floors and the switch."""

    def __init__(
        self,
        published: Published,
        runtime: Runtime,
        directory: Directory,
        provisioner: Provisioner,
        bus: Bus,
        moved: Callable[[Endpoint], None],
    ) -> None:
        """`moved` hears of a device that another agent has now."""
        self._published, self._runtime, self._directory = published, runtime, directory
        self._provisioner, self._bus, self._moved = provisioner, bus, moved
        self.complete = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        async for update in self._published.updates():
            match update:
                case Policy():
                    self._directory.policy(update)
                    self._runtime.publish(update)
                    self._bus.serve(set(self._runtime.tenancies))
                case RosterRow():
                    self._roster(update)
                case Suspended(tenants=tenants):
                    if tenants != self._directory.suspended:
                        log.info("tenants_suspended", count=len(tenants))
                    self._directory.suspended = tenants
                case Complete(stale=stale):
                    log.info("published_read", stale=stale, tenants=len(self._runtime.tenancies))
                    self.complete.set()

    def _roster(self, row: RosterRow) -> None:
        before = {device.endpoint: self._directory.phones.get(device.endpoint) for device in row.devices}
        devices, gone = self._directory.roster(row)
        for endpoint, phone in before.items():
            if phone is not None and phone.agent != row.agent:
                self._moved(endpoint)
        for endpoint in gone:
            self._moved(endpoint)
        if row.tenant not in self._runtime.tenancies:
            self._runtime.add(row.tenant)
            self._bus.serve(set(self._runtime.tenancies))
        self._runtime.post(row.tenant, e.RosterPublished(row=row))
        self._provisioner.changed(row.tenant, devices, gone)
