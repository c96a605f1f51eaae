"""Endings: of the agent's leg and of the caller's.

The caller's leg never ends because an agent's did, except when the agent ended the call on purpose. Every
ending of the caller's leg goes through `_close`, which ends what is open backwards: the offer, the agent's
leg, the place in line.
"""

from telephony.contract import facts as f
from telephony.contract.clock import SECOND, Duration
from telephony.contract.facts import OfferOutcome
from telephony.contract.ids import AgentId, CallId
from telephony.contract.view import CallState, CallView

from . import commands as c
from .offering import end_offer
from .stages import What
from .turn import Turn
from .wrapup import release, start

KEEP: Duration = 20 * SECOND
"""How long a caller is kept for an agent whose leg was lost."""


def end(turn: Turn, call: CallId, what: What) -> None:
    """The agent ends the call at the desk."""
    _finish(turn, turn.view.calls[call], f.LegEnd.AGENT, hang_up_leg=True, cause=0)


def leg_ended(turn: Turn, call: CallId, what: What) -> None:
    """The agent ended the call on the phone."""
    _finish(turn, turn.view.calls[call], f.LegEnd.AGENT, hang_up_leg=False, cause=what.cause)


def _finish(turn: Turn, call: CallView, why: f.LegEnd, hang_up_leg: bool, cause: int) -> None:
    agent = _end_leg(turn, call, why, cause, hang_up_leg)
    start(turn, call, agent)
    turn.fact(f.CallEnded(call=call.call, outcome=f.CallOutcome.COMPLETED, cause=cause))
    turn.order(c.HangUpCaller(call=call.call, channel=call.channel))
    release(turn, agent)


def _end_leg(turn: Turn, call: CallView, why: f.LegEnd, cause: int, hang_up: bool) -> AgentId:
    agent, leg, made = call.agent, call.agent_leg, call.bridge
    assert agent is not None
    if leg is not None:
        turn.fact(f.AgentLegEnded(call=call.call, agent=agent, leg=leg, reason=why, cause=cause))
        if hang_up:
            turn.order(c.HangUpLeg(call=call.call, leg=leg))
    if made is not None:
        turn.order(c.DestroyBridge(call=call.call, bridge=made))
    return agent


def lost(turn: Turn, call: CallId, what: What) -> None:
    _keep(turn, turn.view.calls[call], f.LegEnd.LOST, what.cause, hang_up=False)


def bridge_failed(turn: Turn, call: CallId, what: What) -> None:
    """They would sit in silence: the caller is kept, and the same agent is asked again."""
    _keep(turn, turn.view.calls[call], f.LegEnd.SYSTEM, 0, hang_up=True)


def _keep(turn: Turn, call: CallView, why: f.LegEnd, cause: int, hang_up: bool) -> None:
    made = call.bridge
    if call.state is CallState.TALKING and made is not None:
        music = turn.book.queue(call).music
        turn.order(c.HoldCaller(call=call.call, bridge=made, channel=call.channel, music=music))
    agent = _end_leg(turn, call, why, cause, hang_up)
    turn.fact(f.AgentLost(call=call.call, agent=agent, until=turn.now + KEEP))


def repair_talk(turn: Turn, call: CallId, what: What) -> str | None:
    """The writer died between the end of the agent's leg and what follows from it."""
    found = turn.view.calls[call]
    if found.agent_leg is not None:
        return "nothing is torn"
    assert found.agent is not None
    if turn.agent(found.agent).wrap_up is not None:
        turn.fact(f.CallEnded(call=call, outcome=f.CallOutcome.COMPLETED))
        turn.order(c.HangUpCaller(call=call, channel=found.channel))
    else:
        _keep(turn, found, f.LegEnd.LOST, 0, hang_up=False)
    return None


def hung_up(turn: Turn, call: CallId, what: What) -> None:
    _close(turn, call, what, f.LegEnd.CALLER, f.VisitOutcome.ABANDONED, None)


def left(turn: Turn, call: CallId, what: What) -> None:
    """Gone to the dialplan without our asking, as when nobody renewed the time-out."""
    _close(turn, call, what, f.LegEnd.SYSTEM, f.VisitOutcome.SYSTEM, f.CallOutcome.DIVERTED)


def vanished(turn: Turn, call: CallId, what: What) -> None:
    _close(turn, call, what, f.LegEnd.SYSTEM, f.VisitOutcome.SYSTEM, f.CallOutcome.LOST)


def _close(
    turn: Turn,
    call: CallId,
    what: What,
    leg: f.LegEnd,
    visit: f.VisitOutcome,
    outcome: f.CallOutcome | None,
) -> None:
    found = turn.view.calls[call]
    rung = None
    if found.offer is not None:
        rung = end_offer(turn, found, OfferOutcome.WITHDRAWN, 0, hang_up=True)
    writer = found.agent if found.state is not CallState.WAITING else None
    if found.state is CallState.WAITING:
        turn.fact(f.QueueLeft(call=call, visit=found.visit, outcome=visit))
    elif writer is not None:
        _end_leg(turn, found, leg, 0, hang_up=True)
        start(turn, found, writer)
    if outcome is f.CallOutcome.DIVERTED:
        turn.fact(f.CallDiverted(call=call))
    if outcome is None:
        outcome = f.CallOutcome.COMPLETED if found.connected else f.CallOutcome.ABANDONED
    turn.fact(f.CallEnded(call=call, outcome=outcome, cause=what.cause))
    for agent in dict.fromkeys(each for each in (rung, writer) if each is not None):
        release(turn, agent)


def diverted(turn: Turn, call: CallId, what: What) -> None:
    turn.fact(f.CallEnded(call=call, outcome=f.CallOutcome.DIVERTED, cause=what.cause))
