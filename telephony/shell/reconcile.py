"""What the switch's lists say against what floors believe: pure.

The difference comes out as ordinary events, and as a few things that nobody owns and that must go. Presence
speaks at once. Absence speaks only when two comparisons at least a second apart agree, because a list and
the events around it are not of one instant; so do things without an owner. A call with commands still on
their way is left alone until they are through.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from telephony.contract.clock import SECOND
from telephony.contract.ids import CallId, LegId, NumberId, TenantId, split
from telephony.contract.view import CallState, CallView, View
from telephony.engine import commands as c
from telephony.engine import events as e
from telephony.ports.switch import BridgeSeen, ChannelSeen
from telephony.shell.directory import Directory

CONFIRM_SECONDS = 1.0
GATE = "murima-gate"
"""Context of callers whom the dialplan will send to us again in a moment."""


@dataclass(slots=True)
class Found:
    """What one comparison came to."""

    events: list[tuple[TenantId, e.Event]] = field(default_factory=list)
    newcomers: list[ChannelSeen] = field(default_factory=list)
    """Callers in our application whom no floor knows."""
    resend: list[c.SwitchCommand] = field(default_factory=list)
    hang_up: list[str] = field(default_factory=list)
    destroy: list[str] = field(default_factory=list)
    gate: int = 0
    """Callers in the dialplan's retry loop."""
    busy: int = 0
    """Calls that were left alone because commands of theirs were on their way."""
    suspects: int = 0
    """Differences that wait for a second look."""
    repairs: dict[str, int] = field(default_factory=dict)

    def repair(self, kind: str) -> None:
        self.repairs[kind] = self.repairs.get(kind, 0) + 1


class Reconciler:
    """Remembers what looked wrong, and since when."""

    def __init__(self, node: str, directory: Directory, busy: Callable[[CallId], bool]) -> None:
        self._node = node
        self._directory = directory
        self._busy = busy
        self._since: dict[tuple[str, str], float] = {}

    def compare(
        self,
        views: Iterable[View],
        channels: list[ChannelSeen],
        bridges: list[BridgeSeen],
        moment: float,
        rearm: bool = False,
    ) -> Found:
        """`moment` is monotonic seconds. With `rearm` waiting callers get music and time-out again, because
        whoever ordered those may have died before they left."""
        found = Found()
        look = _Look(self, found, {each.id: each for each in channels}, moment)
        members = {each.id: each.channels for each in bridges}
        owned: dict[str, None] = {}
        for view in views:
            for call in view.calls.values():
                if call.node == self._node and call.state is not CallState.ENDED:
                    owned |= dict.fromkeys(_parts(call))
                    if self._busy(call.call):
                        found.busy += 1
                    else:
                        look.call(TenantId(view.tenant), call, members, rearm)
        look.strangers(channels, owned)
        look.orphans(bridges, owned)
        self._since = look.suspected
        found.suspects = look.waiting
        return found

    def known(self, channel: str) -> bool:
        return channel in self._directory.callers or self._directory.ended(channel)

    def over(self, channel: str) -> bool:
        """Whether its call has ended, and no other has begun, and nothing of it is on its way."""
        if channel in self._directory.callers:
            return False
        call = self._directory.ended_call(channel)
        return call is not None and not self._busy(call)

    def busy(self, call: CallId) -> bool:
        return self._busy(call)

    def since(self, kind: str, name: str, moment: float) -> float:
        return self._since.get((kind, name), moment)


