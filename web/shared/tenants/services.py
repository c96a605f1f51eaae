"""Making, suspending and finding tenants.

A tenant is made in steps that can each be repeated: the row (status `provisioning`) and its host, the schema
as the database's owner, the migrations, and at the end status `active`. A run that was killed is finished by
the next one with the same slug. People and roles are added by web.shared.accounts, which knows this module;
not the other way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.core import audit, keys
from web.shared.core.actor import Actor
from web.shared.core.published import notify
from web.shared.tenants import organization_settings, request_quota, schemas
from web.shared.tenants.clone import NotClonable
from web.shared.tenants.context import public_context
from web.shared.tenants.models import (
    Domain,
    InboundNumber,
    QuotaKind,
    Tenant,
    TenantQuota,
    TenantStatus,
    slug_validator,
)

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")

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
        tenant.suspended_at = timezone.now() if status == TenantStatus.SUSPENDED else None
        tenant.save(update_fields=["status", "suspended_at"])
        audit.record(actor=actor, action=action, obj=tenant)
        # The daemon reads the rows again: a suspended tenant's new callers are given back.
        notify(f"tenant {tenant.pk} {status.value}")


def tenant_update(*, actor: Actor, tenant: Tenant, values: Mapping[str, Any]) -> Tenant:
    """Change what an organisation says of itself; `settings` are checked by their schema. ValidationError."""
    changed = [name for name, value in values.items() if getattr(tenant, name) != value]
    if not changed:
        return tenant
    # In the schema chosen now: what its own people change is in their audit trail.
    with transaction.atomic():
        for name in changed:
            setattr(tenant, name, values[name])
        if "settings" in changed:
            organization_settings.check(tenant.settings)
        if "time_zone" in changed and tenant.time_zone not in available_timezones():
            raise ValidationError({"time_zone": ["There is no such time zone."]})
        tenant.full_clean(validate_unique=False, validate_constraints=False)
        tenant.save(update_fields=changed)
        audit.record(actor=actor, action="update", obj=tenant, changes=audit.changed_fields(changed))
    return tenant


# --- hosts, numbers, quotas -----------------------------------------------------------------------------


def domain_add(*, actor: Actor, tenant: Tenant, host: str) -> Domain:
    """Another host name for a tenant. ValidationError when it is malformed, ours, or somebody's."""
    host = host.strip().lower().rstrip(".")
    if not HOST.fullmatch(host) or host in settings.PLATFORM_HOSTS:
        raise ValidationError({"domain": ["A host name: letters, digits, '-' and dots, no port."]})
    with public_context(), transaction.atomic():
        if Domain.objects.filter(domain=host).exists():
            raise ValidationError({"domain": [ValidationError("This host is taken.", code="taken")]})
        row: Domain = Domain.objects.create(tenant=tenant, domain=host, slug=tenant.slug, is_primary=False)
        audit.record(actor=actor, action="create", obj=row)
    return row


def domain_remove(*, actor: Actor, domain: Domain) -> None:
    """Take a host name away; the primary one stays. ValidationError."""
    if domain.is_primary:
        raise ValidationError("An organisation's first host cannot be removed.", code="primary")
    with public_context(), transaction.atomic():
        audit.record(actor=actor, action="delete", obj=domain)
        domain.delete()


def quota_set(*, actor: Actor, tenant: Tenant, limits: Mapping[str, int | None]) -> None:
    """Set limits by kind; None lifts one. What is over a new limit stays, nothing is added to it."""
    with public_context(), transaction.atomic():
        for kind, limit in limits.items():
            rows = TenantQuota.objects.filter(tenant=tenant, kind=QuotaKind(kind).value)
            if limit is None:
                rows.delete()
            else:
                TenantQuota.objects.update_or_create(
                    tenant=tenant, kind=QuotaKind(kind).value, defaults={"limit": limit}
                )
        request_quota.forget_limit(tenant.pk)
        changes = {"quotas": {kind: limits[kind] for kind in sorted(limits)}}
        audit.record(actor=actor, action="update", obj=tenant, changes=changes)


def number_assign(*, actor: Actor, tenant: Tenant, trunk: str, number: str) -> InboundNumber:
    """Say that calls by this trunk to this number are the tenant's. ValidationError when they are another's.

    The number enters the daemon's policy when the tenant's telephony administrator routes it.
    """
    row = InboundNumber(tenant=tenant, trunk=trunk, number=number)
    with public_context(), transaction.atomic():
        row.full_clean(validate_unique=False, validate_constraints=False)
        if InboundNumber.objects.filter(trunk=trunk, number=number).exists():
            raise ValidationError({"number": [ValidationError("This number is taken.", code="taken")]})
        row.save(force_insert=True)
        audit.record(actor=actor, action="create", obj=row)
    return row


def number_release(*, actor: Actor, number: InboundNumber) -> None:
    """The number belongs to nobody from now on."""
    with public_context(), transaction.atomic():
        audit.record(actor=actor, action="delete", obj=number)
        number.delete()
