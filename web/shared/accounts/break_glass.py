"""The emergency door: somebody of the platform enters an organisation, with a reason, for an hour at most.

Opening gives a secret that is good for one entry on the tenant's host; entering makes a session of a kind of
its own. `membership_of` then answers with a membership that exists nowhere: no row, a role named after the
access, gone at the minute it ends. Every request under it is written into the tenant's audit trail and the
platform's before it runs; the tenant's administrators see it in a list, are told by the event
`breakglass.opened`, and may end it. It gives no token and no socket, and nobody changes under it what lets
them in.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from web.shared.accounts import events, one_time, registry
from web.shared.accounts.models import BreakGlass, Session, TenantMembership, TenantRole, User
from web.shared.accounts.problems import LinkRefused
from web.shared.accounts.registry import Scope
from web.shared.accounts.session_store import BREAK_GLASS
from web.shared.core import audit
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.events import emit
from web.shared.core.net import client_address
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import Tenant

LONGEST = timedelta(minutes=60)
ENTRY_LASTS = timedelta(minutes=5)


def open_door(
    *, actor: Actor, user: User, tenant: Tenant, reason: str, minutes: int, access: str
) -> tuple[BreakGlass, str]:
    """The row, and the secret that enters once within five minutes. Audited on both sides."""
    now, secret = timezone.now(), one_time.make("mrb_")
    with public_context(), transaction.atomic():
        row = BreakGlass.objects.create(
            user=user, tenant=tenant, access=access, reason=reason,
            expires_at=now + min(timedelta(minutes=minutes), LONGEST), entry_digest=one_time.digest(secret),
        )  # fmt: skip
        _both(actor, row, "open")
        with tenant_context(tenant.pk):
            emit(
                events.BREAK_GLASS_OPENED, actor=_platform(actor), object_type="breakglass", object_id=row.pk,
                data={"user": str(user.pk), "access": access},
            )  # fmt: skip
    return row, secret


def enter(*, tenant_id: str, token: str) -> BreakGlass:
    """The door behind an entry's secret, which is used up. LinkRefused."""
    now = timezone.now()
    with transaction.atomic():
        row: BreakGlass | None = (
            _open_ones(now)
            .select_for_update(of=("self",))
            .select_related("user")
            .filter(
                tenant_id=tenant_id,
                entry_digest=one_time.digest(token),
                entered_at=None,
                created_at__gt=now - ENTRY_LASTS,
                user__is_active=True,
                user__is_platform_admin=True,
            )
            .first()
        )
        if row is None:
            raise LinkRefused()
        row.entered_at, row.entry_digest = now, None
        row.save(update_fields=["entered_at", "entry_digest"])
    return row


def entered(*, actor: Actor, row: BreakGlass) -> None:
    """Write down that the door was used."""
    _both(actor, row, "enter")


def close_door(*, actor: Actor, row: BreakGlass) -> None:
    """End it now, with its sessions. Closing twice is no error."""
    with public_context(), transaction.atomic():
        if row.closed_at is not None:
            return
        row.closed_at, row.closed_by_id, row.entry_digest = timezone.now(), actor.user_id, None
        row.save(update_fields=["closed_at", "closed_by", "entry_digest"])
        Session.objects.filter(break_glass=row).delete()
        _both(actor, row, "close")
        with tenant_context(row.tenant_id):
            emit(
                events.BREAK_GLASS_CLOSED, actor=actor, object_type="breakglass", object_id=row.pk,
                data={"user": str(row.user_id)},
            )  # fmt: skip


def membership(user: User, tenant_id: str) -> TenantMembership | None:
    """The membership that an entered, open door stands for; never saved. One query."""
    if not (user.is_active and user.is_platform_admin):
        return None
    rows = _open_ones(timezone.now()).select_related("tenant")
    row = rows.filter(user=user, tenant_id=tenant_id, entered_at__isnull=False).order_by("access").first()
    if row is None:
        return None
    role = TenantRole(
        tenant=row.tenant,
        name=f"platform_{row.access}",
        display_name="Platform",
        permissions=_rights(row.access),
        is_active=True,
    )
    return TenantMembership(id=row.pk, user=user, tenant=row.tenant, role=role, is_active=True)


def write_down(request: Any) -> None:
    """One request under break-glass, in both trails. Raises when it cannot be written."""
    row_id = request.session[BREAK_GLASS]
    actor = Actor(
        ActorKind.PLATFORM,
        id=request.user.pk,
        request_id=request.request_id,
        ip_address=client_address(request),
    )
    said = {"method": request.method, "route": request.resolver_match.view_name}
    named = {key: str(value)[:64] for key, value in request.resolver_match.kwargs.items() if _is_id(value)}
    _record(actor, uuid.UUID(row_id), str(request.tenant.pk), "request", {**said, **named})


def _rights(access: str) -> dict[str, str]:
    """Support looks: codes that end in `.view`, which sensitive fields' codes do not."""
    return {
        code: Scope.ALL.value
        for code in registry.permissions
        if access == BreakGlass.Access.ADMIN or code.endswith(".view")
    }


def _open_ones(now: Any) -> Any:
    return BreakGlass.objects.filter(closed_at=None, expires_at__gt=now)


def _both(actor: Actor, row: BreakGlass, action: str) -> None:
    said = {"access": row.access, "until": row.expires_at.isoformat()}
    _record(actor, row.pk, row.tenant_id, action, said)


def _record(actor: Actor, row_id: uuid.UUID, tenant_id: str, action: str, changes: dict[str, Any]) -> None:
    with transaction.atomic():
        with public_context():
            _write(actor, row_id, action, {**changes, "tenant": tenant_id})
        with tenant_context(tenant_id):
            _write(_platform(actor), row_id, action, changes)


def _write(actor: Actor, row_id: uuid.UUID, action: str, changes: dict[str, Any]) -> None:
    audit.record(
        actor=actor,
        action=f"breakglass_{action}",
        object_type="accounts.breakglass",
        object_id=str(row_id),
        changes=changes,
    )


def _platform(actor: Actor) -> Actor:
    return Actor(
        ActorKind.PLATFORM, id=actor.id, request_id=actor.request_id, ip_address=actor.ip_address
    )  # fmt: skip


def _is_id(value: Any) -> bool:
    try:
        return bool(uuid.UUID(str(value)))
    except ValueError:
        return False