class _Look:
    """One comparison under way."""

    def __init__(
        self, owner: Reconciler, found: Found, channels: dict[str, ChannelSeen], moment: float
    ) -> None:
        self._owner, self._found, self._channels, self._moment = owner, found, channels, moment
        self.suspected: dict[tuple[str, str], float] = {}
        self.waiting = 0

    def _confirmed(self, kind: str, name: str) -> bool:
        """Whether this difference was seen a second ago already; remembers it."""
        since = self._owner.since(kind, name, self._moment)
        self.suspected[kind, name] = since
        if self._moment - since >= CONFIRM_SECONDS:
            self._found.repair(kind)
            return True
        self.waiting += 1
        return False

    def _post(self, tenant: TenantId, event: e.Event) -> None:
        self._found.events.append((tenant, event))

    def call(
        self, tenant: TenantId, call: CallView, members: dict[str, tuple[str, ...]], rearm: bool
    ) -> None:
        channel = self._channels.get(call.channel)
        if channel is None:
            if self._confirmed("caller_missing", call.channel):
                self._post(tenant, e.CallerGone(call=call.call, missing=True))
            return
        if not channel.in_application:
            if self._confirmed("caller_left", call.channel):
                self._post(tenant, e.CallerGone(call=call.call, diverted=True))
            return
        self._waiting(tenant, call, channel, rearm)
        if call.offer is not None:
            self._leg(tenant, call, call.offer.offer, ringing=True)
        if call.agent_leg is not None:
            self._leg(tenant, call, call.agent_leg, ringing=False)
            self._bridge(call, members)
            self._held(tenant, call, members, rearm)

    def _waiting(self, tenant: TenantId, call: CallView, channel: ChannelSeen, rearm: bool) -> None:
        if call.state not in (CallState.WAITING, CallState.KEPT):
            return
        silent = channel.state != "Up" and self._confirmed("caller_unanswered", call.channel)
        if silent:
            self._found.resend.append(c.AnswerCaller(call=call.call, channel=call.channel))
        if rearm or silent:
            self._post(tenant, _again(call))

    def _leg(self, tenant: TenantId, call: CallView, leg: LegId, ringing: bool) -> None:
        seen = self._channels.get(leg)
        if seen is None:
            if self._confirmed("leg_missing", leg):
                self._post(tenant, e.LegGone(call=call.call, leg=leg, missing=True))
        elif ringing and seen.state == "Up":
            self._found.repair("leg_answered")
            self._post(tenant, e.LegAnswered(call=call.call, leg=leg))
        elif ringing and seen.state == "Down" and self._confirmed("leg_not_dialled", leg):
            self._found.resend.append(_ring(call))

    def _bridge(self, call: CallView, members: dict[str, tuple[str, ...]]) -> None:
        bridge, leg = call.bridge, call.agent_leg
        if bridge is None or leg is None or call.state is not CallState.TALKING or leg not in self._channels:
            return
        inside = members.get(bridge, ())
        if (call.channel not in inside or leg not in inside) and self._confirmed("not_bridged", bridge):
            self._found.resend.append(c.Bridge(call=call.call, bridge=bridge, channel=call.channel, leg=leg))

    def _held(
        self, tenant: TenantId, call: CallView, members: dict[str, tuple[str, ...]], rearm: bool
    ) -> None:
        """Whoever ordered hold or mute may have died before it left, or halfway."""
        if call.agent_leg in self._channels and rearm:
            muted = c.MuteLeg(call=call.call, leg=LegId(str(call.agent_leg)), muted=call.muted)
            self._found.resend.append(muted)
        if call.state is not CallState.HELD or call.bridge is None:
            return
        inside = call.channel in members.get(call.bridge, ())
        if rearm or (inside and self._confirmed("not_held", call.channel)):
            self._post(tenant, _again(call))

    def strangers(self, channels: list[ChannelSeen], owned: dict[str, None]) -> None:
        """Channels that no live call names."""
        for channel in channels:
            if channel.context == GATE and not channel.in_application:
                self._found.gate += 1
            if not channel.in_application or channel.id in owned:
                continue
            made = split(channel.id)
            if made is not None:
                if not self._owner.busy(made[0]) and self._confirmed("stray_leg", channel.id):
                    self._found.hang_up.append(channel.id)
            elif channel.arguments[:1] == ("inbound",):
                self._caller(channel)

    def _caller(self, channel: ChannelSeen) -> None:
        """A caller of no live call: new to us, or left over from a call whose writer died at its end."""
        if not self._owner.known(channel.id):
            self._found.repair("caller_adopted")
            self._found.newcomers.append(channel)
        elif self._owner.over(channel.id) and self._confirmed("stray_caller", channel.id):
            self._found.hang_up.append(channel.id)

    def orphans(self, bridges: list[BridgeSeen], owned: dict[str, None]) -> None:
        """Bridges of ours that no live call names."""
        for bridge in bridges:
            made = split(bridge.id)
            if made is None or not bridge.ours or bridge.id in owned or self._owner.busy(made[0]):
                continue
            if self._confirmed("stray_bridge", bridge.id):
                self._found.destroy.append(bridge.id)


def _parts(call: CallView) -> list[str]:
    parts = [call.channel, call.agent_leg, call.bridge, call.offer.offer if call.offer else None]
    return [part for part in parts if part is not None]


def _ring(call: CallView) -> c.RingAgent:
    """The ring of the open offer once more: what was done of it already answers 409."""
    offer = call.offer
    assert offer is not None
    seconds = max(1, (offer.deadline - offer.made) // SECOND)
    return c.RingAgent(
        call=call.call, leg=offer.offer, endpoint=offer.endpoint, seconds=seconds, party=call.party
    )


def _again(call: CallView) -> e.CallerEntered:
    """The caller whom the floor knows already, seen once more."""
    return e.CallerEntered(
        call=call.call,
        party=call.party,
        node=call.node,
        channel=call.channel,
        trunk=call.trunk,
        number=NumberId(call.number),
        first_arrival=call.arrived,
        adopted=True,
    )
