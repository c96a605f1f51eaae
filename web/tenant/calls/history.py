"""A call's row, its queue visits and its segments, computed from its facts. Pure.

`fold` takes all facts of one call in order of seq and gives what the tables shall say. It is computed anew
whenever a fact comes, so a crash, a restart or another size of batch cannot change the result.

Each instant between a call's start and its end belongs to exactly one of wait, talk and hold: wait + talk +
hold = end - start. Waiting is everything that is neither talk nor hold, music after a lost agent included.
A call starts when the dialplan first saw the caller; the first queue visit counts from there too, when it
began in the same step. Wrap-up is after the call, or beside its rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from telephony.contract import facts as f
from telephony.contract.clock import Duration, Instant
from telephony.contract.frames import Entry
from telephony.contract.view import CallState


@dataclass(slots=True, kw_only=True)
class VisitRow:
    number: int
    queue: str
    demand: str
    entered: Instant
    left: Instant | None = None
    outcome: str = ""
    offers: int = 0
    agent: str | None = None


@dataclass(slots=True, kw_only=True)
class SegmentRow:
    leg: str
    kind: str
    agent: str | None = None
    queue: str | None = None
    endpoint: str = ""
    attempt: int = 0
    offered: Instant
    rang_until: Instant | None = None
    connected: Instant | None = None
    ended: Instant | None = None
    talk: Duration = 0
    hold: Duration = 0
    wrap_up: Duration = 0
    outcome: str = ""
    end_reason: str = ""
    cause: int = 0

    @property
    def ring(self) -> Duration:
        """From the offer to its end; 0 while it still rings."""
        return 0 if self.rang_until is None else self.rang_until - self.offered


@dataclass(slots=True, kw_only=True)
class History:
    """What the tables say about one call. Instants and durations are the contract's microseconds."""

    call: str
    party: str
    number: str
    node: str
    channel: str
    started: Instant
    status: CallState = CallState.ARRIVED
    answered: Instant | None = None
    ended: Instant | None = None
    outcome: str = ""
    queue: str | None = None
    agent: str | None = None
    disposition: str = ""
    wait: Duration = 0
    talk: Duration = 0
    hold: Duration = 0
    wrap_up: Duration = 0
    last_seq: int = 0
    visits: dict[int, VisitRow] = field(default_factory=dict)
    segments: dict[str, SegmentRow] = field(default_factory=dict)
    # Where the fold stands.
    at: Instant = 0
    arrived: Instant = 0
    leg: str | None = None
    writing: dict[str, Instant] = field(default_factory=dict)


def fold(entries: Iterable[Entry]) -> History:
    """The history of one call. Raises ValueError when its first fact is not CallArrived, KeyError when a
    fact speaks of a leg or visit that never began."""
    history: History | None = None
    for entry in entries:
        if history is None:
            history = _begin(entry)
        else:
            _spend(history, entry.at)
            handler = _HANDLERS.get(type(entry.fact))
            if handler is not None:
                handler(history, entry.fact, entry.at)
        history.last_seq = entry.seq
    if history is None:
        raise ValueError("a call without facts has no history")
    return history


def asterisk_ids(history: History) -> dict[str, Any]:
    """Asterisk's own names, for who looks into its log: the caller's channel, and the agents' legs."""
    legs = [row.leg for row in history.segments.values() if row.kind == "agent"]
    return {"node": history.node, "caller": history.channel, "legs": legs}


def _begin(entry: Entry) -> History:
    fact = entry.fact
    if not isinstance(fact, f.CallArrived):
        raise ValueError("a call begins with CallArrived")
    # Two clocks met here: nobody arrives after they were noticed.
    started = min(fact.first_arrival, entry.at)
    history = History(
        call=fact.call,
        party=fact.party,
        number=fact.number,
        node=fact.node,
        channel=fact.channel,
        started=started,
        at=started,
        arrived=entry.at,
    )
    history.segments[fact.leg] = SegmentRow(leg=fact.leg, kind="caller", offered=started)
    return history


def _spend(history: History, now: Instant) -> None:
    """Give the time since the last fact to what was going on."""
    passed = max(0, now - history.at)
    history.at = max(history.at, now)
    if history.ended is not None:
        return
    segment = history.segments.get(history.leg) if history.leg is not None else None
    if segment is None:
        history.wait += passed
    elif history.status is CallState.HELD:
        history.hold += passed
        segment.hold += passed
    else:
        history.talk += passed
        segment.talk += passed


