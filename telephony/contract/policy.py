"""Policy: numbers and queues, reviewed, versioned, published by Django.

A manifest names one content-hashed blob per queue. A live call keeps the hash of the blob that it started
under. All durations here are whole seconds, because people write them.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from .hours import Calendar
from .ids import NumberId, QueueId, TenantId

WRAPUP_TIMEOUT = "WRAPUP_TIMEOUT"
"""The reserved disposition code that a wrap-up gets when its time is over."""


class Strategy(StrEnum):
    LONGEST_IDLE = "longest_idle"
    """Across queues: whoever has been without work for the longest time, tenant-wide."""
    LEAST_RECENT = "least_recent"
    """Whoever's last call from this queue ended longest ago."""


class FallbackKind(StrEnum):
    QUEUE = "queue"
    """Asterisk's own queue with the members of the roster, added only while diverted."""
    ANNOUNCEMENT = "announcement"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    queue: QueueId
    name: str
    """Shown to people; never used to build anything in Asterisk."""
    strategy: Strategy = Strategy.LONGEST_IDLE
    ring_seconds: int = 20
    max_wait_seconds: int = 300
    priority: int = 0
    """Seconds of head start a caller of this queue has over others for the same agent."""
    wrap_up_seconds: int = 30
    wrap_up_extend_seconds: int = 30
    wrap_up_extensions: int = 3
    music: str = "default"
    fallback: FallbackKind = FallbackKind.QUEUE
    hours: Calendar | None = None
    """Callers who enter outside of them hear that we are closed; None: open day and night."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundNumber:
    number: NumberId
    trunk: str
    dialled: str
    """E.164 with '+', as the table (trunk, number) to tenant spells it."""
    queue: QueueId


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    tenant: TenantId
    version: int
    queues: tuple[tuple[QueueId, str], ...]
    """(queue, hash of its blob), ordered by queue."""
    numbers: tuple[InboundNumber, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A manifest together with its blobs, as the daemon gets it."""

    hash: str
    """SHA-256, hexadecimal, of the manifest's canonical JSON."""
    manifest: Manifest
    queues: dict[QueueId, QueuePolicy] = field(default_factory=dict)
