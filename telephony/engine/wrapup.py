"""After-call work: a state with a deadline that only the agent, the deadline or the shift's end closes.

Whoever becomes free passes through `release`, where what had to wait is done: the end of the shift that a
change of the roster asked for, or the next status that the agent chose.
"""

import re
from dataclasses import dataclass
from enum import Enum

from telephony.contract import facts as f
from telephony.contract.clock import SECOND
from telephony.contract.ids import AgentId
from telephony.contract.policy import WRAPUP_TIMEOUT
from telephony.contract.view import AgentView, CallView

from .machine import Machine, Refused, go, ignore
from .turn import Turn

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""A disposition, or a reason for not being ready: never free text."""


class WrapUp(Enum):
    NONE = "none"
    WRITING = "writing"


class Trigger(Enum):
    EXTEND = "extend"
    FINISH = "finish"
    DEADLINE = "deadline"
    SHIFT_END = "shift end"


@dataclass(frozen=True, slots=True)
class Writer:
    """An agent seen as somebody who writes up a call."""

    agent: AgentView

    def state(self) -> WrapUp:
        return WrapUp.WRITING if self.agent.wrap_up is not None else WrapUp.NONE


def start(turn: Turn, call: CallView, agent: AgentId) -> None:
    """Begin after-call work, unless the queue has none. States it before the call's end, so that an ended
    call stays known for as long as somebody writes it up."""
    policy = turn.book.queue(call)
    if policy.wrap_up_seconds <= 0 or call.queue is None:
        return
    turn.fact(
        f.WrapUpStarted(
            agent=agent,
            call=call.call,
            queue=call.queue,
            deadline=turn.now + policy.wrap_up_seconds * SECOND,
            extensions=policy.wrap_up_extensions,
        )
    )


def release(turn: Turn, agent: AgentId) -> None:
    """The work in hand may be done: carry out what waited for that."""
    found = turn.agent(agent)
    if found.call or found.offer or found.wrap_up or found.keeps:
        return
    if found.endpoint is not None and (not found.active or found.endpoint not in found.endpoints):
        turn.fact(f.ShiftEnded(agent=agent, reason="roster"))
    elif found.next_intent is not None:
        turn.fact(f.StatusSet(agent=agent, intent=found.next_intent, reason=found.next_reason))


def _extend(turn: Turn, agent: AgentView, _: str) -> None:
    wrap_up = agent.wrap_up
    assert wrap_up is not None
    if wrap_up.extensions <= 0:
        raise Refused("wrong_state", "This wrap-up cannot be extended any more.")
    call = turn.view.calls.get(wrap_up.call)
    policy = turn.book.queue(call) if call is not None else turn.book.of_queue(wrap_up.queue)
    longer = wrap_up.deadline + policy.wrap_up_extend_seconds * SECOND
    turn.fact(f.WrapUpExtended(agent=agent.agent, call=wrap_up.call, deadline=longer))


def _finish(turn: Turn, agent: AgentView, disposition: str) -> None:
    if not CODE.fullmatch(disposition) or disposition == WRAPUP_TIMEOUT:
        raise Refused("invalid", "A disposition is a code of the tenant's list, not one that is reserved.")
    _end(turn, agent, f.WrapUpEnd.FINISHED, disposition)
    release(turn, agent.agent)


def _over(turn: Turn, agent: AgentView, _: str) -> None:
    _end(turn, agent, f.WrapUpEnd.TIMEOUT, WRAPUP_TIMEOUT)
    release(turn, agent.agent)


def _cut(turn: Turn, agent: AgentView, _: str) -> None:
    _end(turn, agent, f.WrapUpEnd.SHIFT_ENDED, WRAPUP_TIMEOUT)


def _end(turn: Turn, agent: AgentView, how: f.WrapUpEnd, disposition: str) -> None:
    assert agent.wrap_up is not None
    turn.fact(f.WrapUpEnded(agent=agent.agent, call=agent.wrap_up.call, how=how, disposition=disposition))


N, W, T = WrapUp.NONE, WrapUp.WRITING, Trigger
MACHINE = Machine(
    "wrap-up",
    WrapUp,
    Trigger,
    ignore([N], T, "There is no wrap-up to work on."),
    go([W], [T.EXTEND], _extend, W),
    go([W], [T.FINISH], _finish, N),
    go([W], [T.DEADLINE], _over, N),
    go([W], [T.SHIFT_END], _cut, N),
)
