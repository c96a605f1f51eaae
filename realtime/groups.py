"""Channel-layer groups: the only place that spells their names.

The channel layer carries what Django says (rights changed, signed out) and what one socket of a person says
to the person's others. No client ever names a group: names are built here from checked ids.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from telephony.contract.ids import TenantId, tenant_id


def everybody(tenant: str) -> str:
    """Every socket of a tenant."""
    return f"t.{tenant_id(tenant)}"


def person(user: UUID) -> str:
    """Every socket of a user, whatever the tenant: for what is true of the user everywhere."""
    return f"person.{user}"


def member(tenant: TenantId | str, user: UUID) -> str:
    """Every socket of a user in one tenant."""
    return f"t.{tenant_id(tenant)}.u.{user}"


def access_changed() -> dict[str, Any]:
    """Told to sockets whose rights may have changed: look again, now."""
    return {"type": "access.changed"}


def tab_opened(socket: str, tab: str) -> dict[str, Any]:
    """A tab's new socket; an older one of the same tab ends."""
    return {"type": "tab.opened", "socket": socket, "tab": tab}


def told(data: dict[str, Any]) -> dict[str, Any]:
    """A notice for a person, as web.shared.core.push has it."""
    return {"type": "person.told", "data": data}


def media_claimed(socket: str, tab: str) -> dict[str, Any]:
    """A tab took the sound."""
    return {"type": "media.claimed", "socket": socket, "tab": tab}