def _queued(history: History, fact: f.CallQueued, at: Instant) -> None:
    entered = history.started if at == history.arrived else at
    history.visits[fact.visit] = VisitRow(
        number=fact.visit, queue=fact.queue, demand=fact.demand, entered=entered
    )
    history.queue = fact.queue
    history.status = CallState.WAITING


def _queue_left(history: History, fact: f.QueueLeft, at: Instant) -> None:
    visit = history.visits[fact.visit]
    visit.left, visit.outcome = at, fact.outcome.value


def _offered(history: History, fact: f.OfferMade, at: Instant) -> None:
    history.segments[fact.offer] = SegmentRow(
        leg=fact.offer,
        kind="agent",
        agent=fact.agent,
        queue=fact.queue,
        endpoint=fact.endpoint,
        attempt=fact.attempt,
        offered=at,
    )
    visit = _open_visit(history)
    if visit is not None:
        visit.offers += 1


def _offer_ended(history: History, fact: f.OfferEnded, at: Instant) -> None:
    segment = history.segments[fact.offer]
    segment.rang_until, segment.outcome, segment.cause = at, fact.outcome.value, fact.cause
    if fact.outcome is not f.OfferOutcome.ACCEPTED:
        segment.ended = at
        return
    visit = _open_visit(history) or _last_visit(history)
    if visit is not None:
        visit.agent = fact.agent


def _connected(history: History, fact: f.CallConnected, at: Instant) -> None:
    segment = history.segments[fact.leg]
    segment.connected = segment.connected or at
    caller = next(row for row in history.segments.values() if row.kind == "caller")
    caller.connected = caller.connected or at
    history.answered = history.answered or at
    history.agent, history.leg = fact.agent, fact.leg
    history.status = CallState.TALKING


def _held(history: History, fact: f.CallHeld, at: Instant) -> None:
    history.status = CallState.HELD


def _resumed(history: History, fact: f.CallResumed, at: Instant) -> None:
    history.status = CallState.TALKING


def _leg_ended(history: History, fact: f.AgentLegEnded, at: Instant) -> None:
    segment = history.segments[fact.leg]
    segment.ended, segment.end_reason, segment.cause = at, fact.reason.value, fact.cause
    if history.leg == fact.leg:
        history.leg = None


def _lost(history: History, fact: f.AgentLost, at: Instant) -> None:
    history.status = CallState.KEPT


def _diverted(history: History, fact: f.CallDiverted, at: Instant) -> None:
    history.status = CallState.DIVERTED


def _ended(history: History, fact: f.CallEnded, at: Instant) -> None:
    history.status, history.ended, history.outcome = CallState.ENDED, at, fact.outcome.value
    history.leg = None
    caller = next(row for row in history.segments.values() if row.kind == "caller")
    caller.cause = fact.cause
    caller.talk, caller.hold = history.talk, history.hold
    for segment in history.segments.values():
        segment.ended = segment.ended or at
    visit = _open_visit(history)
    if visit is not None:
        visit.left, visit.outcome = at, f.VisitOutcome.SYSTEM.value


def _wrap_up_started(history: History, fact: f.WrapUpStarted, at: Instant) -> None:
    history.writing[fact.agent] = at


def _wrap_up_ended(history: History, fact: f.WrapUpEnded, at: Instant) -> None:
    spent = at - history.writing.pop(fact.agent, at)
    history.wrap_up += spent
    history.disposition = fact.disposition
    own = [row for row in history.segments.values() if row.agent == fact.agent and row.connected is not None]
    if own:
        own[-1].wrap_up += spent


def _open_visit(history: History) -> VisitRow | None:
    visit = _last_visit(history)
    return visit if visit is not None and visit.left is None else None


def _last_visit(history: History) -> VisitRow | None:
    return history.visits[max(history.visits)] if history.visits else None


_HANDLERS: dict[type, Callable[[History, Any, Instant], None]] = {
    f.CallQueued: _queued,
    f.QueueLeft: _queue_left,
    f.OfferMade: _offered,
    f.OfferEnded: _offer_ended,
    f.CallConnected: _connected,
    f.CallHeld: _held,
    f.CallResumed: _resumed,
    f.AgentLegEnded: _leg_ended,
    f.AgentLost: _lost,
    f.CallDiverted: _diverted,
    f.CallEnded: _ended,
    f.WrapUpStarted: _wrap_up_started,
    f.WrapUpEnded: _wrap_up_ended,
}
"""What is not here changes no row (AgentMuted, WrapUpExtended, AgentSetAside), and so does Unknown."""
