"""Permission codes, and which code each route and each socket message asks for.

The tables are code, not data: an app's `permissions.py` calls `permission`, `route` and `message`, and a
route or message without a row does not start (checks.py; realtime calls `require_messages`). What differs
between tenants is only which role holds which code, in TenantRole.

A code is `<subject>.<verb>`. A role holds it with a scope: OWN (what I work on), TEAM, ALL. Queries narrow
by scope; a code whose subject has no owner is simply granted with ALL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Scope(StrEnum):
    OWN = "own"
    TEAM = "team"
    ALL = "all"


# Instead of a code, in a route's row:
ANYONE = "-anyone"
"""Nobody need be signed in."""
MEMBER = "-member"
"""Any active member of this tenant (on the platform's host: any platform admin)."""


@dataclass(frozen=True, slots=True)
class Permission:
    """`roles` are the default roles that hold it in a new tenant, each with its scope."""

    code: str
    label: str
    roles: Mapping[str, Scope] = field(default_factory=dict)


permissions: dict[str, Permission] = {}
platform_permissions: dict[str, Permission] = {}
"""Codes of the platform's own host, held by PlatformRoles and by no tenant's role."""
routes: dict[str, dict[str, str]] = {}
messages: dict[str, str] = {}


def permission(
    code: str,
    label: str,
    *,
    all: Iterable[str] = (),  # noqa: A002 - reads well where codes are declared
    team: Iterable[str] = (),
    own: Iterable[str] = (),
) -> str:
    """Declare a code and the default roles that hold it for `all`, for their `team`, or for their `own`.

    `admin` holds every code with ALL. Returns the code.
    """
    roles = dict.fromkeys(own, Scope.OWN) | dict.fromkeys(team, Scope.TEAM) | dict.fromkeys(all, Scope.ALL)
    roles["admin"] = Scope.ALL
    known = permissions.setdefault(code, Permission(code, label, roles))
    if known != Permission(code, label, roles):
        raise ValueError(f"permission {code} is declared twice, differently")
    return code


def platform_permission(code: str, label: str, *, roles: Iterable[str] = ()) -> str:
    """Declare a code of the platform's host, `platform.<subject>.<verb>`, and the PlatformRoles that hold it.

    `super_admin` holds every one. Returns the code.
    """
    held = dict.fromkeys([*roles, "super_admin"], Scope.ALL)
    entry = Permission(code, label, held)
    if platform_permissions.setdefault(code, entry) != entry:
        raise ValueError(f"platform permission {code} is declared twice, differently")
    return code


def is_declared(code: str) -> bool:
    return code in permissions or code in platform_permissions


def route(name: str, **codes: str) -> None:
    """The codes of a URL name (with its namespace, as in resolver_match.view_name) by HTTP method.

    `route("calls:call-list", GET="calls.view")`. HEAD and OPTIONS follow GET.
    """
    _once(routes, name, codes)


def message(kind: str, code: str) -> None:
    """The code of a socket message: `message("call.hold", "desk.use")`."""
    _once(messages, kind, code)


def _once(
    table: dict[str, object] | dict[str, dict[str, str]] | dict[str, str], name: str, value: object
) -> None:
    if table.setdefault(name, value) != value:  # type: ignore[arg-type]
        raise ValueError(f"{name} has two rows in the permission registry")


def resource(name: str, *, view: str, edit: str, create: str = "", delete: str = "") -> None:
    """The two routes of an ordinary viewset, `<name>-list` and `<name>-detail`."""
    route(f"{name}-list", GET=view, POST=create or edit)
    route(f"{name}-detail", GET=view, PUT=edit, PATCH=edit, DELETE=delete or edit)


def code_for_route(name: str, method: str) -> str | None:
    """The code a request needs, or None when the registry has no row (and the request must be refused)."""
    method = "GET" if method in ("HEAD", "OPTIONS") else method
    return routes.get(name, {}).get(method)


def code_for_message(kind: str) -> str | None:
    return messages.get(kind)


def require_messages(kinds: Iterable[str]) -> None:
    """Called by the socket layer at import: LookupError names every message that has no row."""
    missing = sorted(set(kinds) - messages.keys())
    if missing:
        raise LookupError(f"socket messages without a row in the permission registry: {', '.join(missing)}")
