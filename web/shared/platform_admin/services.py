"""What the platform's administrators do: organisations from outside, accounts, and platform roles.

A tenant's row, roles and first administrator are written at once; a worker makes its schema (`tasks.py`),
because only the database's owner can, and beat finishes what a killed worker left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.accounts import onboarding
from web.shared.accounts.models import PlatformRole, TenantRole, User
from web.shared.accounts.services import user_deactivate
from web.shared.api.problems import Conflict
from web.shared.core import audit
from web.shared.core.actor import Actor
from web.shared.tenants import services as tenants
from web.shared.tenants.models import Domain, Tenant, TenantInvitation, TenantStatus


class LastPlatformAdmin(Conflict):
    status, code, title = 409, "last_platform_admin", "Somebody must be able to run the platform"
    meaning = "The change would leave nobody who may give platform roles."


class StillProvisioning(Conflict):
    status, code, title = 409, "still_provisioning", "This organisation is still being created"
    meaning = "It becomes active by itself, in seconds. Read it again."


def tenant_request(
    *, actor: Actor, slug: str, name: str, admin: Mapping[str, Any], host: str = "", values: Mapping[str, Any]
) -> Tenant:
    """A tenant's row, roles and first administrator; its schema follows. ValidationError when the slug is
    taken or the password is weak."""
    if Domain.objects.filter(slug=slug, is_primary=True).exists():
        raise ValidationError({"slug": [ValidationError("This slug is taken.", code="taken")]})
    if host and (not tenants.HOST.fullmatch(host.lower()) or Domain.objects.filter(domain=host.lower())):
        raise ValidationError({"host": ["This host name cannot be used."]})
    with transaction.atomic():
        tenant = onboarding.tenant_open(actor=actor, slug=slug, name=name, host=host.lower())
        tenants.tenant_update(actor=actor, tenant=tenant, values=values)
        _first_admin(actor, tenant, admin)
        transaction.on_commit(lambda: _wake(tenant.pk), robust=True)
    return tenant


def _first_admin(actor: Actor, tenant: Tenant, admin: Mapping[str, Any]) -> None:
    password = admin.get("password")
    if password:
        try:
            validate_password(password, User(email=admin["email"], name=admin.get("name", "")))
        except ValidationError as weak:
            raise ValidationError({"admin": weak.error_list}) from None
        member = onboarding.person_add(
            actor=actor, tenant=tenant, email=admin["email"], role="admin",
            name=admin.get("name", ""), password=password,
        )  # fmt: skip
        tenant.owner = member.user
        tenant.save(update_fields=["owner"])
        return
    role = TenantRole.objects.get(tenant=tenant, name="admin")
    row = TenantInvitation.objects.create(
        tenant=tenant, email=admin["email"].strip().lower(), role=role, invited_by_id=actor.user_id,
        expires_at=timezone.now() + onboarding.INVITED_FOR,
    )  # fmt: skip
    audit.record(actor=actor, action="create", obj=row, changes={"role": "admin"})


def _wake(tenant_id: str) -> None:
    from web.shared.platform_admin.tasks import wake_provisioning

    wake_provisioning(tenant_id)


def tenant_suspend(*, actor: Actor, tenant: Tenant) -> Tenant:
    """Suspend an active tenant; nothing when it is suspended already. StillProvisioning."""
    if tenant.status == TenantStatus.PROVISIONING:
        raise StillProvisioning()
    if tenant.status != TenantStatus.SUSPENDED:
        tenants.tenant_suspend(actor=actor, tenant=tenant)
    return tenant


def tenant_resume(*, actor: Actor, tenant: Tenant) -> Tenant:
    """Lift a suspension; nothing when there is none. StillProvisioning."""
    if tenant.status == TenantStatus.PROVISIONING:
        raise StillProvisioning()
    if tenant.status != TenantStatus.ACTIVE:
        tenants.tenant_activate(actor=actor, tenant=tenant)
    return tenant


# --- accounts ---------------------------------------------------------------------------------------------


def account_deactivate(*, actor: Actor, user: User) -> None:
    """No way in any more, in any organisation. LastPlatformAdmin."""
    with transaction.atomic():
        _lock_roles()
        user_deactivate(actor=actor, user=user)
        _require_somebody()


def account_activate(*, actor: Actor, user: User) -> None:
    """Let a deactivated account in again; sessions and tokens of before stay dead."""
    with transaction.atomic():
        user.is_active, user.deactivated_at = True, None
        user.save(update_fields=["is_active", "deactivated_at", "updated_at"])
        audit.record(actor=actor, action="activate", obj=user)


def platform_role_grant(*, actor: Actor, user: User, role: str) -> PlatformRole:
    """Give a platform role. It opens the platform's host to them."""
    with transaction.atomic():
        row, made = PlatformRole.objects.get_or_create(user=user, role=role)
        if made:
            user.is_platform_admin = True
            user.save(update_fields=["is_platform_admin", "updated_at"])
            audit.record(actor=actor, action="grant", obj=user, changes={"platform_role": role})
    return row


def platform_role_revoke(*, actor: Actor, user: User, role: str) -> None:
    """Take a platform role; PlatformRole.DoesNotExist, LastPlatformAdmin."""
    with transaction.atomic():
        _lock_roles()
        PlatformRole.objects.get(user=user, role=role).delete()
        if not PlatformRole.objects.filter(user=user).exists():
            user.is_platform_admin = False
            user.save(update_fields=["is_platform_admin", "updated_at"])
        audit.record(actor=actor, action="revoke", obj=user, changes={"platform_role": role})
        _require_somebody()


def _lock_roles() -> None:
    """So that two do not take each other's role at once."""
    list(PlatformRole.objects.select_for_update().filter(role="super_admin").order_by("pk"))


def _require_somebody() -> None:
    able = User.objects.filter(is_active=True, is_platform_admin=True, platform_roles__role="super_admin")
    # Where nobody holds the role, the first administrators were made with manage.py and hold everything.
    if PlatformRole.objects.filter(role="super_admin").exists() and not able.exists():
        raise LastPlatformAdmin()
    if not User.objects.filter(is_active=True, is_platform_admin=True).exists():
        raise LastPlatformAdmin()
