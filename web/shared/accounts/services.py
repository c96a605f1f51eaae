"""Writes about people and memberships. All of them run with the shared tables chosen or behind a tenant."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from web.shared.accounts.models import (
    Authenticator,
    OneTimeToken,
    RecoveryCode,
    Session,
    TenantMembership,
    TenantRole,
    TokenFamily,
    User,
    normalise_email,
)
from web.shared.core import audit
from web.shared.core.actor import Actor
from web.shared.tenants.quotas import quota_check


def user_ensure(*, actor: Actor, email: str, name: str = "", password: str | None = None) -> User:
    """The user with this e-mail, made when missing. A password given here is set only on a new user."""
    found = User.objects.filter(email=normalise_email(email)).first()
    if found is not None:
        return found
    with transaction.atomic():
        user = User.objects.create_user(email, password, name=name)
        audit.record(actor=actor, action="create", obj=user)
    return user


def membership_ensure(*, actor: Actor, user: User, tenant_id: str, role: str) -> TenantMembership:
    """Make (or change) somebody's membership so that they hold `role`. TenantRole.DoesNotExist; QuotaExceeded
    when they are new and the organisation may have no more people."""
    with transaction.atomic():
        wanted = TenantRole.objects.get(tenant_id=tenant_id, name=role)
        if not TenantMembership.objects.filter(user=user, tenant_id=tenant_id, is_active=True).exists():
            quota_check(tenant_id, "users")
        row, made = TenantMembership.objects.update_or_create(
            user=user,
            tenant_id=tenant_id,
            defaults={"role": wanted, "is_active": True},
            create_defaults={"role": wanted, "is_active": True, "invited_by_id": actor.user_id},
        )
        audit.record(actor=actor, action="create" if made else "update", obj=row, changes={"role": role})
    return row


def profile_change(*, actor: Actor, user: User, values: Mapping[str, str]) -> User:
    """Change one's own name or language; nothing is written when nothing differs."""
    changed = [name for name, value in values.items() if getattr(user, name) != value]
    if not changed:
        return user
    for name in changed:
        setattr(user, name, values[name])
    with transaction.atomic():
        user.save(update_fields=[*changed, "updated_at"])
        audit.record(actor=actor, action="update", obj=user, changes=audit.changed_fields(changed))
    return user


def password_set(*, actor: Actor, user: User, password: str) -> None:
    """A new password; every session and token made before is dead."""
    with transaction.atomic():
        user.set_password(password)
        user.credentials_changed_at = timezone.now()
        user.save(update_fields=["password", "credentials_changed_at", "updated_at"])
        _end_everything(user, because="password changed")
        audit.record(actor=actor, action="password_set", obj=user)


def factors_reset(*, actor: Actor, user: User) -> None:
    """For somebody who lost every factor and every recovery code: all are removed, and all sign-ins end.

    Their organisations did not give them these, so none of them may do it; who runs the platform may, after
    finding out that they are who they say.
    """
    with transaction.atomic():
        Authenticator.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        user.credentials_changed_at = timezone.now()
        user.save(update_fields=["credentials_changed_at", "updated_at"])
        _end_everything(user, because="second factors reset")
        audit.record(actor=actor, action="second_factors_reset", obj=user)


def user_deactivate(*, actor: Actor, user: User) -> None:
    """Deactivated people keep their rows and lose every way in."""
    with transaction.atomic():
        user.is_active = False
        user.deactivated_at = user.credentials_changed_at = timezone.now()
        user.save(update_fields=["is_active", "deactivated_at", "credentials_changed_at", "updated_at"])
        _end_everything(user, because="deactivated")
        audit.record(actor=actor, action="deactivate", obj=user)


def _end_everything(user: User, *, because: str) -> None:
    Session.objects.filter(user=user).delete()
    OneTimeToken.objects.filter(user=user, used_at=None).delete()
    # Sockets of the person look again because the user's row was saved.
    TokenFamily.objects.filter(user=user, revoked_at=None).update(
        revoked_at=timezone.now(), revoked_because=because
    )
