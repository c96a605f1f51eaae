"""Finds out within seconds that a browser in a call is gone, where the switch itself would take twenty.

A browser that dies takes its socket with it, so its contact goes; one that was loaded anew registers from
another place. Neither proves that its leg is dead: a proxy restarts, a phone changes its network. So the
leg's sound is asked for twice. If not one packet came in between, the leg is ended, with no wilful cause,
and everything goes its ordinary way: the agent is lost, the caller is kept. Sound that comes means that they
talk, and is left alone.
"""

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from telephony.contract.ids import Endpoint, LegId
from telephony.contract.roster import DeviceKind
from telephony.ports.switch import Switch, SwitchError
from telephony.shell import meters
from telephony.shell.directory import Directory, Phone
from telephony.shell.door import Door
from telephony.shell.runtime import Runtime

BETWEEN_SECONDS = 1.2
LOOKS = 3
"""The first look may still find packets that were under way, or a browser that is about to die."""

log = structlog.get_logger("lost")


class LostLegs:
    """One node's. `doubt` asks to compare lists; `spawn` runs a look beside everything else."""

    def __init__(
        self,
        switch: Switch,
        *,
        runtime: Runtime,
        directory: Directory,
        door: Door,
        doubt: Callable[[str], None],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._switch, self._runtime, self._directory, self._door = switch, runtime, directory, door
        self._doubt, self._spawn = doubt, spawn
        self._looking: set[LegId] = set()

    def moved(self, endpoint: Endpoint) -> None:
        """A device came, went, or registered anew: look at its leg if it is a browser in a call."""
        phone = self._directory.phones.get(endpoint)
        if phone is None or phone.kind is not DeviceKind.BROWSER:
            return
        leg = self._leg(phone, endpoint)
        if leg is not None and leg not in self._looking:
            self._looking.add(leg)
            self._spawn(self._look(phone, endpoint, leg))

    def _leg(self, phone: Phone, endpoint: Endpoint) -> LegId | None:
        """The leg on which the device is connected through this node."""
        if phone.tenant not in self._runtime.tenancies:
            return None
        view = self._runtime.view(phone.tenant)
        agent = view.agents.get(phone.agent)
        if agent is None or agent.endpoint != endpoint or agent.call is None:
            return None
        call = view.calls.get(agent.call)
        return None if call is None or call.node != self._switch.node else call.agent_leg

    async def _look(self, phone: Phone, endpoint: Endpoint, leg: LegId) -> None:
        try:
            found = await self._listen(leg)
            meters.LOOKED.labels(self._switch.node, found).inc()
            if found == "gone":
                self._doubt("leg_gone")
            elif found == "silent" and self._door.is_open and self._leg(phone, endpoint) == leg:
                log.info("leg_lost", node=self._switch.node, tenant=phone.tenant)
                await self._switch.hang_up(leg)
        except SwitchError as error:
            log.warning("leg_not_looked_at", node=self._switch.node, error=str(error))
        finally:
            self._looking.discard(leg)

    async def _listen(self, leg: LegId) -> str:
        """`silent` when no packet came for a while, `alive`, or `gone`, which is for the lists to confirm."""
        before = await self._switch.packets(leg)
        for _ in range(LOOKS):
            if before is None:
                break
            await asyncio.sleep(BETWEEN_SECONDS)
            after = await self._switch.packets(leg)
            if after == before:
                return "silent"
            before = after
        return "gone" if before is None else "alive"
