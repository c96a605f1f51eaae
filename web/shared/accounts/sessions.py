"""Where somebody is signed in: browsers (Session) and API clients (TokenFamily), listed and ended.

Both carry where they came from and when they were last seen, to the minute: a browser's row is touched at
most once in TOUCH, a family's with each refresh. Ending one takes effect with the next request; deleting a
session's row also tells the person's open sockets to look again.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from web.shared.accounts.models import Session, TokenFamily, User
from web.shared.accounts.signals import tokens_revoked
from web.shared.core import audit
from web.shared.core.actor import Actor

TOUCH = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SignIn:
    """One place of sign-in as its owner sees it. `kind`: browser or api."""

    id: uuid.UUID
    kind: str
    device: str
    ip_address: str | None
    created_at: datetime | None
    last_seen_at: datetime | None
    current: bool


def sign_ins(user: User, tenant_id: str, *, current: uuid.UUID | None) -> list[SignIn]:
    """Living sessions and token families of this person in this tenant, the newest first. Two queries."""
    browsers = [
        SignIn(
            id=row.public_id, kind="browser", device=row.device, ip_address=row.ip_address,
            created_at=row.created_at, last_seen_at=row.last_seen_at, current=row.public_id == current,
        )
        for row in _browsers(user, tenant_id).exclude(public_id=None)
    ]  # fmt: skip
    clients = [
        SignIn(
            id=row.pk, kind="api", device=row.device, ip_address=row.ip_address,
            created_at=row.created_at, last_seen_at=row.last_used_at or row.created_at,
            current=row.pk == current,
        )
        for row in _families(user, tenant_id)
    ]  # fmt: skip
    return sorted([*browsers, *clients], key=lambda one: str(one.id), reverse=True)


def end_one(*, actor: Actor, user: User, tenant_id: str, sign_in: uuid.UUID) -> bool:
    """End one of this person's own sign-ins; False when there is no such one."""
    with transaction.atomic():
        ended = _browsers(user, tenant_id).filter(public_id=sign_in).delete()[0]
        ended = ended or _revoke(_families(user, tenant_id).filter(pk=sign_in), "ended by its owner")
        if ended:
            audit.record(
                actor=actor, action="end", object_type="accounts.session", object_id=str(sign_in)
            )  # fmt: skip
    return bool(ended)


def end_others(*, actor: Actor, user: User, tenant_id: str, current: uuid.UUID | None) -> int:
    """End all of this person's sign-ins here but the current one; returns how many."""
    with transaction.atomic():
        ended = int(_browsers(user, tenant_id).exclude(public_id=current).delete()[0])
        ended += _revoke(_families(user, tenant_id).exclude(pk=current), "ended by its owner")
        audit.record(actor=actor, action="end_others", obj=user, changes={"ended": ended})
    return ended


def end_all(user: User, *, tenant_id: str, because: str) -> None:
    """End every sign-in of this person in one tenant."""
    _browsers(user, tenant_id).delete()
    end_tokens(user, tenant_id=tenant_id, because=because)


def end_tokens(user: User, *, tenant_id: str, because: str) -> None:
    _revoke(_families(user, tenant_id), because)


def touch(store: Any, *, address: str | None, now: datetime) -> None:
    """Note that a browser's session (a SessionStore) was seen, when the last note is older than TOUCH."""
    seen = getattr(store, "last_seen_at", None)
    if store.session_key and (seen is None or now - seen > TOUCH):
        Session.objects.filter(session_key=store.session_key).update(last_seen_at=now, ip_address=address)
        store.last_seen_at = now


def _browsers(user: User, tenant_id: str) -> Any:
    return Session.objects.filter(user=user, tenant_id=tenant_id, expire_date__gt=timezone.now())


def _families(user: User, tenant_id: str) -> Any:
    alive = TokenFamily.objects.filter(user=user, tenant_id=tenant_id, revoked_at=None)
    return alive.filter(tokens__expires_at__gt=timezone.now(), tokens__used_at=None).distinct()


def _revoke(families: Any, because: str) -> int:
    rows = list(families.values_list("pk", "tenant_id", "user_id"))
    ended = TokenFamily.objects.filter(pk__in=[row[0] for row in rows]).update(
        revoked_at=timezone.now(), revoked_because=because
    )
    for tenant_id, user_id in {row[1:] for row in rows}:
        tokens_revoked.send(sender=TokenFamily, tenant_id=tenant_id, user_id=user_id)
    return ended
