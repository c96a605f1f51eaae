"""Who is next, and why nobody else.

`choose` walks one demand's idle list, which is already in order: lowest penalty, then whoever has been
without work for the longest time (or, for the queue that says so, whoever's last call from it ended longest
ago), then the id. Whoever refused this caller is passed over, and asked again only when nobody else is
there, after a declined offer not before its pause is over. The walk is as long as the list of those passed
over, never as the floor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from telephony.contract.clock import Instant
from telephony.contract.ids import AgentId
from telephony.contract.view import AgentView, CallView

from .line import Index, Seat


@dataclass(frozen=True, slots=True)
class Choice:
    agent: AgentId
    runner_up: AgentId | None
    cooling: int
    refused: int


def choose(
    seats: list[Seat], call: CallView, agents: Mapping[AgentId, AgentView], now: Instant
) -> Choice | None:
    """The agent to ask about a caller, None when nobody may be asked now."""
    fresh: list[AgentId] = []
    again: list[AgentId] = []
    cooling = refused = 0
    for _, _, agent in seats:
        if agents[agent].cools_until > now:
            cooling += 1
        elif agent in call.refused:
            refused += 1
            if call.again.get(agent, 0) <= now:
                again.append(agent)
        else:
            fresh.append(agent)
            if len(fresh) == 2:
                break
    asked = fresh + again
    if not asked:
        return None
    return Choice(asked[0], asked[1] if len(asked) > 1 else None, cooling, refused)


def anybody(seats: list[Seat], agents: Mapping[AgentId, AgentView], now: Instant) -> bool:
    """Whether any idle agent of a demand may be asked about any caller at all."""
    return any(agents[agent].cools_until <= now for _, _, agent in seats)


def excluded(index: Index, demand: str, choice: Choice) -> tuple[tuple[str, int], ...]:
    """(rule, how many agents it excluded), ordered by rule; from counters, not from the agents."""
    counts = dict(index.counts.get(demand, {}))
    counts.pop("ready", None)
    counts["cooling"], counts["refused"] = choice.cooling, choice.refused
    return tuple((rule, n) for rule, n in sorted(counts.items()) if n)
