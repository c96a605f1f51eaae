"""What a tenant's upward stream carries, and what the log keeps.

`Entry` is a fact with its place in the log: seq is gap-free per tenant and never restarts, epoch only
fences. `Beat` says that the daemon lives and where the log stands, so that nothing coming is told from
nothing happening; it is not a fact, since a row every two seconds would say nothing worth keeping.
"""

from dataclasses import dataclass
from typing import Any

from .clock import Instant
from .ids import AskId, PartyId, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    tenant: TenantId
    epoch: int
    seq: int
    at: Instant
    fact: Any
    """One of facts.FACTS, or `Unknown` when it was written by a newer release."""
    ask: AskId | None = None
    """The ask that led to it, if one did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A fact this release does not know: stored, skipped, counted."""

    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A caller's number and name, sealed under the tenant's key; the row it becomes can be erased."""

    tenant: TenantId
    party: PartyId
    key: int
    """Version of the tenant's key that sealed it; of a party on its way, the number of the transit key."""
    sealed: bytes
    """AES-GCM over JSON {"number", "name"}; nonce first; the party's id is authenticated with it."""
    digest: bytes
    """Keyed hash of the number: 'the same caller again' without the number. Empty on its way."""
    shard: str = ""
    """Whose transit key sealed it, while it is on its way; empty under the tenant's own key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    tenant: TenantId
    epoch: int
    seq: int
    """The last entry's."""
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The answer to an ask, sent after its facts are committed."""

    tenant: TenantId
    ask: AskId
    ok: bool
    code: str = "ok"
    """ok, pending (durable here, not yet in PostgreSQL), expired, unknown_agent, unknown_call, not_yours,
    wrong_state, not_ready (with the reasons in `detail`), invalid, fenced."""
    detail: str = ""
    seq: int = 0
    """The view has seen this ask's effect once it has applied this seq."""
