"""A new organisation, ready for its first sign-in: schema, roles, first administrator."""

from __future__ import annotations

from web.shared.accounts.models import TenantMembership
from web.shared.accounts.roles import role_rows_sync
from web.shared.accounts.services import membership_ensure, user_ensure
from web.shared.core.actor import Actor
from web.shared.tenants.context import public_context
from web.shared.tenants.models import Tenant, TenantStatus
from web.shared.tenants.services import schema_prepare, tenant_activate, tenant_register


def tenant_create(*, actor: Actor, slug: str, name: str, host: str = "") -> Tenant:
    """A tenant with its schema and roles, active. Finishes one that was left half made."""
    tenant = tenant_register(actor=actor, slug=slug, name=name, host=host)
    schema_prepare(tenant)
    with public_context():
        role_rows_sync(tenant)
    if tenant.status == TenantStatus.PROVISIONING:
        tenant_activate(actor=actor, tenant=tenant)
    return tenant


def person_add(
    *, actor: Actor, tenant: Tenant, email: str, role: str, name: str = "", password: str | None = None
) -> TenantMembership:
    """A member of `tenant` with `role`; the user is made when new (a password is set only then)."""
    with public_context():
        user = user_ensure(actor=actor, email=email, name=name, password=password)
        return membership_ensure(actor=actor, user=user, tenant_id=tenant.pk, role=role)
