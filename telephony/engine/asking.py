"""Asks: refused with a code and a sentence, or carried out by one of the machines.

An id acts once. The answers of the last asks are kept here, and the ids of those that led to facts in the
view too, so that a repeated ask is answered as before, also after a restart.
"""

from collections.abc import Callable
from typing import Any

from telephony.contract import asks as a
from telephony.contract.asks import Envelope
from telephony.contract.ids import AgentId, AskId, CallId

from . import agent as agents
from . import call as calls
from . import wrapup
from .commands import Answer
from .machine import Ignore, Refused
from .turn import Turn

REMEMBERED = 1024


class Asking:
    """Answers asks; one per floor."""

    def __init__(self) -> None:
        self._answers: dict[AskId, Answer] = {}

    def answer(self, turn: Turn, envelope: Envelope) -> Answer:
        """Carry out or refuse; facts that follow carry the ask's id."""
        known = self._answers.get(envelope.id)
        if known is not None:
            return known
        if envelope.id in turn.view.asks:
            return Answer(ask=envelope.id, ok=True)
        if envelope.expires < turn.now:
            return Answer(
                ask=envelope.id, ok=False, code="expired", detail="The ask came too late to be done."
            )
        made = self._decide(turn, envelope)
        self._answers[envelope.id] = made
        if len(self._answers) > REMEMBERED:
            del self._answers[next(iter(self._answers))]
        return made

    def _decide(self, turn: Turn, envelope: Envelope) -> Answer:
        handler = _HANDLERS.get(type(envelope.body))
        turn.ask = envelope.id
        try:
            if handler is None:
                raise Refused("invalid", "This daemon does not know that kind of ask.")
            if envelope.body.agent not in turn.view.agents:
                raise Refused("unknown_agent", "No such agent is on the roster.")
            handler(turn, envelope)
        except Refused as refused:
            return Answer(ask=envelope.id, ok=False, code=refused.code, detail=refused.sentence)
        finally:
            turn.ask = None
        return Answer(ask=envelope.id, ok=True)


def _agent(turn: Turn, agent: AgentId, trigger: agents.Trigger, **what: Any) -> None:
    """Run the agent's machine. Ignored in that state is a refusal, nothing to change is not."""
    row = agents.MACHINE.table[agents.Person(turn.view, agent).state(), trigger]
    reason = agents.run(turn, agent, trigger, agents.What(**what))
    if isinstance(row, Ignore):
        raise Refused("wrong_state", reason or "")


def _call(turn: Turn, call: CallId, trigger: calls.Trigger, **what: Any) -> None:
    row = calls.MACHINE.table[calls.Case(turn.view, call).state(), trigger]
    reason = calls.run(turn, call, trigger, calls.What(**what))
    if isinstance(row, Ignore):
        raise Refused("wrong_state", reason or "")


def _own_call(turn: Turn, body: Any, trigger: calls.Trigger, **what: Any) -> None:
    if body.call not in turn.view.calls:
        raise Refused("unknown_call", "That call is over, or never was.")
    if turn.agent(body.agent).call != body.call:
        raise Refused("not_yours", "That call is not this agent's.")
    _call(turn, body.call, trigger, **what)


def _start_shift(turn: Turn, envelope: Envelope) -> None:
    body: a.StartShift = envelope.body
    _agent(turn, body.agent, agents.Trigger.START, endpoint=body.endpoint)


def _end_shift(turn: Turn, envelope: Envelope) -> None:
    body: a.EndShift = envelope.body
    reason = "agent" if body.agent in envelope.actor else "supervisor"
    _agent(turn, body.agent, agents.Trigger.END, reason=reason)


def _set_status(turn: Turn, envelope: Envelope) -> None:
    body: a.SetStatus = envelope.body
    if body.reason and not wrapup.CODE.fullmatch(body.reason):
        raise Refused("invalid", "A reason is a code of the tenant's list, never free text.")
    _agent(turn, body.agent, agents.Trigger.STATUS, intent=body.intent, reason=body.reason)


def _report_desktop(turn: Turn, envelope: Envelope) -> None:
    body: a.ReportDesktop = envelope.body
    _agent(turn, body.agent, agents.Trigger.DESK_ON if body.online else agents.Trigger.DESK_OFF)


def _decline(turn: Turn, envelope: Envelope) -> None:
    body: a.DeclineOffer = envelope.body
    if turn.agent(body.agent).offer != body.offer:
        raise Refused("not_yours", "That offer is not open, or not this agent's.")
    _call(turn, CallId(body.offer.rpartition(".")[0]), calls.Trigger.DECLINE)


def _hold(turn: Turn, envelope: Envelope) -> None:
    _own_call(turn, envelope.body, calls.Trigger.HOLD)


def _resume(turn: Turn, envelope: Envelope) -> None:
    _own_call(turn, envelope.body, calls.Trigger.RESUME)


def _hang_up(turn: Turn, envelope: Envelope) -> None:
    _own_call(turn, envelope.body, calls.Trigger.END)


def _mute(turn: Turn, envelope: Envelope) -> None:
    _own_call(turn, envelope.body, calls.Trigger.MUTE, muted=envelope.body.muted)


def _digits(turn: Turn, envelope: Envelope) -> None:
    _own_call(turn, envelope.body, calls.Trigger.DIGITS, digits=envelope.body.digits)


def _extend(turn: Turn, envelope: Envelope) -> None:
    _write_up(turn, envelope.body, wrapup.Trigger.EXTEND, "")


def _finish(turn: Turn, envelope: Envelope) -> None:
    _write_up(turn, envelope.body, wrapup.Trigger.FINISH, envelope.body.disposition)


def _write_up(turn: Turn, body: Any, trigger: wrapup.Trigger, disposition: str) -> None:
    agent = turn.agent(body.agent)
    if agent.wrap_up is not None and agent.wrap_up.call != body.call:
        raise Refused("not_yours", "The agent writes up another call.")
    reason = turn.run(wrapup.MACHINE, wrapup.Writer(agent), trigger, agent, disposition)
    if reason is not None:
        raise Refused("wrong_state", reason)


_HANDLERS: dict[type, Callable[[Turn, Envelope], None]] = {
    a.StartShift: _start_shift,
    a.EndShift: _end_shift,
    a.SetStatus: _set_status,
    a.ReportDesktop: _report_desktop,
    a.DeclineOffer: _decline,
    a.HoldCall: _hold,
    a.ResumeCall: _resume,
    a.HangUpCall: _hang_up,
    a.MuteCall: _mute,
    a.SendDigits: _digits,
    a.ExtendWrapUp: _extend,
    a.FinishWrapUp: _finish,
}
