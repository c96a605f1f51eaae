"""From notes of the switch to events of a floor: whose channel it is, and what its end means.

A caller's channel that leaves our application after a hang-up was seen has gone; one that leaves without
any has left for the dialplan, as we asked or on its own time-out. An agent's leg, which is never sent on, is
over when its hang-up is seen with the cause: Asterisk takes the channel down after that, and a waiting caller
need not wait for it. A hang-up without a cause leaves that to the channel's end, which always carries one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from telephony.contract.clock import Instant
from telephony.contract.ids import CallId, Endpoint, LegId, TenantId, split
from telephony.engine import events as e
from telephony.ports import switch as s
from telephony.shell.directory import Directory
from telephony.shell.ids import new_call, new_party
from telephony.shell.parties import Parties

Posted = tuple[TenantId, e.Event]
_MANY = 256
_Make = Callable[[CallId, LegId], e.Event]


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A caller whom no floor serves: back to the dialplan, for this reason."""

    channel: str
    why: str


class Interpreter:
    """One per process. Keeps hints about hang-ups and what phones last said."""

    def __init__(self, directory: Directory, parties: Parties) -> None:
        self._directory = directory
        self._parties = parties
        self._hints: dict[str, int] = {}
        self._coming: dict[str, tuple[TenantId, CallId]] = {}
        """Callers whose entry lies in a floor's inbox: their end may be read before the floor has run."""
        self.reachable: dict[Endpoint, bool] = {}
        self.reports = 0
        """How many reports about phones were read."""
        self._reported: dict[Endpoint, int] = {}

    def read(self, note: s.Note, now: Instant) -> Posted | GiveBack | None:
        """The event of a note and its tenant; None when it says nothing to any floor."""
        match note:
            case s.CallerCame():
                return self.came(note, now)
            case s.HangUpSeen(channel=channel, cause=cause):
                return self._hang_up(channel, cause)
            case s.ChannelLeft(channel=channel):
                return self._left(channel)
            case s.ChannelEnded(channel=channel, cause=cause):
                return self._ended(channel, cause)
            case s.ChannelUp(channel=channel):
                return self._leg(channel, lambda call, leg: e.LegAnswered(call=call, leg=leg))
            case s.ChannelHeld(channel=channel, held=held):
                return self._leg(channel, lambda call, leg: e.PhoneHeld(call=call, leg=leg, held=held))
            case s.DeviceSeen(endpoint=endpoint, reachable=reachable):
                self.reports += 1
                self._reported[endpoint] = self.reports
                return self.device(endpoint, reachable)
            case _:
                return None

    def came(self, note: s.CallerCame, now: Instant) -> Posted | GiveBack:
        self._hints.pop(note.channel, None)
        number = self._directory.number(note.trunk, note.dialled)
        if number is None:
            return GiveBack(note.channel, "unknown_number")
        tenant, served = number
        if tenant in self._directory.suspended:
            return GiveBack(note.channel, "suspended")
        call, party = new_call(now), new_party(now)
        if note.channel not in self._directory.callers:
            self._parties.met(tenant, call, party, note.number, note.name)
        event = e.CallerEntered(
            call=call,
            party=party,
            node=note.node,
            channel=note.channel,
            trunk=note.trunk,
            number=served,
            first_arrival=note.first_arrival,
            adopted=note.adopted,
        )
        if note.channel not in self._directory.callers:
            self._expect(note.channel, tenant, call)
        return tenant, event

    def _expect(self, channel: str, tenant: TenantId, call: CallId) -> None:
        if len(self._coming) >= _MANY:
            known = self._directory.callers
            self._coming = {name: its for name, its in self._coming.items() if name not in known}
        self._coming[channel] = tenant, call

    def _caller(self, channel: str) -> tuple[TenantId, CallId] | None:
        """Whose channel this is: of a call that a floor has, or of one on its way into it."""
        call = self._directory.callers.get(channel)
        return self._coming.get(channel) if call is None else (self._directory.calls[call].tenant, call)

    def device(self, endpoint: Endpoint, reachable: bool) -> Posted | None:
        """Only changes are told: Asterisk says everything at least twice."""
        phone = self._directory.phones.get(endpoint)
        if phone is None or self.reachable.get(endpoint) is reachable:
            return None
        self.reachable[endpoint] = reachable
        return phone.tenant, e.PhoneChanged(agent=phone.agent, endpoint=endpoint, reachable=reachable)

    def reported_since(self, endpoint: Endpoint, reports: int) -> bool:
        """Whether the phone itself was heard of after so many reports: a list asked for then is older."""
        return self._reported.get(endpoint, 0) > reports

    def forget_device(self, endpoint: Endpoint) -> None:
        """It is another agent's now, or nobody's: the next report counts as a change."""
        self.reachable.pop(endpoint, None)
        self._reported.pop(endpoint, None)

    def _hang_up(self, channel: str, cause: int) -> Posted | None:
        if self._caller(channel) is None:
            return self._gone(channel, cause) if cause else None
        if cause or channel not in self._hints:
            self._hints[channel] = cause
        return None

    def _left(self, channel: str) -> Posted | None:
        caller = self._caller(channel)
        self._coming.pop(channel, None)
        if caller is None:
            self._hints.pop(channel, None)
            return None
        tenant, call = caller
        if channel not in self._hints:
            return tenant, e.CallerGone(call=call, diverted=True)
        return tenant, e.CallerGone(call=call, cause=self._hints.pop(channel))

    def _ended(self, channel: str, cause: int) -> Posted | None:
        self._hints.pop(channel, None)
        caller = self._caller(channel)
        self._coming.pop(channel, None)
        if caller is not None:
            return caller[0], e.CallerGone(call=caller[1], cause=cause)
        return self._gone(channel, cause)

    def _gone(self, channel: str, cause: int) -> Posted | None:
        return self._leg(channel, lambda of, leg: e.LegGone(call=of, leg=leg, cause=cause))

    def _leg(self, channel: str, make: _Make) -> Posted | None:
        found = split(channel)
        if found is None:
            return None
        tenant = self._directory.tenant_of(found[0])
        return None if tenant is None else (tenant, make(found[0], LegId(channel)))
