"""Offers: one agent is reserved for one caller and rung, and every ending of that has its consequence.

A leg that answers after its offer is over is hung up again: whichever of two crossing events the floor sees
first wins, and the other side is compensated without a miss.
"""

from telephony.contract import facts as f
from telephony.contract.clock import SECOND, Duration
from telephony.contract.facts import OfferOutcome
from telephony.contract.ids import AgentId, CallId, bridge, part
from telephony.contract.view import CallState, CallView, OfferView

from . import commands as c
from .stages import What
from .turn import Turn
from .waiting import requeue
from .wrapup import release

PAUSE: Duration = 10 * SECOND
"""How long who declined a caller, or whose phone is busy, is left alone."""
_SPARE = 2
"""Seconds by which a leg outlives our deadline, so that the deadline decides and the leg is a backstop."""


def offer(turn: Turn, call: CallId, what: What) -> None:
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


def offer_back(turn: Turn, call: CallId, what: What) -> str | None:
    """The same agent first, when that agent's phone and desk are there."""
    found = turn.view.calls[call]
    assert found.agent is not None
    keeper = turn.agent(found.agent)
    if keeper.missing() or not keeper.active:
        return "the same agent is not back yet"
    offer(turn, call, What(agent=found.agent))
    return None


def connect(turn: Turn, call: CallId, what: What) -> None:
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


def end_offer(turn: Turn, call: CallView, outcome: OfferOutcome, cause: int, hang_up: bool) -> AgentId:
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
    agent = end_offer(turn, found, outcome, cause, hang_up)
    kept = found.state is CallState.KEPT
    stays = outcome in (OfferOutcome.UNREACHABLE, OfferOutcome.WITHDRAWN)
    if aside and not (kept and stays):
        turn.fact(f.AgentSetAside(agent=agent, call=call))
    if kept and not stays:
        requeue(turn, found)
    release(turn, agent)


def busy(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.BUSY, what.cause, hang_up=False, aside=False)


def declined(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.DECLINED, what.cause, hang_up=False, aside=False)


def decline(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.DECLINED, 0, hang_up=True, aside=False)


def unanswered(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.MISSED, what.cause, hang_up=False, aside=True)


def unreachable(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.UNREACHABLE, what.cause, hang_up=False, aside=True)


def miss(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.MISSED, 0, hang_up=True, aside=True)


def phone_gone(turn: Turn, call: CallId, what: What) -> None:
    """No set-aside: the agent is unreachable until the phone is back, and then needs no click."""
    _offer_failed(turn, call, OfferOutcome.UNREACHABLE, 0, hang_up=True, aside=False)


def withdraw(turn: Turn, call: CallId, what: What) -> None:
    _offer_failed(turn, call, OfferOutcome.WITHDRAWN, 0, hang_up=True, aside=False)


def hang_up_stray(turn: Turn, call: CallId, what: What) -> None:
    if what.leg is not None:
        turn.order(c.HangUpLeg(call=call, leg=what.leg))
