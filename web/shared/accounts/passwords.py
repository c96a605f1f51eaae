"""Changing and resetting passwords.

A change asks for the present password, a reset for a mailed link (one hour, one use). Either ends every
session and token, the one that asked included, and tells the person by mail. Asking for a reset costs and
answers the same whether anybody has the address: one row goes into the outbox either way, and only the worker
that sends it finds out that there is nobody. A reset gives no session, so it goes round no second factor.
"""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.accounts import mail, one_time
from web.shared.accounts.models import OneTimeToken, OutgoingMail, User, normalise_email
from web.shared.accounts.problems import LinkRefused
from web.shared.accounts.queries import may_enter
from web.shared.accounts.services import password_set
from web.shared.core.actor import Actor, ActorKind

LONGEST = 256


def check(password: str, *, user: User, field: str = "password") -> None:
    """ValidationError under `field` for a short, common or too familiar password. 256 characters are fine."""
    try:
        if len(password) > LONGEST:
            raise ValidationError(f"At most {LONGEST} characters.", code="max_length")
        validate_password(password, user)
    except ValidationError as refused:
        raise ValidationError({field: refused.error_list}) from None


def change(*, actor: Actor, tenant_id: str, user: User, new_password: str) -> None:
    """The caller has checked the present password."""
    check(new_password, user=user, field="new_password")
    with transaction.atomic():
        password_set(actor=actor, user=user, password=new_password)
        mail.put(OutgoingMail.Kind.CREDENTIALS_CHANGED, tenant_id=tenant_id, user=user)


def reset_request(*, tenant_id: str, email: str) -> None:
    """Ask for a link to be mailed, if a member who may sign in here has this address."""
    user = User.objects.filter(email=normalise_email(email)).first()
    # The same queries in both cases; nobody's id is as good as any.
    member = may_enter(user or User(), tenant_id)
    mail.put(OutgoingMail.Kind.PASSWORD_RESET, tenant_id=tenant_id, user=user if member else None)


def reset(*, actor: Actor, tenant_id: str, token: str, new_password: str) -> User:
    """Set a new password with a mailed link. LinkRefused; ValidationError leaves the link usable."""
    with transaction.atomic():
        row = (
            OneTimeToken.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(
                tenant_id=tenant_id,
                purpose=OneTimeToken.Purpose.PASSWORD_RESET,
                digest=one_time.digest(token),
                used_at=None,
                expires_at__gt=timezone.now(),
                user__is_active=True,
            )
            .first()
        )
        if row is None:
            raise LinkRefused()
        check(new_password, user=row.user, field="new_password")
        row.used_at = timezone.now()
        row.save(update_fields=["used_at"])
        by = Actor(ActorKind.USER, id=row.user.pk, request_id=actor.request_id, ip_address=actor.ip_address)
        password_set(actor=by, user=row.user, password=new_password)
        mail.put(OutgoingMail.Kind.CREDENTIALS_CHANGED, tenant_id=tenant_id, user=row.user)
    return row.user
