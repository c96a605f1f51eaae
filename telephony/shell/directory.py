"""Whose is it: channel to call, call to tenant, phone to agent, number to tenant.

An index over what floors and publications say, never a truth of its own: calls come from facts (or, at the
start, from the recovered views), phones from the roster, numbers from policy. Calls that ended are
remembered for a minute, because late events and lists still name them. Numbers are looked up without a
leading plus sign, since not every trunk sends one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from telephony.contract import facts as f
from telephony.contract.clock import SECOND, Instant
from telephony.contract.frames import Entry
from telephony.contract.ids import AgentId, CallId, Endpoint, NumberId, TenantId
from telephony.contract.policy import Policy
from telephony.contract.roster import Device, DeviceKind, RosterRow
from telephony.contract.view import CallState, View

TOMBSTONE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Live:
    call: CallId
    tenant: TenantId
    node: str
    channel: str


@dataclass(frozen=True, slots=True)
class Phone:
    tenant: TenantId
    agent: AgentId
    kind: DeviceKind


class Directory:
    """All lookups are single dictionary reads."""

    def __init__(self) -> None:
        self.calls: dict[CallId, Live] = {}
        self.callers: dict[str, CallId] = {}
        self.phones: dict[Endpoint, Phone] = {}
        self.devices: dict[Endpoint, Device] = {}
        self.suspended: frozenset[TenantId] = frozenset()
        """Tenants whose new callers are given back."""
        self._numbers: dict[tuple[str, str], tuple[TenantId, NumberId]] = {}
        self._numbers_of: dict[TenantId, list[tuple[str, str]]] = {}
        self._phones_of: dict[tuple[TenantId, AgentId], tuple[Endpoint, ...]] = {}
        self._ended: dict[str, tuple[Live, Instant]] = {}

    # --- calls --------------------------------------------------------------------------------------

    def load(self, view: View) -> None:
        """A recovered floor. A call that only waits for its wrap-up is a tombstone."""
        tenant = TenantId(view.tenant)
        for call in view.calls.values():
            if call.state is CallState.ENDED:
                self._bury(call.call, Live(call.call, tenant, call.node, call.channel), view.at)
            else:
                self.calls[call.call] = Live(call.call, tenant, call.node, call.channel)
                self.callers[call.channel] = call.call

    def note(self, entries: Iterable[Entry]) -> None:
        """Follow what floors decided."""
        for entry in entries:
            fact: Any = entry.fact
            if isinstance(fact, f.CallArrived):
                self.calls[fact.call] = Live(fact.call, entry.tenant, fact.node, fact.channel)
                self.callers[fact.channel] = fact.call
                self._ended.pop(fact.channel, None)
            elif isinstance(fact, f.CallEnded):
                live = self.calls.pop(fact.call, None)
                if live is not None:
                    self._bury(fact.call, live, entry.at)
                    if self.callers.get(live.channel) == fact.call:
                        del self.callers[live.channel]

    def _bury(self, call: CallId, live: Live, at: Instant) -> None:
        for name in (call, live.channel):
            self._ended.pop(name, None)
            self._ended[name] = (live, at + TOMBSTONE)

    def find(self, call: CallId) -> Live | None:
        """A live call, or one that ended within a minute."""
        live = self.calls.get(call)
        if live is None and call in self._ended:
            return self._ended[call][0]
        return live

    def tenant_of(self, call: CallId) -> TenantId | None:
        """As `find`."""
        live = self.find(call)
        return None if live is None else live.tenant

    def ended(self, call_or_channel: str) -> bool:
        return call_or_channel in self._ended

    def ended_call(self, channel: str) -> CallId | None:
        """The call that ended within a minute and whose caller's channel this was."""
        found = self._ended.get(channel)
        return None if found is None else found[0].call

    def forget(self, now: Instant) -> None:
        """Drop old tombstones; they lie in order of time."""
        while self._ended:
            name, (_, until) = next(iter(self._ended.items()))
            if until > now:
                return
            del self._ended[name]

    # --- published things ----------------------------------------------------------------------------

    def policy(self, policy: Policy) -> None:
        tenant = policy.manifest.tenant
        for key in self._numbers_of.pop(tenant, ()):
            if self._numbers.get(key, (None,))[0] == tenant:
                del self._numbers[key]
        keys = []
        for number in policy.manifest.numbers:
            key = (number.trunk, number.dialled.lstrip("+"))
            self._numbers[key] = (tenant, number.number)
            keys.append(key)
        self._numbers_of[tenant] = keys

    def number(self, trunk: str, dialled: str) -> tuple[TenantId, NumberId] | None:
        return self._numbers.get((trunk, dialled.lstrip("+")))

    def roster(self, row: RosterRow) -> tuple[list[Device], list[Endpoint]]:
        """Adopt an agent's row; returns devices that it has now, and names that it has no more."""
        key = (row.tenant, row.agent)
        devices = list(row.devices) if row.active else []
        names = tuple(device.endpoint for device in devices)
        gone = [name for name in self._phones_of.get(key, ()) if name not in names]
        gone = [name for name in gone if self.phones[name].agent == row.agent]
        for name in gone:
            del self.phones[name], self.devices[name]
        for device in devices:
            self.phones[device.endpoint] = Phone(row.tenant, row.agent, device.kind)
            self.devices[device.endpoint] = device
        self._phones_of[key] = names
        return devices, gone
