"""One tenant's live world.

`step` takes what happened and when, and returns the facts that follow, as entries for the log, and the
commands that follow from those. Overdue deadlines run first, so that a busy inbox starves no ring time-out;
matching runs last. The floor changes only by applying its own facts: building one from a view, whether that
came from a checkpoint or from reading the log, is the whole of recovery.

The caller must append the entries to the log before it carries out the commands, keep `epoch` up to date,
and call `wake` at `next_deadline`. A new floor makes no offers and judges no call until `OffersOpened`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from telephony.contract import facts as f
from telephony.contract.clock import Instant
from telephony.contract.frames import Entry
from telephony.contract.ids import AgentId, CallId, TenantId
from telephony.contract.policy import Policy
from telephony.contract.roster import DeviceKind
from telephony.contract.view import CallState, CallView, View

from . import agent as agents
from . import call as calls
from . import events as e
from . import wrapup
from .asking import Asking
from .book import Book
from .commands import Command
from .line import Index
from .match import match
from .turn import Fired, Turn


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to. `ignored` says why the event changed nothing; commands may follow even then."""

    entries: list[Entry] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    ignored: str | None = None


class Floor:
    """Build it from a view and every policy that a live call or the view names."""

    def __init__(self, view: View, policies: Iterable[Policy] = ()) -> None:
        self.view = view
        self.epoch = view.epoch
        self.paused = True
        self.fired: Fired = {}
        self._book = Book(policies, view.policy)
        self._asking = Asking()
        self.index = Index(view, self._book.strategy)

    # --- what the shell calls -------------------------------------------------------------------------

    def step(self, event: e.Event, now: Instant) -> Step:
        """Decide one event. `now` never goes back: an earlier instant counts as the last fact's."""
        turn = self._turn(now)
        if not isinstance(event, e.DaemonStarted):
            self._overdue(turn)
        ignored = _HANDLERS[type(event)](self, turn, event)
        return self._close(turn, ignored)

    def wake(self, now: Instant) -> Step:
        """Run what is due."""
        turn = self._turn(now)
        return self._close(turn, None)

    def next_deadline(self) -> Instant | None:
        """When `wake` has something to do, None for never. Blind, only wrap-ups are due."""
        due = self.index.agents.next()
        other = None if self.paused else self.index.calls.next()
        if due is None or other is None:
            return due if other is None else other
        return min(due, other)

    def policies(self) -> list[Policy]:
        """What a floor that goes on from this view must be built with."""
        return self._book.policies(TenantId(self.view.tenant))

    # --- for tests and doubts -------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Make every derived order again from the view."""
        self.index = Index(self.view, self._book.strategy)

    def indexes_agree(self) -> bool:
        """Whether the kept orders are what the view says."""
        fresh = Index(self.view, self._book.strategy)
        heaps = self.index.calls.covers() and self.index.agents.covers()
        return heaps and fresh.picture() == self.index.picture()

    # --- inside ---------------------------------------------------------------------------------------

    def _turn(self, now: Instant) -> Turn:
        at = max(now, self.view.at)
        return Turn(self.view, self.index, self._book, self.fired, epoch=self.epoch, now=at)

    def _close(self, turn: Turn, ignored: str | None) -> Step:
        """What became overdue by the event itself, then the offers."""
        self._overdue(turn)
        if not self.paused:
            match(turn)
        return Step(turn.entries, turn.rings + turn.commands, ignored)

    def _overdue(self, turn: Turn) -> None:
        while (popped := self.index.agents.pop(turn.now)) is not None:
            agent = AgentId(popped[0])
            if popped[1]:
                found = turn.agent(agent)
                turn.run(wrapup.MACHINE, wrapup.Writer(found), wrapup.Trigger.DEADLINE, found, "")
            else:
                self.index.wake_agent(agent)
        while not self.paused and (popped := self.index.calls.pop(turn.now)) is not None:
            call = CallId(popped[0])
            if popped[1]:
                calls.run(turn, call, _DEADLINES[calls.Case(self.view, call).state()])
            else:
                self.index.wake_call(call)

    def _started(self, turn: Turn, event: e.DaemonStarted) -> str | None:
        self.paused = True
        turn.fact(f.OwnerStarted(build=event.build))
        return None

    def _opened(self, turn: Turn, event: e.OffersOpened) -> str | None:
        if not self.paused:
            return "offers are open"
        self.paused = False
        for call in tuple(self.view.calls):
            calls.run(turn, call, calls.Trigger.OPENED)
        return None

    def _paused(self, turn: Turn, event: e.OffersPaused) -> str | None:
        if self.paused:
            return "offers are paused"
        self.paused = True
        return None

    def _entered(self, turn: Turn, event: e.CallerEntered) -> str | None:
        known = self.index.channels.get(event.channel)
        found = self.view.calls.get(known) if known is not None else None
        if found is not None and found.state is CallState.DIVERTED:
            calls.run(turn, found.call, calls.Trigger.LEFT)
            found = None
        call = event.call if found is None else found.call
        return calls.run(turn, call, calls.Trigger.ENTERED, calls.What(entered=event))

    def _caller_gone(self, turn: Turn, event: e.CallerGone) -> str | None:
        trigger = calls.Trigger.HUNG_UP
        if event.diverted:
            trigger = calls.Trigger.LEFT
        elif event.missing:
            trigger = calls.Trigger.VANISHED
        return calls.run(turn, event.call, trigger, calls.What(cause=event.cause))

    def _answered(self, turn: Turn, event: e.LegAnswered) -> str | None:
        call = self.view.calls.get(event.call)
        if call is not None and call.offer is not None and call.offer.offer == event.leg:
            return calls.run(turn, event.call, calls.Trigger.ANSWERED)
        if call is not None and call.agent_leg == event.leg:
            return "the leg is connected already"
        return calls.run(turn, event.call, calls.Trigger.STRAY_ANSWER, calls.What(leg=event.leg))

    def _leg_gone(self, turn: Turn, event: e.LegGone) -> str | None:
        call = self.view.calls.get(event.call)
        ringing = call is not None and call.offer is not None and call.offer.offer == event.leg
        if call is None or not (ringing or call.agent_leg == event.leg):
            return calls.run(turn, event.call, calls.Trigger.STRAY_END)
        wilful = not ringing and self._wilful(call, event.cause)
        trigger = calls.ended_leg(
            ringing=ringing, cause=event.cause, refused=event.refused, missing=event.missing, wilful=wilful
        )
        return calls.run(turn, event.call, trigger, calls.What(cause=event.cause))

    def _wilful(self, call: CallView, cause: int) -> bool:
        """A browser says 'on purpose' with cause 31, because its socket's end looks like 16; a desk phone
        whose user hangs up says 16."""
        assert call.agent is not None
        agent = self.view.agents[call.agent]
        assert agent.endpoint is not None
        kind, _ = agent.devices.get(agent.endpoint, (DeviceKind.BROWSER, True))
        return cause == 31 or (kind is DeviceKind.SIP and cause == 16)

    def _phone_held(self, turn: Turn, event: e.PhoneHeld) -> str | None:
        call = self.view.calls.get(event.call)
        if call is None or call.agent_leg != event.leg:
            return "the leg is not connected"
        return calls.run(turn, event.call, calls.Trigger.HOLD if event.held else calls.Trigger.RESUME)

    def _phone_changed(self, turn: Turn, event: e.PhoneChanged) -> str | None:
        if event.agent not in self.view.agents:
            return "nobody on the roster"
        trigger = agents.Trigger.PHONE_ON if event.reachable else agents.Trigger.PHONE_OFF
        return agents.run(turn, event.agent, trigger, agents.What(endpoint=event.endpoint))

    def _command_failed(self, turn: Turn, event: e.CommandFailed) -> str | None:
        call = self.view.calls.get(event.call)
        if call is not None:
            ringing = call.offer is not None and call.offer.offer == event.part
            if event.what == "RingAgent" and ringing:
                # A switch that gave no answer says nothing of the phone: nobody is set aside for it.
                known = event.status != 0
                return calls.run(
                    turn,
                    event.call,
                    calls.Trigger.LEG_UNREACHABLE if known else calls.Trigger.LEG_VANISHED,
                )
            if event.what in ("Bridge", "ResumeCaller") and call.bridge == event.part:
                return calls.run(turn, event.call, calls.Trigger.BRIDGE_FAILED)
        return calls.run(turn, event.call, calls.Trigger.FAILURE)

    def _asked(self, turn: Turn, event: e.Asked) -> str | None:
        turn.order(self._asking.answer(turn, event.envelope))
        return None

    def _policy(self, turn: Turn, event: e.PolicyPublished) -> str | None:
        policy = event.policy
        self._book.keep(policy)
        if policy.hash == self.view.policy:
            self._book.adopt(policy)
            self.index.restrategise()
            return "that policy is in force"
        if policy.manifest.version <= self.view.policy_version:
            return "a later policy is in force"
        turn.fact(f.PolicyAdopted(policy=policy.hash, version=policy.manifest.version))
        self._book.adopt(policy)
        self._book.forget(call.flow for call in self.view.calls.values())
        self.index.restrategise()
        return None

    def _roster(self, turn: Turn, event: e.RosterPublished) -> str | None:
        return agents.run(turn, event.row.agent, agents.Trigger.ROSTER, agents.What(row=event.row))


