"""What Django publishes: policy, roster, keys and who is suspended, as the daemon hears of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from telephony.contract.frames import Party
from telephony.contract.ids import PartyId, TenantId
from telephony.contract.policy import Policy
from telephony.contract.roster import RosterRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """Everything that was published before the start has been yielded."""

    stale: bool
    """It came from the local cache, because PostgreSQL is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """These tenants, and no others, take no new call; their live calls go on to their end."""

    tenants: frozenset[TenantId]


class Published(Protocol):
    def updates(self) -> AsyncIterator[Policy | RosterRow | Suspended | Complete]:
        """Latest of each first, then `Complete` once, then every change; until cancelled."""
        ...


class Sealer(Protocol):
    def seal(self, tenant: TenantId, party: PartyId, number: str, name: str) -> Party | None:
        """None while there is no key for it: the call goes on without a remembered party. What comes back
        is to be given to the log before anything else happens: its key belongs to that place."""
        ...
