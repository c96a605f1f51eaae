"""Making, suspending and finding tenants.

A tenant is made in steps that can each be repeated: the row (status `provisioning`) and its host, the schema
as the database's owner, the migrations, and at the end status `active`. A run that was killed is finished by
the next one with the same slug. People and roles are added by web.shared.accounts, which knows this module;
not the other way.
"""

from __future__ import annotations

import structlog
from django.conf import settings
from django.db import transaction

from web.shared.core import audit, keys
from web.shared.core.actor import Actor
from web.shared.core.published import notify
from web.shared.tenants import schemas
from web.shared.tenants.clone import NotClonable
from web.shared.tenants.context import public_context
from web.shared.tenants.models import Domain, Tenant, TenantStatus, slug_validator

log = structlog.get_logger("murima.tenants")


def host_of(slug: str) -> str:
    """The tenant's host name: `<slug>.<MURIMA_BASE_DOMAIN>`."""
    return f"{slug}.{settings.BASE_DOMAIN}".lower()


def tenant_register(*, actor: Actor, slug: str, name: str, host: str = "") -> Tenant:
    """The tenant's row and host, or the ones that are there. ValidationError for a bad slug."""
    slug_validator(slug)
    with public_context(), transaction.atomic():
        domain = Domain.objects.select_related("tenant").filter(slug=slug, is_primary=True).first()
        if domain is not None:
            found: Tenant = domain.tenant
            return found
        tenant: Tenant = Tenant.objects.create(name=name)
        Domain.objects.create(tenant=tenant, domain=host or host_of(slug), slug=slug, is_primary=True)
        audit.record(actor=actor, action="create", obj=tenant)
    return tenant


def schema_prepare(tenant: Tenant) -> None:
    """Create the tenant's schema if missing and bring it to the newest migration. Idempotent.

    A schema that is not there yet is copied from the template (see clone.py), which is first brought up to
    date; one that is there is migrated.
    """
    if not schemas.exists(tenant.pk):
        try:
            schemas.copy_of_template(tenant.pk)
            return
        except NotClonable as reason:
            log.warning("schema_not_cloned", tenant=tenant.pk, reason=str(reason))
    schemas.migrate(tenant.pk)


def tenant_activate(*, actor: Actor, tenant: Tenant) -> None:
    """The tenant's first key is made here, so that no caller is met without one."""
    keys.ensure(tenant.pk)
    _set_status(tenant, TenantStatus.ACTIVE, actor, "activate")


def tenant_suspend(*, actor: Actor, tenant: Tenant) -> None:
    """Nobody signs in and no new call enters; what is going on finishes."""
    _set_status(tenant, TenantStatus.SUSPENDED, actor, "suspend")


def _set_status(tenant: Tenant, status: TenantStatus, actor: Actor, action: str) -> None:
    with public_context(), transaction.atomic():
        tenant.status = status
        tenant.save(update_fields=["status"])
        audit.record(actor=actor, action=action, obj=tenant)
        # The daemon reads the rows again: a suspended tenant's new callers are given back.
        notify(f"tenant {tenant.pk} {status.value}")
