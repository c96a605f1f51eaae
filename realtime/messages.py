"""What crosses a socket: every message, one shape each, in one registry.

A frame is an envelope `{v, type, id?, epoch, seq, ts, data}`. Server frames carry the position of the replica
they were made from; a client's frame carries its own id, and what answers it carries the same. Instants are
RFC 3339 text in UTC with `Z` and milliseconds. Readers of server frames ignore fields they do not know;
what a client sends must fit exactly.

The registry below is the source of the AsyncAPI description, of the browser's TypeScript types and of the
checks at a socket's door; `describe.py` prints it. A type that is not here is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from telephony.contract.facts import Intent, OfferOutcome
from telephony.contract.view import Effective

VERSION = 1
SUBPROTOCOL = "murima.v1"
MAX_FRAME_BYTES = 64 * 1024
PING_SECONDS = 5
LOST_SECONDS = 15

Live = Literal["live", "stale", "offline"]
CallPhase = Literal["waiting", "talking", "held", "kept", "diverted", "ended"]
NoticeCode = Literal["live", "stale", "offline", "elsewhere", "missed", "notification"]
Missing = Literal["shift", "phone", "desktop"]
Level = Literal["info", "warning", "error"]
Instant = Annotated[str, Meta(description="RFC 3339, UTC, milliseconds and Z")]
Code = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_.-]*$")]
CallRef = Annotated[str, Meta(min_length=1, max_length=64, description="A call's id")]
OfferRef = Annotated[str, Meta(min_length=1, max_length=64, description="An offer's id, `<call>.<n>`")]
Digits = Annotated[str, Meta(pattern=r"^[0-9*#A-D]{1,32}$")]
NoteText = Annotated[str, Meta(max_length=10_000)]


class Sent(Struct, frozen=True, kw_only=True):
    """Base of what the server sends: every field is always there."""


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what a client sends: nothing but what is named here."""


class Frame(Struct, frozen=True, kw_only=True):
    """The envelope of a server's frame."""

    v: int
    type: str
    epoch: int
    seq: int
    ts: Instant
    data: Any
    id: str | UnsetType = UNSET


class ClientFrame(Struct, frozen=True, kw_only=True):
    """The envelope of a client's frame; epoch, seq and ts may come along and are not read."""

    v: Literal[1]
    type: Annotated[str, Meta(max_length=64)]
    id: UUID
    data: msgspec.Raw = msgspec.Raw(b"{}")


# --- parts -----------------------------------------------------------------------------------------------


class QueueRef(Sent, frozen=True):
    id: str
    name: str


class Who(Sent, frozen=True):
    """The other party as the line showed it; hostile characters are gone, it is still only text."""

    number: str | None
    name: str | None


class ContactCard(Sent, frozen=True):
    id: str
    name: str
    organization: str | None
    preferred_language: str | None
    tags: list[str]


class RecentCall(Sent, frozen=True):
    id: str
    started_at: Instant | None
    queue: str | None
    outcome: str | None
    disposition: str | None


class NextStatus(Sent, frozen=True):
    intent: Intent
    reason: str


class ShiftState(Sent, frozen=True):
    endpoint: str


class WrapUpState(Sent, frozen=True):
    call: str
    queue: QueueRef
    started_at: Instant
    deadline: Instant
    extensions_left: int


class UserCard(Sent, frozen=True):
    id: str
    name: str
    email: str
    role: str
    permissions: list[str]


class TenantCard(Sent, frozen=True):
    id: str
    slug: str
    name: str


class SipCredentials(Sent, frozen=True):
    """The browser phone's account for this shift; the password is shown once, here."""

    user: str
    password: str
    uri: str
    websocket: str
    realm: str


# --- server → desk ---------------------------------------------------------------------------------------


class Hello(Sent, frozen=True):
    server_time: Instant
    tenant: TenantCard
    user: UserCard
    ping_seconds: int
    lost_seconds: int


class AgentState(Sent, frozen=True):
    id: str
    effective: Effective
    since: Instant
    intent: Intent
    reason: str
    next: NextStatus | None
    missing: list[Missing]
    set_aside: bool
    shift: ShiftState | None
    wrap_up: WrapUpState | None


class Offer(Sent, frozen=True):
    """A call that rings here. `arrived_at` is the caller's first arrival: the wait counts from it."""

    id: str
    call: str
    queue: QueueRef
    attempt: int
    made_at: Instant
    deadline: Instant
    arrived_at: Instant
    returning: bool
    party: Who | None


class OfferWithdrawn(Sent, frozen=True):
    id: str
    outcome: OfferOutcome


class Pop(Sent, frozen=True):
    """Who is calling, as far as the tenant's contacts know; `offer` is also the agent's leg."""

    offer: str
    call: str
    party: Who
    contact: ContactCard | None
    matches: int
    recent_calls: list[RecentCall]


class CallState(Sent, frozen=True):
    """The desk's call. Waiting, diverted, or ended without a wrap-up of this call: no longer the desk's."""

    id: str
    state: CallPhase
    since: Instant
    queue: QueueRef | None
    arrived_at: Instant
    connected_at: Instant | None
    muted: bool
    kept_until: Instant | None
    leg: str | None
    party: Who | None
    contact: ContactCard | None


class QueueState(Sent, frozen=True):
    id: str
    name: str
    waiting: int
    oldest_arrival: Instant | None
    ready: int
    busy: int


class Snapshot(Sent, frozen=True):
    agent: AgentState
    offer: Offer | None
    call: CallState | None
    queues: list[QueueState]
    live: Live


class EntityRef(Sent, frozen=True):
    type: str
    id: str


