"""Who does it: the first thing every service asks for.

An Actor names the person, key or process behind a write, and the request it came with. It reaches the audit
trail unchanged. Views make one from the request (`request_actor`), everything else says what it is.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    USER = "user"
    SYSTEM = "system"
    PLATFORM = "platform"
    API_KEY = "api_key"


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is the user's (or key's) id, None for the system; `process` names the part of the system."""

    kind: ActorKind
    id: uuid.UUID | None = None
    process: str = ""
    request_id: str = ""
    ip_address: str | None = None

    @property
    def user_id(self) -> uuid.UUID | None:
        """The user to put in created_by and updated_by; None unless a person acts."""
        return self.id if self.kind in (ActorKind.USER, ActorKind.PLATFORM) else None


def system(process: str) -> Actor:
    """The actor of rows that no person wrote: `system("intake")`."""
    return Actor(ActorKind.SYSTEM, process=process)