_DEADLINES = {
    calls.Stage.ABSENT: calls.Trigger.WAIT_DEADLINE,
    calls.Stage.ARRIVED: calls.Trigger.WAIT_DEADLINE,
    calls.Stage.WAITING: calls.Trigger.WAIT_DEADLINE,
    calls.Stage.RINGING: calls.Trigger.RING_DEADLINE,
    calls.Stage.RETURNING: calls.Trigger.RING_DEADLINE,
    calls.Stage.KEPT: calls.Trigger.KEPT_DEADLINE,
    calls.Stage.TALKING: calls.Trigger.WAIT_DEADLINE,
    calls.Stage.HELD: calls.Trigger.WAIT_DEADLINE,
    calls.Stage.DIVERTED: calls.Trigger.WAIT_DEADLINE,
    calls.Stage.ENDED: calls.Trigger.WAIT_DEADLINE,
}

_HANDLERS: dict[type, Callable[[Floor, Turn, Any], str | None]] = {
    e.CallerEntered: Floor._entered,
    e.CallerGone: Floor._caller_gone,
    e.LegAnswered: Floor._answered,
    e.LegGone: Floor._leg_gone,
    e.PhoneHeld: Floor._phone_held,
    e.PhoneChanged: Floor._phone_changed,
    e.CommandFailed: Floor._command_failed,
    e.Asked: Floor._asked,
    e.PolicyPublished: Floor._policy,
    e.RosterPublished: Floor._roster,
    e.DaemonStarted: Floor._started,
    e.OffersOpened: Floor._opened,
    e.OffersPaused: Floor._paused,
}
