"""Making, suspending and finding tenants.

A tenant is made in steps that can each be repeated: the row (status `provisioning`) and its host, the schema
as the database's owner, the migrations, and at the end status `active`. A run that was killed is finished by
the next one with the same slug. People and roles are added by web.shared.accounts, which knows this module;
not the other way.
"""

from __future__ import annotations

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from web.shared.core import audit, keys
from web.shared.core.actor import Actor
from web.shared.tenants.context import public_context
from web.shared.tenants.models import Domain, Tenant, TenantStatus, slug_validator
from web.shared.tenants.ownership import owner_connection


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
    """Create the tenant's schema if missing and bring it to the newest migration. Idempotent."""
    with owner_connection(), public_context():
        with connection.cursor() as cursor:
            # The id's form is checked by the model and by the backend; it cannot hold a quote.
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {connection.ops.quote_name(tenant.pk)}")
        call_command("migrate_schemas", tenant=True, schema_name=tenant.pk, interactive=False, verbosity=0)


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
        tenant.save(update_fields=["status", "updated_at"])
        audit.record(actor=actor, action=action, obj=tenant)
