"""The clocks of a case, as a fold: moments and terms in, clocks out. Pure; instants are microseconds.

- First response runs from the opening until the client is answered.
- Next response runs from when the client asks again until they are answered; each time is a cycle.
- Resolution runs from the opening until the case is resolved or closed.

A clock measures open time of its calendar while the case is worked on. It stands still while the case waits
(pending, on hold) and once it is resolved or closed; reopening lets it go on with what was left. A breach is
the instant at which the target was used up while the clock ran; nothing that happens later takes it back.
Of a case that was merged in, the caller gives the answers and questions, not its opening and statuses: an
answer before this case's own opening meets the first response at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from telephony.contract import hours
from telephony.contract.clock import Duration, Instant
from telephony.contract.hours import Calendar, NeverOpen

WORKING, WAITING, DONE = (
    frozenset({"open"}),
    frozenset({"pending", "on_hold"}),
    frozenset({"resolved", "closed"}),
)
FIRST, NEXT, RESOLUTION = "first_response", "next_response", "resolution"
WARNING_SHARE = (3, 4)
"""A clock is near its breach when three quarters of its target are used up."""


@dataclass(frozen=True, slots=True)
class Moment:
    """`kind`: opened, status (with `status`), responded, asked."""

    at: Instant
    kind: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """`targets`: kind of clock → open time. A kind without a target has no clock."""

    calendar: Calendar
    targets: Mapping[str, Duration]


@dataclass(frozen=True, slots=True)
class Clock:
    """`elapsed` is what was used up when the clock last started or stopped; `since` when it last started.

    `state`: running, paused, met, stopped. `due` and `warn` are known only while it runs.
    """

    kind: str
    target: Duration
    started: Instant
    state: str = "running"
    cycle: int = 1
    elapsed: Duration = 0
    since: Instant | None = None
    due: Instant | None = None
    warn: Instant | None = None
    paused: Instant | None = None
    ended: Instant | None = None
    breached: Instant | None = None


def fold(moments: Iterable[Moment], terms: Terms, now: Instant) -> dict[str, Clock]:
    """The clocks as they stand at `now`, after all `moments` (in any order) that are not after it."""
    story = _Story(terms)
    for moment in sorted(moments, key=_order):
        if moment.at <= now:
            story.tell(moment)
    return {kind: _looked_at(clock, terms, now) for kind, clock in story.clocks.items()}


_RANK = {"opened": 0, "asked": 1, "status": 2, "responded": 3}


def _order(moment: Moment) -> tuple[Instant, int, str]:
    return moment.at, _RANK.get(moment.kind, 4), moment.status


class _Story:
    """One case's clocks while its moments are told."""

    def __init__(self, terms: Terms) -> None:
        self.terms, self.status, self.opened, self.answered = terms, "open", False, False
        self.clocks: dict[str, Clock] = {}

    def tell(self, moment: Moment) -> None:
        teller = {
            "opened": self._opened,
            "status": self._status,
            "responded": self._responded,
            "asked": self._asked,
        }.get(moment.kind)
        if teller is not None:
            teller(moment)

    def _opened(self, moment: Moment) -> None:
        if self.opened:
            return
        self.opened = True
        for kind in (FIRST, RESOLUTION):
            self._start(kind, moment.at)
        if self.answered:
            self._end(FIRST, moment.at, "met")

    def _status(self, moment: Moment) -> None:
        before, self.status = self.status, moment.status
        if moment.status in DONE:
            self._end(RESOLUTION, moment.at, "met")
            for kind in (FIRST, NEXT):
                self._end(kind, moment.at, "stopped")
        elif moment.status in WAITING:
            for kind in self.clocks:
                self._reopen(kind, moment.at) if before in DONE else None
                self._pause(kind, moment.at)
        else:
            for kind in self.clocks:
                self._reopen(kind, moment.at) if before in DONE else self._resume(kind, moment.at)

    def _responded(self, moment: Moment) -> None:
        self.answered = True
        for kind in (FIRST, NEXT):
            self._end(kind, moment.at, "met")

    def _asked(self, moment: Moment) -> None:
        clock = self.clocks.get(NEXT)
        waits = clock is not None and clock.state in ("running", "paused", "stopped")
        if not self.answered or waits or self.status in DONE:
            return  # the first answer is still owed, or this one
        self._start(NEXT, moment.at, cycle=clock.cycle + 1 if clock else 1)
        if self.status in WAITING and NEXT in self.clocks:
            self._pause(NEXT, moment.at)

    def _start(self, kind: str, at: Instant, cycle: int = 1) -> None:
        target = self.terms.targets.get(kind)
        if target:
            self.clocks[kind] = Clock(kind, target, started=at, since=at, cycle=cycle)

    def _pause(self, kind: str, at: Instant) -> None:
        clock = self.clocks[kind]
        if clock.state == "running":
            self.clocks[kind] = replace(self._counted(clock, at), state="paused", paused=at)

    def _resume(self, kind: str, at: Instant) -> None:
        clock = self.clocks[kind]
        if clock.state == "paused":
            self.clocks[kind] = replace(clock, state="running", paused=None, since=at)

    def _reopen(self, kind: str, at: Instant) -> None:
        clock = self.clocks[kind]
        if clock.state == "stopped" or (kind == RESOLUTION and clock.state == "met"):
            self.clocks[kind] = replace(clock, state="running", ended=None, paused=None, since=at)

    def _end(self, kind: str, at: Instant, state: str) -> None:
        clock = self.clocks.get(kind)
        if clock is None or clock.state == "met":
            return
        if clock.state == "running":
            clock = self._counted(clock, at)
        ended = clock.ended if clock.state == "stopped" else at
        self.clocks[kind] = replace(clock, state=state, paused=None, since=None, ended=ended)

    def _counted(self, clock: Clock, at: Instant) -> Clock:
        """The clock with its running time up to `at` counted, and the breach in it, if there was one."""
        since = clock.started if clock.since is None else clock.since
        used = clock.elapsed + hours.open_between(self.terms.calendar, since, at)
        due, breached = due_of(clock, self.terms), clock.breached
        if breached is None and due is not None and due < at:
            breached = due
        return replace(clock, elapsed=used, since=None, breached=breached)


def due_of(clock: Clock, terms: Terms, part: tuple[int, int] = (1, 1)) -> Instant | None:
    """When `part` of the target will be used up, counted from the last start; None when never."""
    left = clock.target * part[0] // part[1] - clock.elapsed
    if clock.since is None or left < 0:
        return None
    try:
        return hours.add_open(terms.calendar, clock.since, left)
    except NeverOpen:
        return None


def _looked_at(clock: Clock, terms: Terms, now: Instant) -> Clock:
    """A running clock with its due time, its warning and, when that has passed, its breach."""
    if clock.state != "running":
        return clock
    due = clock.breached if clock.breached is not None else due_of(clock, terms)
    warn = due_of(clock, terms, WARNING_SHARE)
    if warn is None:
        warn = clock.since if due is None or clock.since is None or clock.since < due else due
    breached = clock.breached
    if breached is None and due is not None and due < now:
        breached = due
    return replace(clock, due=due, warn=warn, breached=breached)
