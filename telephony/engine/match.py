"""Matching: an eligible agent and a waiting caller are an offer in the same step.

Only demands in which somebody became available since the last time are looked at, because in every other
one the last matching left nobody who could be put together. Among them the caller with the smallest key is
served first, whatever the queue; who has nobody to be asked is passed over for now.
"""

from . import call as calls
from .line import Waiting
from .strategies import anybody, choose, excluded
from .turn import Turn


def match(turn: Turn) -> None:
    """Make every offer that can be made now."""
    _bring_back(turn)
    index, agents = turn.index, turn.view.agents
    open_demands = {d: 0 for d in index.dirty if index.lines.get(d) and index.idle.get(d)}
    index.dirty.clear()
    while open_demands:
        first = _first(turn, open_demands)
        if first is None:
            return
        demand, (_, call) = first
        seats = index.idle[demand]
        found = turn.view.calls[call]
        choice = choose(seats, found, agents, turn.now)
        if choice is not None:
            what = calls.What(
                agent=choice.agent,
                runner_up=choice.runner_up,
                excluded=excluded(index, demand, choice),
            )
            calls.run(turn, call, calls.Trigger.MATCHED, what)
        elif anybody(seats, agents, turn.now):
            open_demands[demand] += 1
        else:
            del open_demands[demand]


def _first(turn: Turn, demands: dict[str, int]) -> tuple[str, Waiting] | None:
    """The caller to be served next among the demands, each from its own position on."""
    best: tuple[str, Waiting] | None = None
    for demand in tuple(demands):
        line, at = turn.index.lines[demand], demands[demand]
        if at >= len(line) or not turn.index.idle[demand]:
            del demands[demand]
        elif best is None or line[at] < best[1]:
            best = demand, line[at]
    return best


def _bring_back(turn: Turn) -> None:
    """Kept callers whose agent may be back: that agent only."""
    while turn.index.kept:
        call = next(iter(turn.index.kept))
        del turn.index.kept[call]
        calls.run(turn, call, calls.Trigger.AGENT_BACK)
