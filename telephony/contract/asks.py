"""Asks: what people and the web tier want the daemon to do.

An ask is a wish with an id, an actor and an expiry; it may be refused. The same id acts once. It travels
sealed by an HMAC of the web tier, because whoever can write to Redis must not be able to command calls.
The answer (`frames.Ack`) says ok, or a stable code and a sentence.
"""

from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from .clock import Instant
from .facts import Intent
from .ids import AgentId, AskId, CallId, Endpoint, LegId, TenantId

ASKS: dict[str, type[Any]] = {}

_T = TypeVar("_T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def ask(cls: type[_T]) -> type[_T]:
    """Make a class an ask: frozen, keyword-only, and known by its name."""
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    ASKS[made.__name__] = made
    return made


@ask
class StartShift:
    agent: AgentId
    endpoint: Endpoint


@ask
class EndShift:
    agent: AgentId


@ask
class SetStatus:
    """While busy it becomes the next status; READY also answers 'not responding'."""

    agent: AgentId
    intent: Intent
    reason: str = ""


@ask
class ReportDesktop:
    """Sent by the socket tier: the agent's first desk socket opened, or its last one closed."""

    agent: AgentId
    online: bool


@ask
class DeclineOffer:
    agent: AgentId
    offer: LegId
    reason: str = ""


@ask
class HoldCall:
    agent: AgentId
    call: CallId


@ask
class ResumeCall:
    agent: AgentId
    call: CallId


@ask
class HangUpCall:
    agent: AgentId
    call: CallId


@ask
class MuteCall:
    agent: AgentId
    call: CallId
    muted: bool


@ask
class SendDigits:
    """Digits live in memory only: no fact follows."""

    agent: AgentId
    call: CallId
    digits: str


@ask
class ExtendWrapUp:
    agent: AgentId
    call: CallId


@ask
class FinishWrapUp:
    """The disposition and the note are already in the tenant's schema; only the code travels."""

    agent: AgentId
    call: CallId
    disposition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An ask on its way. `mac` is the HMAC-SHA256 over every other field (see `telephony.codec`)."""

    id: AskId
    tenant: TenantId
    actor: str
    at: Instant
    expires: Instant
    body: Any
    """One of ASKS."""
