"""A call's way: from the caller's arrival to the end of the caller's leg.

The caller's leg never ends because an agent's did, except when the agent ended the call on purpose. Every
ending of the caller's leg goes through `_close`, which ends what is open backwards: the offer, the agent's
leg, the place in line. A leg that answers after its offer is over is hung up again: whichever of two
crossing events the floor sees first wins, and the other side is compensated without a miss.
"""

from dataclasses import dataclass
from enum import Enum

from telephony.contract import facts as f
from telephony.contract.clock import SECOND, Duration, Instant
from telephony.contract.facts import OfferOutcome
from telephony.contract.ids import AgentId, CallId, LegId, NumberId, bridge, part
from telephony.contract.view import CallState, CallView, OfferView, View

from . import commands as c
from .events import CallerEntered
from .machine import Machine, Refused, go, ignore
from .turn import Turn
from .wrapup import release, start

DEAD_MAN = 90
"""Seconds until Asterisk takes a caller back whom nobody looks after."""
KEEP: Duration = 20 * SECOND
"""How long a caller is kept for an agent whose leg was lost."""
PAUSE: Duration = 10 * SECOND
"""How long who declined a caller, or whose phone is busy, is left alone."""
_SPARE = 2
"""Seconds by which a leg outlives our deadline, so that the deadline decides and the leg is a backstop."""
_DIGITS = "0123456789*#ABCD"


class Stage(Enum):
    """A call's state together with whether an offer is open."""

    ABSENT = "absent"
    ARRIVED = "arrived"
    WAITING = "waiting"
    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    KEPT = "kept"
    RETURNING = "returning"
    DIVERTED = "diverted"
    ENDED = "ended"


class Trigger(Enum):
    ENTERED = "entered"
    HUNG_UP = "caller hung up"
    LEFT = "caller left for the dialplan"
    VANISHED = "caller found missing"
    OPENED = "offers opened"
    MATCHED = "matched"
    ANSWERED = "agent answered"
    LEG_BUSY = "leg busy"
    LEG_DECLINED = "leg declined"
    LEG_MISSED = "leg unanswered"
    LEG_UNREACHABLE = "leg unreachable"
    DECLINE = "decline"
    RING_DEADLINE = "ring deadline"
    PHONE_GONE = "phone gone"
    DESK_GONE = "desk gone"
    WAIT_DEADLINE = "wait deadline"
    KEPT_DEADLINE = "kept deadline"
    AGENT_LEFT = "agent left"
    AGENT_BACK = "agent back"
    LEG_ENDED = "leg ended on purpose"
    LEG_LOST = "leg lost"
    BRIDGE_FAILED = "bridge failed"
    HOLD = "hold"
    RESUME = "resume"
    END = "end"
    MUTE = "mute"
    DIGITS = "digits"
    STRAY_ANSWER = "stray answer"
    STRAY_END = "stray end"
    FAILURE = "other command failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What a trigger brings along."""

    cause: int = 0
    agent: AgentId | None = None
    runner_up: AgentId | None = None
    excluded: tuple[tuple[str, int], ...] = ()
    entered: CallerEntered | None = None
    leg: LegId | None = None
    muted: bool = False
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A call id together with the view, so that its stage can be asked for at any time."""

    view: View
    id: CallId

    def state(self) -> Stage:
        call = self.view.calls.get(self.id)
        if call is None:
            return Stage.ABSENT
        if call.offer is not None:
            return Stage.RETURNING if call.state is CallState.KEPT else Stage.RINGING
        return _STAGES[call.state]


_STAGES = {
    CallState.ARRIVED: Stage.ARRIVED,
    CallState.WAITING: Stage.WAITING,
    CallState.TALKING: Stage.TALKING,
    CallState.HELD: Stage.HELD,
    CallState.KEPT: Stage.KEPT,
    CallState.DIVERTED: Stage.DIVERTED,
    CallState.ENDED: Stage.ENDED,
}


def run(turn: Turn, call: CallId, trigger: Trigger, what: What | None = None) -> str | None:
    """One row of the call's machine; returns why nothing changed, or None."""
    return turn.run(MACHINE, Case(turn.view, call), trigger, call, what or What())


# --- arriving and waiting -------------------------------------------------------------------------------


