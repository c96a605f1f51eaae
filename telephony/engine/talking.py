"""Hold, resume, mute and digits."""

from telephony.contract import facts as f
from telephony.contract.ids import CallId

from . import commands as c
from .machine import Refused
from .stages import What
from .turn import Turn

_DIGITS = "0123456789*#ABCD"


def hold(turn: Turn, call: CallId, what: What) -> None:
    found = turn.view.calls[call]
    assert found.agent is not None
    turn.fact(f.CallHeld(call=call, agent=found.agent))
    hold_again(turn, call, what)


def hold_again(turn: Turn, call: CallId, what: What) -> None:
    """Out of the bridge, to the music: also for one of whom the writer's death may have left half."""
    found = turn.view.calls[call]
    assert found.bridge is not None
    music = turn.book.queue(found).music
    turn.order(c.HoldCaller(call=call, bridge=found.bridge, channel=found.channel, music=music))


def resume(turn: Turn, call: CallId, what: What) -> None:
    found = turn.view.calls[call]
    assert found.agent is not None and found.bridge is not None
    turn.fact(f.CallResumed(call=call, agent=found.agent))
    turn.order(c.ResumeCaller(call=call, bridge=found.bridge, channel=found.channel))


def mute(turn: Turn, call: CallId, what: What) -> str | None:
    found = turn.view.calls[call]
    if found.muted is what.muted:
        return "the microphone is that way already"
    assert found.agent is not None and found.agent_leg is not None
    turn.fact(f.AgentMuted(call=call, agent=found.agent, muted=what.muted))
    turn.order(c.MuteLeg(call=call, leg=found.agent_leg, muted=what.muted))
    return None


def digits(turn: Turn, call: CallId, what: What) -> None:
    if not 0 < len(what.digits) <= 32 or what.digits.strip(_DIGITS):
        raise Refused("invalid", "Digits are 1 to 32 of 0-9, *, #, A-D.")
    channel = turn.view.calls[call].channel
    turn.order(c.SendDigits(call=call, channel=channel, digits=what.digits))
