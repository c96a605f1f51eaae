"""Who may open a socket: tenant by Host, exact Origin, then a session cookie or a one-time ticket.

A page of another origin can open a socket with the visitor's cookie, so a cookie counts only when the Origin
header is exactly this host's; a missing one, `null`, another tenant's and a look-alike are refused in the
handshake. A ticket rides as the subprotocol `ticket.<t>` (never in the URL, which ends up in logs) and was
handed out to an authenticated request of this tenant; an Origin that comes along must fit all the same.

The answer to who somebody is and what they may do is read from the database at the start and again by
`look_again`; nothing is remembered from the handshake but the session's key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.conf import settings

from realtime.messages import CLOSE_CODES, SUBPROTOCOL, TenantCard, UserCard
from web.shared.accounts import tickets
from web.shared.accounts.middleware import session_user
from web.shared.accounts.queries import proof_stands
from web.shared.tenants.context import public_db, tenant_db
from web.shared.tenants.queries import tenant_by_host, tenant_ids
from web.tenant.calls import queries

TICKET = "ticket."
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?")


class Refused(Exception):
    """`code` is the close code; without `said` the handshake itself fails, as HTTP 403."""

    def __init__(self, code: int, *, said: bool) -> None:
        super().__init__(str(code))
        self.code, self.said = code, said


@dataclass(frozen=True, slots=True)
class Visitor:
    tenant: TenantCard
    user: UUID
    card: UserCard
    session: str | None
    """Key of the session that the cookie named; None when a ticket opened the socket."""
    proof: str = ""
    """The sign-in that asked for the ticket: the socket ends with it."""

    def may(self, code: str) -> bool:
        return code in self.card.permissions


async def admit(scope: dict[str, Any]) -> Visitor:
    """The visitor behind a handshake; raises Refused."""
    host = one_header(scope, b"host").lower()
    offered = list(scope.get("subprotocols") or ())
    if SUBPROTOCOL not in offered or not _HOST.fullmatch(host):
        raise Refused(CLOSE_CODES["FORBIDDEN"], said=False)
    ticket = next((each.removeprefix(TICKET) for each in offered if each.startswith(TICKET)), None)
    origin = one_header(scope, b"origin")
    if not origin_fits(origin, host) and not (ticket is not None and not origin):
        raise Refused(CLOSE_CODES["FORBIDDEN"], said=False)
    tenant = await public_db(_tenant, host.rpartition(":")[0] if ":" in host else host)
    if tenant is None:
        raise Refused(CLOSE_CODES["FORBIDDEN"], said=False)
    user, session, proof = await _who(scope, tenant, ticket)
    card = await tenant_db(tenant.id, _card, user) if user is not None else None
    if user is None or card is None:
        raise Refused(CLOSE_CODES["NOT_SIGNED_IN"], said=True)
    return Visitor(tenant=tenant, user=user, card=card, session=session, proof=proof)


async def look_again(visitor: Visitor) -> Visitor | None:
    """The same visitor with the rights of now; None when they are no longer signed in or no member."""
    if visitor.session is not None:
        user = await tenant_db(visitor.tenant.id, _session_user, visitor.session, visitor.tenant.id)
        if user != visitor.user:
            return None
    if visitor.proof and not await tenant_db(
        visitor.tenant.id, proof_stands, visitor.tenant.id, visitor.user, visitor.proof
    ):
        return None
    active = await tenant_db(visitor.tenant.id, _card_while_active, visitor.tenant.id, visitor.user)
    if active is None:
        return None
    return replace(visitor, card=active)


def one_header(scope: dict[str, Any], name: bytes) -> str:
    """A header that must come at most once; empty when it is missing, doubled or not ASCII."""
    found = [value for key, value in scope.get("headers", ()) if key.lower() == name]
    if len(found) != 1:
        return ""
    try:
        return str(found[0].decode("ascii"))
    except UnicodeDecodeError:
        return ""


def origin_fits(origin: str, host: str) -> bool:
    """Whether `origin` is a page of this very host and port. Plain http only outside production."""
    schemes = ("https",) if settings.SESSION_COOKIE_SECURE else ("https", "http")
    return any(origin == f"{scheme}://{host}" for scheme in schemes)


async def _who(
    scope: dict[str, Any], tenant: TenantCard, ticket: str | None
) -> tuple[UUID | None, str | None, str]:
    """(user, key of the session, sign-in behind the ticket)."""
    if ticket is not None:
        user, proof = await tenant_db(tenant.id, _ticket_user, tenant.id, ticket)
        return user, None, proof
    key = _cookie(scope)
    if key is None:
        return None, None, ""
    return await tenant_db(tenant.id, _session_user, key, tenant.id), key, ""


def _cookie(scope: dict[str, Any]) -> str | None:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(one_header(scope, b"cookie"))
    except CookieError:
        return None
    found = jar.get(settings.SESSION_COOKIE_NAME)
    return found.value if found is not None and found.value else None


# --- run in a database thread ----------------------------------------------------------------------------


def _tenant(name: str) -> TenantCard | None:
    found = tenant_by_host(name.rstrip("."))
    if found is None or not found.is_active:
        return None
    return TenantCard(id=found.id, slug=found.slug, name=found.name)


def _session_user(key: str, tenant: str) -> UUID | None:
    """The user of a session of this tenant, with the same checks as for a page."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    request = SimpleNamespace(session=store(key), tenant=SimpleNamespace(pk=tenant))
    user = session_user(request)
    return user.pk if user.is_authenticated else None


def _ticket_user(tenant: str, ticket: str) -> tuple[UUID | None, str]:
    """Whom a ticket admits, while the sign-in that asked for it stands."""
    found = tickets.redeem_with_proof(tenant, ticket)
    if found is None or (found[1] and not proof_stands(tenant, *found)):
        return None, ""
    return found


def _card(user: UUID) -> UserCard | None:
    profile = queries.agent_profile(user)
    return None if profile is None else UserCard(**profile)


def _card_while_active(tenant: str, user: UUID) -> UserCard | None:
    """None too when the tenant was suspended meanwhile."""
    if tenant not in tenant_ids():
        return None
    return _card(user)
