"""Roster: agents, their queues and their devices; one versioned row per agent, applied at once."""

from dataclasses import dataclass
from enum import StrEnum

from .ids import AgentId, Endpoint, QueueId, TenantId


class DeviceKind(StrEnum):
    BROWSER = "browser"
    """WebRTC; its secret lasts one shift."""
    SIP = "sip"
    """Any SIP phone with its own lasting secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    endpoint: Endpoint
    kind: DeviceKind
    digest: str
    """MD5(endpoint ':asterisk:' secret), hexadecimal: all that Asterisk needs. The secret is nowhere."""
    desktop_required: bool = True
    """False for gateways and load tests: ready without an open desk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRow:
    tenant: TenantId
    agent: AgentId
    version: int
    active: bool
    memberships: tuple[tuple[QueueId, int], ...] = ()
    """(queue, penalty), ordered by queue; a lower penalty is asked first."""
    devices: tuple[Device, ...] = ()
