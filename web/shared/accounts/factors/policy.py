"""Whose role must have a second factor.

An organisation lists roles in its setting `mfa_required_roles`; on the platform's host
settings.PLATFORM_MFA_REQUIRED says it for everybody. Who must and has no factor gets, with their password, a
session that can do nothing but set one up, and no token. Whenever an organisation's settings are saved, those
who must and have none are signed out, whichever way the setting was changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction

from web.shared.accounts import sessions
from web.shared.accounts.models import Authenticator, TenantMembership, TenantRole, User
from web.shared.core import audit
from web.shared.core.actor import Actor
from web.shared.core.services import refuse
from web.shared.tenants.models import Tenant

SETTING = "mfa_required_roles"
SCHEMA = {
    "type": "array",
    "items": {"type": "string", "maxLength": 50},
    "maxItems": 100,
    "uniqueItems": True,
    "description": "Roles whose holders must have a second factor; admin and supervisor are a good choice.",
}


def required_roles(tenant: Tenant | None) -> list[str]:
    return [] if tenant is None else list(tenant.settings.get(SETTING, []))


def has_factor(user: User) -> bool:
    return Authenticator.objects.filter(user=user, confirmed_at__isnull=False).exists()


def is_required(user: User, tenant: Tenant | None) -> bool:
    """Whether this person's role here demands a second factor. `tenant` is None on the platform's host."""
    if tenant is None:
        return bool(settings.PLATFORM_MFA_REQUIRED)
    roles = required_roles(tenant)
    return (
        bool(roles)
        and TenantMembership.objects.filter(
            user=user, tenant=tenant, is_active=True, role__name__in=roles
        ).exists()
    )


def require_roles(*, actor: Actor, tenant_id: str, roles: Iterable[str]) -> list[str]:
    """Set the list. ValidationError for a role that is not there."""
    wanted = sorted(set(roles))
    known = set(TenantRole.objects.filter(tenant_id=tenant_id).values_list("name", flat=True))
    if not known.issuperset(wanted):
        raise refuse(required_roles="There is no such role.")
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update(of=("self",)).get(pk=tenant_id)
        tenant.settings = {**tenant.settings, SETTING: wanted}
        tenant.save(update_fields=["settings", "updated_at"])
        audit.record(actor=actor, action="mfa_policy", obj=tenant, changes={"roles": wanted})
    return wanted


def enforce(tenant: Tenant) -> None:
    """Sign out the members who must have a second factor and have none."""
    without = TenantMembership.objects.select_related("user").filter(
        tenant=tenant, is_active=True, role__name__in=required_roles(tenant)
    )
    for membership in without.exclude(user__authenticators__confirmed_at__isnull=False):
        sessions.end_all(membership.user, tenant_id=tenant.pk, because="second factor required")


def on_tenant_saved(
    instance: Tenant, created: bool = False, update_fields: Iterable[str] | None = None, **_: Any
) -> None:
    """post_save of a tenant: settings may have changed."""
    if not created and (update_fields is None or "settings" in update_fields):
        enforce(instance)
