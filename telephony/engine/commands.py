"""Commands: what the floor wants done, imperative. They return nothing; outcomes come back as events.

Each names everything it makes by an id that was in a fact before, so sending one twice is harmless: 409
means that the thing exists, 404 that it is gone. The executor keeps the order within one call.
"""

from dataclasses import dataclass

from telephony.contract.ids import AskId, BridgeId, CallId, Endpoint, LegId, PartyId


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCaller:
    call: CallId
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimeout:
    """The dead-man's time-out of a caller's channel: Asterisk takes the caller back when nobody renews it.
    0 cancels. The shell renews it every 30 s for waiting and held callers without being told."""

    call: CallId
    channel: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMusic:
    call: CallId
    channel: str
    music: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RingAgent:
    """Create and dial the agent's leg; it ends by itself after `seconds`."""

    call: CallId
    leg: LegId
    endpoint: Endpoint
    seconds: int
    party: PartyId
    """For the shell to show a hardware phone the caller's number; a browser gets the offer's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpLeg:
    call: CallId
    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpCaller:
    call: CallId
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Create the bridge and put both in; ends the caller's music and cancels the time-out."""

    call: CallId
    bridge: BridgeId
    channel: str
    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCaller:
    """Take the caller out of the bridge, music on, time-out on."""

    call: CallId
    bridge: BridgeId
    channel: str
    music: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeCaller:
    """Music off, back into the bridge, time-out off."""

    call: CallId
    bridge: BridgeId
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyBridge:
    call: CallId
    bridge: BridgeId


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteLeg:
    call: CallId
    leg: LegId
    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigits:
    """Play digits to the caller's channel."""

    call: CallId
    channel: str
    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAway:
    """Give the caller back to the dialplan's announcement that we are closed."""

    call: CallId
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Divert:
    """Give the caller to the dialplan's fallback."""

    call: CallId
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to an ask; the shell sends it once the step's facts are committed."""

    ask: AskId
    ok: bool
    code: str = "ok"
    detail: str = ""


SwitchCommand = (
    AnswerCaller
    | SetTimeout
    | StartMusic
    | RingAgent
    | HangUpLeg
    | HangUpCaller
    | Bridge
    | HoldCaller
    | ResumeCaller
    | DestroyBridge
    | MuteLeg
    | SendDigits
    | Divert
    | TurnAway
)
Command = SwitchCommand | Answer
