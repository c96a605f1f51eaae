"""Where a call stands, what can happen to it, and what a happening brings along."""

from dataclasses import dataclass
from enum import Enum

from telephony.contract.ids import AgentId, CallId, LegId
from telephony.contract.view import CallState, View

from .events import CallerEntered


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
    LEG_VANISHED = "leg found missing"
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
