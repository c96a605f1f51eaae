"""Arriving, waiting, and coming back into line."""

from telephony.contract import facts as f
from telephony.contract.clock import SECOND, Instant
from telephony.contract.hours import is_open
from telephony.contract.ids import CallId, NumberId, part
from telephony.contract.view import CallView

from . import commands as c
from .stages import What
from .turn import Turn
from .wrapup import release

DEAD_MAN = 90
"""Seconds until Asterisk takes a caller back whom nobody looks after."""


def enter(turn: Turn, call: CallId, what: What) -> None:
    event = what.entered
    assert event is not None
    first = min(event.first_arrival, turn.now) if event.first_arrival > 0 else turn.now
    turn.fact(
        f.CallArrived(
            call=call,
            node=event.node,
            channel=event.channel,
            leg=part(call, 1),
            trunk=event.trunk,
            number=event.number,
            party=event.party,
            first_arrival=first,
            policy=turn.view.policy,
            adopted=event.adopted,
        )
    )
    _join(turn, turn.view.calls[call])


def _join(turn: Turn, call: CallView) -> None:
    """Into the line of the number's queue, when it is open; a number that nobody serves ends the call."""
    entry = turn.book.entry(NumberId(call.number))
    if entry is None:
        turn.fact(f.CallEnded(call=call.call, outcome=f.CallOutcome.FAILED))
        turn.order(c.HangUpCaller(call=call.call, channel=call.channel))
        return
    queue, flow = entry
    policy = turn.book.of_queue(queue)
    turn.fact(
        f.CallQueued(
            call=call.call,
            visit=1,
            queue=queue,
            flow=flow,
            demand=queue,
            key=call.arrived - policy.priority * SECOND,
            deadline=_limit(turn.now, policy.max_wait_seconds),
        )
    )
    if policy.hours is not None and not is_open(policy.hours, turn.now):
        _turn_away(turn, call)
        return
    turn.order(c.SetTimeout(call=call.call, channel=call.channel, seconds=DEAD_MAN))
    turn.order(c.AnswerCaller(call=call.call, channel=call.channel))
    turn.order(c.StartMusic(call=call.call, channel=call.channel, music=policy.music))


def _turn_away(turn: Turn, call: CallView) -> None:
    """The visit has a name of its own, so that reports can tell who called when we were closed."""
    turn.fact(f.QueueLeft(call=call.call, visit=call.visit, outcome=f.VisitOutcome.CLOSED))
    turn.fact(f.CallDiverted(call=call.call))
    turn.order(c.TurnAway(call=call.call, channel=call.channel))


def requeue(turn: Turn, call: CallView) -> None:
    """Back in line under the old key: ahead of everybody who came later."""
    assert call.queue is not None
    turn.fact(
        f.CallQueued(
            call=call.call,
            visit=call.visit + 1,
            queue=call.queue,
            flow=call.flow,
            demand=call.demand,
            key=call.key,
            deadline=_limit(turn.now, turn.book.queue(call).max_wait_seconds),
        )
    )


def _limit(now: Instant, seconds: int) -> Instant:
    return now + seconds * SECOND if seconds > 0 else 0


def rearm(turn: Turn, call: CallId, what: What) -> None:
    """The channel came in again: what we did to it before may not have outlived the way back."""
    found = turn.view.calls[call]
    turn.order(c.SetTimeout(call=call, channel=found.channel, seconds=DEAD_MAN))
    turn.order(c.StartMusic(call=call, channel=found.channel, music=turn.book.queue(found).music))


def repair_arrival(turn: Turn, call: CallId, what: What) -> None:
    """The writer died between the arrival and the line."""
    _join(turn, turn.view.calls[call])


def divert(turn: Turn, call: CallId, what: What) -> None:
    found = turn.view.calls[call]
    turn.fact(f.QueueLeft(call=call, visit=found.visit, outcome=f.VisitOutcome.TIMEOUT))
    turn.fact(f.CallDiverted(call=call))
    turn.order(c.Divert(call=call, channel=found.channel))


def give_back(turn: Turn, call: CallId, what: What) -> None:
    """The same agent will not come: back in line."""
    found = turn.view.calls[call]
    agent = found.agent
    requeue(turn, found)
    if agent is not None:
        release(turn, agent)