class NotificationCard(Sent, frozen=True):
    """Something that concerns this person; the same as at /api/v1/notifications/{id}/."""

    id: str
    title: str
    message: str
    type: str
    entity: EntityRef | None
    urgent: bool
    needs_acknowledgement: bool


class Notice(Sent, frozen=True):
    """`notification` comes with its code, and with no other."""

    code: NoticeCode
    level: Level
    detail: str
    notification: NotificationCard | None = None


class Pong(Sent, frozen=True):
    server_time: Instant


class Ack(Sent, frozen=True):
    """The ask was carried out; `pending` says that its record is not yet in the database."""

    code: Literal["ok", "pending"]


class ShiftStartedAck(Sent, frozen=True):
    code: Literal["ok", "pending"]
    sip: SipCredentials


class Problem(Sent, frozen=True):
    """RFC 9457, as REST's errors are."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


# --- server → floor, wallboard ---------------------------------------------------------------------------


class FloorAgent(Sent, frozen=True):
    id: str
    name: str
    effective: Effective
    since: Instant
    reason: str
    missing: list[Missing]
    queues: list[str]
    call: str | None


class FloorCall(Sent, frozen=True):
    """A call without its caller's number or name."""

    id: str
    state: CallPhase
    since: Instant
    queue: QueueRef | None
    arrived_at: Instant
    connected_at: Instant | None
    agent: str | None
    offered_to: str | None


class FloorSnapshot(Sent, frozen=True):
    queues: list[QueueState]
    agents: list[FloorAgent]
    calls: list[FloorCall]
    live: Live


class WallboardSnapshot(Sent, frozen=True):
    queues: list[QueueState]
    live: Live


class QueueStates(Sent, frozen=True):
    """The queues that changed since the last frame."""

    queues: list[QueueState]


# --- client → server -------------------------------------------------------------------------------------


class Ping(Asked, frozen=True):
    pass


class ShiftStart(Asked, frozen=True):
    """`endpoint` names one of the agent's own SIP phones; without it the browser gets a new account."""

    endpoint: Code = ""


class ShiftEnd(Asked, frozen=True):
    pass


class StatusSet(Asked, frozen=True):
    intent: Intent
    reason: Code = ""


class OfferDecline(Asked, frozen=True):
    offer: OfferRef
    reason: Code = ""


class CallHold(Asked, frozen=True):
    call: CallRef


class CallUnhold(Asked, frozen=True):
    call: CallRef


class CallHangup(Asked, frozen=True):
    call: CallRef


class CallMute(Asked, frozen=True):
    call: CallRef
    muted: bool


class CallDtmf(Asked, frozen=True):
    call: CallRef
    digits: Digits


class WrapupExtend(Asked, frozen=True):
    call: CallRef


class WrapupFinish(Asked, frozen=True):
    call: CallRef
    disposition: Code
    note: NoteText = ""


class MediaClaim(Asked, frozen=True):
    """This tab takes the sound; the last claim wins."""

    tab: UUID


# --- the registry ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    name: str
    data: type[Struct]
    answer: type[Struct] | None = None
    """What a client's message is answered with, when it is not refused."""


@dataclass(frozen=True)
class Channel:
    """One socket address, what goes out on it and what may come in."""

    name: str
    address: str
    title: str
    sends: tuple[Message, ...]
    takes: tuple[Message, ...]


PING = Message("ping", Ping, Pong)
_COMMON = (
    Message("hello", Hello),
    Message("notice", Notice),
    Message("pong", Pong),
    Message("error", Problem),
)

DESK = Channel(
    "desk",
    "/ws/v1/desk",
    "An agent's desk: own state, own offers and calls, own queues",
    (
        *_COMMON,
        Message("snapshot", Snapshot),
        Message("agent.state", AgentState),
        Message("offer.created", Offer),
        Message("offer.withdrawn", OfferWithdrawn),
        Message("pop", Pop),
        Message("call.state", CallState),
        Message("queue.state", QueueState),
        Message("ack", Ack),
    ),
    (
        PING,
        Message("shift.start", ShiftStart, ShiftStartedAck),
        Message("shift.end", ShiftEnd, Ack),
        Message("status.set", StatusSet, Ack),
        Message("offer.decline", OfferDecline, Ack),
        Message("call.hold", CallHold, Ack),
        Message("call.unhold", CallUnhold, Ack),
        Message("call.hangup", CallHangup, Ack),
        Message("call.mute", CallMute, Ack),
        Message("call.dtmf", CallDtmf, Ack),
        Message("wrapup.extend", WrapupExtend, Ack),
        Message("wrapup.finish", WrapupFinish, Ack),
        Message("media.claim", MediaClaim, Ack),
    ),
)
FLOOR = Channel(
    "floor",
    "/ws/v1/floor",
    "A supervisor's live floor: queues, agents and calls, read only",
    (
        *_COMMON,
        Message("snapshot", FloorSnapshot),
        Message("agent.state", FloorAgent),
        Message("call.state", FloorCall),
        Message("queue.state", QueueState),
    ),
    (PING,),
)
WALLBOARD = Channel(
    "wallboard",
    "/ws/v1/wallboard",
    "Queues on a wall: at most two frames a second",
    (*_COMMON, Message("snapshot", WallboardSnapshot), Message("queue.states", QueueStates)),
    (PING,),
)
CHANNELS = (DESK, FLOOR, WALLBOARD)

CLOSE_CODES = {
    "GOING_AWAY": 1001,
    "TOO_BIG": 1009,
    "RESTART": 1012,
    "TOO_SLOW": 1013,
    "NOT_SIGNED_IN": 4401,
    "FORBIDDEN": 4403,
    "LOST": 4408,
    "REPLACED": 4409,
}
"""LOST: nothing was heard from the client for LOST_SECONDS."""