def _enter(turn: Turn, call: CallId, what: What) -> None:
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
    """Into the line of the number's queue; a number that nobody serves ends the call."""
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
    turn.order(c.SetTimeout(call=call.call, channel=call.channel, seconds=DEAD_MAN))
    turn.order(c.AnswerCaller(call=call.call, channel=call.channel))
    turn.order(c.StartMusic(call=call.call, channel=call.channel, music=policy.music))


def _requeue(turn: Turn, call: CallView) -> None:
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


def _rearm(turn: Turn, call: CallId, what: What) -> None:
    """The channel came in again: what we did to it before may not have outlived the way back."""
    found = turn.view.calls[call]
    turn.order(c.SetTimeout(call=call, channel=found.channel, seconds=DEAD_MAN))
    turn.order(c.StartMusic(call=call, channel=found.channel, music=turn.book.queue(found).music))


def _repair_arrival(turn: Turn, call: CallId, what: What) -> None:
    """The writer died between the arrival and the line."""
    _join(turn, turn.view.calls[call])


def _divert(turn: Turn, call: CallId, what: What) -> None:
    found = turn.view.calls[call]
    turn.fact(f.QueueLeft(call=call, visit=found.visit, outcome=f.VisitOutcome.TIMEOUT))
    turn.fact(f.CallDiverted(call=call))
    turn.order(c.Divert(call=call, channel=found.channel))


# --- offers ---------------------------------------------------------------------------------------------


def _offer(turn: Turn, call: CallId, what: What) -> None:
    found = turn.view.calls[call]
    assert what.agent is not None and found.queue is not None
    endpoint = turn.agent(what.agent).endpoint
    assert endpoint is not None
    seconds = turn.book.queue(found).ring_seconds
    offer = part(call, found.serial + 1)
    turn.fact(
        f.OfferMade(
            call=call,
            offer=offer,
            agent=what.agent,
            endpoint=endpoint,
            queue=found.queue,
            demand=found.demand,
            attempt=found.attempts + 1,
            deadline=turn.now + seconds * SECOND,
            returning=found.state is CallState.KEPT,
            runner_up=what.runner_up,
            excluded=what.excluded,
        )
    )
    turn.order(
        c.RingAgent(call=call, leg=offer, endpoint=endpoint, seconds=seconds + _SPARE, party=found.party)
    )


def _offer_back(turn: Turn, call: CallId, what: What) -> str | None:
    """The same agent first, when that agent's phone and desk are there."""
    found = turn.view.calls[call]
    assert found.agent is not None
    keeper = turn.agent(found.agent)
    if keeper.missing() or not keeper.active:
        return "the same agent is not back yet"
    _offer(turn, call, What(agent=found.agent))
    return None


def _connect(turn: Turn, call: CallId, what: What) -> None:
    found = turn.view.calls[call]
    offer = _open(found)
    turn.fact(f.OfferEnded(call=call, offer=offer.offer, agent=offer.agent, outcome=OfferOutcome.ACCEPTED))
    if found.state is CallState.WAITING:
        turn.fact(f.QueueLeft(call=call, visit=found.visit, outcome=f.VisitOutcome.ANSWERED))
    made = bridge(call, found.serial + 1)
    turn.fact(f.CallConnected(call=call, agent=offer.agent, leg=offer.offer, bridge=made))
    turn.order(c.Bridge(call=call, bridge=made, channel=found.channel, leg=offer.offer))


def _open(call: CallView) -> OfferView:
    assert call.offer is not None
    return call.offer


def _end_offer(turn: Turn, call: CallView, outcome: OfferOutcome, cause: int, hang_up: bool) -> AgentId:
    offer = _open(call)
    pauses = outcome in (OfferOutcome.DECLINED, OfferOutcome.BUSY)
    turn.fact(
        f.OfferEnded(
            call=call.call,
            offer=offer.offer,
            agent=offer.agent,
            outcome=outcome,
            cause=cause,
            again=turn.now + PAUSE if pauses else 0,
        )
    )
    if hang_up:
        turn.order(c.HangUpLeg(call=call.call, leg=offer.offer))
    return offer.agent


def _offer_failed(
    turn: Turn, call: CallId, outcome: OfferOutcome, cause: int, hang_up: bool, aside: bool
) -> None:
    """The caller keeps the place. A kept caller whose agent said no, or did not answer, waits in line
    again; one whose agent's phone was not there is kept on until the time is over."""
    found = turn.view.calls[call]
    agent = _end_offer(turn, found, outcome, cause, hang_up)
    kept = found.state is CallState.KEPT
    stays = outcome in (OfferOutcome.UNREACHABLE, OfferOutcome.WITHDRAWN)
    if aside and not (kept and stays):
        turn.fact(f.AgentSetAside(agent=agent, call=call))
    if kept and not stays:
        _requeue(turn, found)
    release(turn, agent)


