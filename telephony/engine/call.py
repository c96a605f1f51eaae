"""A call's way as a table: for every stage and every happening the decision, or why nothing changes.

The decisions are in `waiting`, `offering`, `talking` and `ending`.
"""

from telephony.contract.ids import CallId

from . import ending, offering, talking, waiting
from .machine import Machine, go, ignore
from .stages import Case, Stage, Trigger, What
from .turn import Turn

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
    T.LEG_VANISHED,
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
    go([S.ABSENT], [T.ENTERED], waiting.enter, S.WAITING, S.DIVERTED, S.ABSENT),
    ignore(_WAITS, [T.ENTERED], "the caller is known: music and time-out are renewed", waiting.rearm),
    ignore([S.HELD], [T.ENTERED], "the caller is known: the hold is ordered again", talking.hold_again),
    ignore([S.ARRIVED, S.TALKING, S.DIVERTED, S.ENDED], [T.ENTERED], "the caller is known"),
    go([S.ARRIVED], [T.OPENED], waiting.repair_arrival, S.WAITING, S.DIVERTED, S.ABSENT),
    go([S.TALKING], [T.OPENED], ending.repair_talk, S.TALKING, S.KEPT, S.ENDED),
    go([S.HELD], [T.OPENED], ending.repair_talk, S.HELD, S.KEPT, S.ENDED),
    ignore([*_QUIET, *_WAITS, S.DIVERTED], [T.OPENED], "nothing is torn"),
    # the caller's leg
    go(_UNSERVED, [T.HUNG_UP], ending.hung_up, S.ABSENT),
    go(_UNSERVED, [T.LEFT], ending.left, S.ABSENT),
    go(_UNSERVED, [T.VANISHED], ending.vanished, S.ABSENT),
    go(_SERVED, [T.HUNG_UP], ending.hung_up, S.ENDED, S.ABSENT),
    go(_SERVED, [T.LEFT], ending.left, S.ENDED, S.ABSENT),
    go(_SERVED, [T.VANISHED], ending.vanished, S.ENDED, S.ABSENT),
    go([S.DIVERTED], [T.HUNG_UP, T.LEFT, T.VANISHED], ending.diverted, S.ABSENT),
    ignore(_QUIET, [T.HUNG_UP, T.LEFT, T.VANISHED], "the call is over"),
    # offers
    go([S.WAITING], [T.MATCHED], offering.offer, S.RINGING),
    ignore(_but(S.WAITING), [T.MATCHED], "the caller is not in line"),
    go([S.KEPT], [T.AGENT_BACK], offering.offer_back, S.RETURNING, S.KEPT),
    ignore(_but(S.KEPT), [T.AGENT_BACK], "the caller is kept for nobody"),
    go(_RINGS, [T.ANSWERED], offering.connect, S.TALKING),
    go([S.RINGING], [T.LEG_BUSY], offering.busy, S.WAITING),
    go([S.RINGING], [T.LEG_DECLINED], offering.declined, S.WAITING),
    go([S.RINGING], [T.LEG_MISSED], offering.unanswered, S.WAITING),
    go([S.RINGING], [T.LEG_UNREACHABLE], offering.unreachable, S.WAITING),
    go([S.RINGING], [T.DECLINE], offering.decline, S.WAITING),
    go([S.RINGING], [T.RING_DEADLINE], offering.miss, S.WAITING),
    go([S.RINGING], [T.PHONE_GONE], offering.phone_gone, S.WAITING),
    go([S.RINGING], [T.DESK_GONE, T.LEG_VANISHED], offering.withdraw, S.WAITING),
    go([S.RETURNING], [T.LEG_BUSY], offering.busy, S.WAITING),
    go([S.RETURNING], [T.LEG_DECLINED], offering.declined, S.WAITING),
    go([S.RETURNING], [T.LEG_MISSED], offering.unanswered, S.WAITING),
    go([S.RETURNING], [T.LEG_UNREACHABLE], offering.unreachable, S.KEPT),
    go([S.RETURNING], [T.DECLINE], offering.decline, S.WAITING),
    go([S.RETURNING], [T.RING_DEADLINE], offering.miss, S.WAITING),
    go([S.RETURNING], [T.PHONE_GONE], offering.phone_gone, S.KEPT),
    go([S.RETURNING], [T.DESK_GONE, T.LEG_VANISHED], offering.withdraw, S.KEPT),
    ignore(_but(*_RINGS), _OFFER, "no offer is open"),
    # deadlines
    go([S.WAITING], [T.WAIT_DEADLINE], waiting.divert, S.DIVERTED),
    ignore(_but(S.WAITING), [T.WAIT_DEADLINE], "the caller is not in line"),
    go([S.KEPT], [T.KEPT_DEADLINE], waiting.give_back, S.WAITING),
    go([S.KEPT], [T.AGENT_LEFT], waiting.give_back, S.WAITING),
    ignore(_but(S.KEPT), [T.KEPT_DEADLINE, T.AGENT_LEFT], "the caller is kept for nobody"),
    # talking
    go([S.TALKING], [T.HOLD], talking.hold, S.HELD),
    ignore([S.HELD], [T.HOLD], "The caller is on hold already."),
    go([S.HELD], [T.RESUME], talking.resume, S.TALKING),
    ignore([S.TALKING], [T.RESUME], "The caller is not on hold."),
    go(_TALKS, [T.END], ending.end, S.ENDED, S.ABSENT),
    go(_TALKS, [T.LEG_ENDED], ending.leg_ended, S.ENDED, S.ABSENT),
    go(_TALKS, [T.LEG_LOST], ending.lost, S.KEPT),
    go(_TALKS, [T.BRIDGE_FAILED], ending.bridge_failed, S.KEPT),
    go([S.TALKING], [T.MUTE], talking.mute, S.TALKING),
    go([S.HELD], [T.MUTE], talking.mute, S.HELD),
    go([S.TALKING], [T.DIGITS], talking.digits, S.TALKING),
    ignore([S.HELD], [T.DIGITS], "The caller is on hold and would not hear them."),
    ignore(_but(*_TALKS), _TALK, "Nobody talks in this call."),
    # what comes too late
    ignore(S, [T.STRAY_ANSWER], "the offer is over: the answered leg is hung up", offering.hang_up_stray),
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


def ended_leg(*, ringing: bool, cause: int, refused: bool, missing: bool, wilful: bool) -> Trigger:
    """What the end of an agent's leg means. `wilful`: by this device's kind the cause says 'on purpose'.

    A ring that is found missing is nobody's miss: the writer may have died before it left.
    """
    if not ringing:
        return T.LEG_ENDED if wilful else T.LEG_LOST
    if missing:
        return T.LEG_VANISHED
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


def run(turn: Turn, call: CallId, trigger: Trigger, what: What | None = None) -> str | None:
    """One row of the call's machine; returns why nothing changed, or None."""
    return turn.run(MACHINE, Case(turn.view, call), trigger, call, what or What())


__all__ = ["MACHINE", "Case", "Stage", "Trigger", "What", "ended_leg", "run"]
