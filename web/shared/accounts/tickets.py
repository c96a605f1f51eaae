"""One-time tickets for sockets: 30 seconds, one use, one tenant, one person.

Redis holds the ticket's SHA-256 under the tenant's key, with the user's id and the sign-in that asked for it
(`proof`, see queries.proof_stands), so that a socket ends with the sign-in behind its ticket; `redeem` takes
it with GETDEL, so two takers get one and None. A ticket of another tenant is under another key.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from typing import cast

from django.conf import settings

from web.shared.core.stores import redis_client
from web.shared.tenants.keys import redis_key

LONGEST = 128


def issue(tenant_id: str, user_id: uuid.UUID, *, proof: str = "") -> str:
    """A fresh ticket. redis errors when Redis is away."""
    ticket = secrets.token_urlsafe(32)
    redis_client().set(_key(tenant_id, ticket), f"{user_id} {proof}", ex=settings.SOCKET_TICKET_SECONDS)
    return ticket


def redeem(tenant_id: str, ticket: str) -> uuid.UUID | None:
    """The user the ticket was made for, once; None when it is unknown, late, used or another tenant's.

    Blocks for up to two seconds: call it from a thread. The caller checks the membership.
    """
    found = redeem_with_proof(tenant_id, ticket)
    return None if found is None else found[0]


def redeem_with_proof(tenant_id: str, ticket: str) -> tuple[uuid.UUID, str] | None:
    """As `redeem`, with the sign-in that asked for the ticket; empty when it named none."""
    if not ticket or len(ticket) > LONGEST:
        return None
    found = cast("str | None", redis_client().getdel(_key(tenant_id, ticket)))
    if found is None:
        return None
    user, _, proof = found.partition(" ")
    return uuid.UUID(user), proof


def _key(tenant_id: str, ticket: str) -> str:
    return redis_key(tenant_id, "ticket", hashlib.sha256(ticket.encode()).hexdigest())