def _busy(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.BUSY, what.cause, hang_up=False, aside=False)


def _declined(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.DECLINED, what.cause, hang_up=False, aside=False)


def _decline(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.DECLINED, 0, hang_up=True, aside=False)


def _unanswered(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.MISSED, what.cause, hang_up=False, aside=True)


def _unreachable(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.UNREACHABLE, what.cause, hang_up=False, aside=True)


def _miss(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.MISSED, 0, hang_up=True, aside=True)


def _phone_gone(turn: Turn, call: CallId, what: What) -> None:
    """No set-aside: the agent is unreachable until the phone is back, and then needs no click."""
    _offer_failed(turn, call, OfferOutcome.UNREACHABLE, 0, hang_up=True, aside=False)


def _withdraw(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.WITHDRAWN, 0, hang_up=True, aside=False)


# --- talking --------------------------------------------------------------------------------------------


def _hold(turn: Turn, call: CallId, what: What) -> None:
    found = turn.view.calls[call]
    assert found.agent is not None and found.bridge is not None
    turn.fact(f.CallHeld(call=call, agent=found.agent))
    music = turn.book.queue(found).music
    turn.order(c.HoldCaller(call=call, bridge=found.bridge, channel=found.channel, music=music))


def _resume(turn: Turn, call: CallId, what: What) -> None:
    found = turn.view.calls[call]
    assert found.agent is not None and found.bridge is not None
    turn.fact(f.CallResumed(call=call, agent=found.agent))
    turn.order(c.ResumeCaller(call=call, bridge=found.bridge, channel=found.channel))


def _mute(turn: Turn, call: CallId, what: What) -> str | None:
    found = turn.view.calls[call]
    if found.muted is what.muted:
        return "the microphone is that way already"
    assert found.agent is not None and found.agent_leg is not None
    turn.fact(f.AgentMuted(call=call, agent=found.agent, muted=what.muted))
    turn.order(c.MuteLeg(call=call, leg=found.agent_leg, muted=what.muted))
    return None


def _digits(turn: Turn, call: CallId, what: What) -> None:
    if not 0 < len(what.digits) <= 32 or what.digits.strip(_DIGITS):
        raise Refused("invalid", "Digits are 1 to 32 of 0-9, *, #, A-D.")
    channel = turn.view.calls[call].channel
    turn.order(c.SendDigits(call=call, channel=channel, digits=what.digits))


# --- endings --------------------------------------------------------------------------------------------


def _end(turn: Turn, call: CallId, what: What) -> None:
    """The agent ends the call at the desk."""
    _finish(turn, turn.view.calls[call], f.LegEnd.AGENT, hang_up_leg=True, cause=0)


def _leg_ended(turn: Turn, call: CallId, what: What) -> None:
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


def _lost(turn: Turn, call: CallId, what: What) -> None:
    _keep(turn, turn.view.calls[call], f.LegEnd.LOST, what.cause, hang_up=False)


def _bridge_failed(turn: Turn, call: CallId, what: What) -> None:
    """They would sit in silence: the caller is kept, and the same agent is asked again."""
    _keep(turn, turn.view.calls[call], f.LegEnd.SYSTEM, 0, hang_up=True)


def _keep(turn: Turn, call: CallView, why: f.LegEnd, cause: int, hang_up: bool) -> None:
    made = call.bridge
    if call.state is CallState.TALKING and made is not None:
        music = turn.book.queue(call).music
        turn.order(c.HoldCaller(call=call.call, bridge=made, channel=call.channel, music=music))
    agent = _end_leg(turn, call, why, cause, hang_up)
    turn.fact(f.AgentLost(call=call.call, agent=agent, until=turn.now + KEEP))


def _repair_talk(turn: Turn, call: CallId, what: What) -> str | None:
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


def _give_back(turn: Turn, call: CallId, what: What) -> None:
    """The same agent will not come: back in line."""
    found = turn.view.calls[call]
    agent = found.agent
    _requeue(turn, found)
    if agent is not None:
        release(turn, agent)


def _hung_up(turn: Turn, call: CallId, what: What) -> None:
    _close(turn, call, what, f.LegEnd.CALLER, f.VisitOutcome.ABANDONED, None)


