"""A new organisation, ready for its first sign-in: schema, roles, reference data, first administrator.

`tenant_open` writes the row, the roles and the administrator, which takes no time; `tenant_finish` does the
rest and can be repeated by anybody after whatever was killed when. `tenant_create` is both.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from web.shared.accounts import mail
from web.shared.accounts.models import OutgoingMail, TenantMembership
from web.shared.accounts.roles import role_rows_sync
from web.shared.accounts.services import membership_ensure, user_ensure
from web.shared.core.actor import Actor
from web.shared.tenants.context import public_context
from web.shared.tenants.models import Tenant, TenantInvitation, TenantStatus
from web.shared.tenants.provisioning import provision
from web.shared.tenants.services import schema_prepare, tenant_activate, tenant_register

INVITED_FOR = timedelta(days=7)


def tenant_open(*, actor: Actor, slug: str, name: str, host: str = "") -> Tenant:
    """The tenant's row, host and roles, or those that are there. ValidationError for a bad slug."""
    with public_context(), transaction.atomic():
        tenant = tenant_register(actor=actor, slug=slug, name=name, host=host)
        role_rows_sync(tenant)
    return tenant


def tenant_finish(*, actor: Actor, tenant: Tenant) -> Tenant:
    """Schema, each app's provisioning steps, status active. Repeats nothing that is done."""
    schema_prepare(tenant)
    with public_context():
        role_rows_sync(tenant)
    provision(tenant.pk, actor)
    with public_context():
        tenant.refresh_from_db()
    if tenant.status == TenantStatus.PROVISIONING:
        tenant_activate(actor=actor, tenant=tenant)
    _mail_invitations(tenant)
    return tenant


def _mail_invitations(tenant: Tenant) -> None:
    """Invitations written before the tenant's host answered are mailed now, once."""
    with public_context(), transaction.atomic():
        rows = TenantInvitation.objects.select_for_update().filter(
            tenant=tenant, sent_at=None, is_accepted=False, withdrawn_at=None, expires_at__gt=timezone.now()
        )
        kind = OutgoingMail.Kind.INVITATION
        for row in rows:
            if not OutgoingMail.objects.filter(kind=kind, object_id=row.pk).exists():
                mail.put(kind, tenant_id=tenant.pk, object_id=row.pk)


def tenant_create(*, actor: Actor, slug: str, name: str, host: str = "") -> Tenant:
    """A tenant with its schema and roles, active. Finishes one that was left half made."""
    return tenant_finish(actor=actor, tenant=tenant_open(actor=actor, slug=slug, name=name, host=host))


def person_add(
    *, actor: Actor, tenant: Tenant, email: str, role: str, name: str = "", password: str | None = None
) -> TenantMembership:
    """A member of `tenant` with `role`; the user is made when new (a password is set only then)."""
    with public_context(), transaction.atomic():
        user = user_ensure(actor=actor, email=email, name=name, password=password)
        return membership_ensure(actor=actor, user=user, tenant_id=tenant.pk, role=role)