def _left(turn: Turn, call: CallId, what: What) -> None:
    """Gone to the dialplan without our asking, as when nobody renewed the time-out."""
    _close(turn, call, what, f.LegEnd.SYSTEM, f.VisitOutcome.SYSTEM, f.CallOutcome.DIVERTED)


def _vanished(turn: Turn, call: CallId, what: What) -> None:
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
        rung = _end_offer(turn, found, OfferOutcome.WITHDRAWN, 0, hang_up=True)
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


def _diverted(turn: Turn, call: CallId, what: What) -> None:
    turn.fact(f.CallEnded(call=call, outcome=f.CallOutcome.DIVERTED, cause=what.cause))


def _hang_up_stray(turn: Turn, call: CallId, what: What) -> None:
    if what.leg is not None:
        turn.order(c.HangUpLeg(call=call, leg=what.leg))


# --- the table ------------------------------------------------------------------------------------------

S, T = Stage, Trigger
_QUIET = [S.ABSENT, S.ENDED]
_ENTERED = [each for each in S if each not in _QUIET]
_WAITS = [S.WAITING, S.RINGING, S.KEPT, S.RETURNING]
_RINGS = [S.RINGING, S.RETURNING]
_TALKS = [S.TALKING, S.HELD]
_UNSERVED = [S.ARRIVED, S.WAITING, S.RINGING]
_SERVED = [S.TALKING, S.HELD, S.KEPT, S.RETURNING]
_OFFER = [
    T.ANSWERED,
    T.LEG_BUSY,
    T.LEG_DECLINED,
    T.LEG_MISSED,
    T.LEG_UNREACHABLE,
    T.DECLINE,
    T.RING_DEADLINE,
    T.PHONE_GONE,
    T.DESK_GONE,
]
_TALK = [T.LEG_ENDED, T.LEG_LOST, T.BRIDGE_FAILED, T.HOLD, T.RESUME, T.END, T.MUTE, T.DIGITS]


def _but(*without: Stage) -> list[Stage]:
    return [each for each in _ENTERED if each not in without]


MACHINE = Machine(
    "call",
    Stage,
    Trigger,
    go([S.ABSENT], [T.ENTERED], _enter, S.WAITING, S.ABSENT),
    ignore(_WAITS, [T.ENTERED], "the caller is known: music and time-out are renewed", _rearm),
    ignore([S.ARRIVED, *_TALKS, S.DIVERTED, S.ENDED], [T.ENTERED], "the caller is known"),
    go([S.ARRIVED], [T.OPENED], _repair_arrival, S.WAITING, S.ABSENT),
    go([S.TALKING], [T.OPENED], _repair_talk, S.TALKING, S.KEPT, S.ENDED),
    go([S.HELD], [T.OPENED], _repair_talk, S.HELD, S.KEPT, S.ENDED),
    ignore([*_QUIET, *_WAITS, S.DIVERTED], [T.OPENED], "nothing is torn"),
    # the caller's leg
    go(_UNSERVED, [T.HUNG_UP], _hung_up, S.ABSENT),
    go(_UNSERVED, [T.LEFT], _left, S.ABSENT),
    go(_UNSERVED, [T.VANISHED], _vanished, S.ABSENT),
    go(_SERVED, [T.HUNG_UP], _hung_up, S.ENDED, S.ABSENT),
    go(_SERVED, [T.LEFT], _left, S.ENDED, S.ABSENT),
    go(_SERVED, [T.VANISHED], _vanished, S.ENDED, S.ABSENT),
    go([S.DIVERTED], [T.HUNG_UP, T.LEFT, T.VANISHED], _diverted, S.ABSENT),
    ignore(_QUIET, [T.HUNG_UP, T.LEFT, T.VANISHED], "the call is over"),
    # offers
    go([S.WAITING], [T.MATCHED], _offer, S.RINGING),
    ignore(_but(S.WAITING), [T.MATCHED], "the caller is not in line"),
    go([S.KEPT], [T.AGENT_BACK], _offer_back, S.RETURNING, S.KEPT),
    ignore(_but(S.KEPT), [T.AGENT_BACK], "the caller is kept for nobody"),
    go(_RINGS, [T.ANSWERED], _connect, S.TALKING),
    go([S.RINGING], [T.LEG_BUSY], _busy, S.WAITING),
    go([S.RINGING], [T.LEG_DECLINED], _declined, S.WAITING),
    go([S.RINGING], [T.LEG_MISSED], _unanswered, S.WAITING),
    go([S.RINGING], [T.LEG_UNREACHABLE], _unreachable, S.WAITING),
    go([S.RINGING], [T.DECLINE], _decline, S.WAITING),
    go([S.RINGING], [T.RING_DEADLINE], _miss, S.WAITING),
    go([S.RINGING], [T.PHONE_GONE], _phone_gone, S.WAITING),
    go([S.RINGING], [T.DESK_GONE], _withdraw, S.WAITING),
    go([S.RETURNING], [T.LEG_BUSY], _busy, S.WAITING),
    go([S.RETURNING], [T.LEG_DECLINED], _declined, S.WAITING),
    go([S.RETURNING], [T.LEG_MISSED], _unanswered, S.WAITING),
    go([S.RETURNING], [T.LEG_UNREACHABLE], _unreachable, S.KEPT),
    go([S.RETURNING], [T.DECLINE], _decline, S.WAITING),
    go([S.RETURNING], [T.RING_DEADLINE], _miss, S.WAITING),
    go([S.RETURNING], [T.PHONE_GONE], _phone_gone, S.KEPT),
    go([S.RETURNING], [T.DESK_GONE], _withdraw, S.KEPT),
    ignore(_but(*_RINGS), _OFFER, "no offer is open"),
    # deadlines
    go([S.WAITING], [T.WAIT_DEADLINE], _divert, S.DIVERTED),
    ignore(_but(S.WAITING), [T.WAIT_DEADLINE], "the caller is not in line"),
    go([S.KEPT], [T.KEPT_DEADLINE], _give_back, S.WAITING),
    go([S.KEPT], [T.AGENT_LEFT], _give_back, S.WAITING),
    ignore(_but(S.KEPT), [T.KEPT_DEADLINE, T.AGENT_LEFT], "the caller is kept for nobody"),
    # talking
    go([S.TALKING], [T.HOLD], _hold, S.HELD),
    ignore([S.HELD], [T.HOLD], "The caller is on hold already."),
    go([S.HELD], [T.RESUME], _resume, S.TALKING),
    ignore([S.TALKING], [T.RESUME], "The caller is not on hold."),
    go(_TALKS, [T.END], _end, S.ENDED, S.ABSENT),
    go(_TALKS, [T.LEG_ENDED], _leg_ended, S.ENDED, S.ABSENT),
    go(_TALKS, [T.LEG_LOST], _lost, S.KEPT),
    go(_TALKS, [T.BRIDGE_FAILED], _bridge_failed, S.KEPT),
    go([S.TALKING], [T.MUTE], _mute, S.TALKING),
    go([S.HELD], [T.MUTE], _mute, S.HELD),
    go([S.TALKING], [T.DIGITS], _digits, S.TALKING),
    ignore([S.HELD], [T.DIGITS], "The caller is on hold and would not hear them."),
    ignore(_but(*_TALKS), _TALK, "Nobody talks in this call."),
    # what comes too late
    ignore(S, [T.STRAY_ANSWER], "the offer is over: the answered leg is hung up", _hang_up_stray),
    ignore(S, [T.STRAY_END], "the leg was given up before"),
    ignore(S, [T.FAILURE], "the end of a leg or the next list will tell"),
    ignore(
        _QUIET,
        [
            *_OFFER,
            *_TALK,
            T.MATCHED,
            T.AGENT_BACK,
            T.WAIT_DEADLINE,
            T.KEPT_DEADLINE,
            T.AGENT_LEFT,
        ],
        "the call is over",
    ),
)


def ended_leg(*, ringing: bool, cause: int, refused: bool, wilful: bool) -> Trigger:
    """What the end of an agent's leg means. `wilful`: by this device's kind the cause says 'on purpose'."""
    if not ringing:
        return T.LEG_ENDED if wilful else T.LEG_LOST
    if refused:
        return T.LEG_UNREACHABLE
    return _WHILE_RINGING.get(cause, T.LEG_UNREACHABLE)


_WHILE_RINGING = {
    17: T.LEG_BUSY,
    21: T.LEG_DECLINED,
    16: T.LEG_MISSED,
    19: T.LEG_MISSED,
    26: T.LEG_MISSED,
    31: T.LEG_MISSED,
}
"""By Q.850 cause; everything else means that nothing rang."""
