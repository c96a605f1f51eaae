"""Asking people in, and their coming.

An invitation names an e-mail address and a role, for a week. Whoever opens the mailed link shows that the
mailbox is theirs. Somebody new chooses name and password; somebody known to the platform proves the password
they have, because the organisation that invites them is not the one that knows them. Nobody is signed in by
accepting, so a second factor is asked for as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth.hashers import check_password
from django.db import IntegrityError, transaction
from django.utils import timezone

from web.shared.accounts import events, mail, one_time, passwords, rights
from web.shared.accounts.models import OutgoingMail, TenantMembership, TenantRole, User, normalise_email
from web.shared.accounts.problems import LinkRefused
from web.shared.accounts.services import membership_ensure
from web.shared.api.problems import BadCredentials
from web.shared.core import audit
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.events import emit
from web.shared.core.services import refuse
from web.shared.tenants.models import TenantInvitation
from web.shared.tenants.quotas import quota_check

LIFETIME = timedelta(days=7)


def invitation_create(
    *, actor: Actor, tenant_id: str, email: str, role: TenantRole, grantor: rights.Rights | None
) -> TenantInvitation:
    """Invite `email`; the mail follows. ValidationError when they are a member or invited already."""
    rights.require_within(grantor, role.permissions)
    quota_check(tenant_id, "users")
    email, now = normalise_email(email), timezone.now()
    if TenantMembership.objects.filter(tenant_id=tenant_id, user__email=email, is_active=True).exists():
        raise refuse(email="They are a member already.")
    try:
        with transaction.atomic():
            open_ones = TenantInvitation.objects.filter(
                tenant_id=tenant_id, email=email, is_accepted=False, withdrawn_at=None
            )
            open_ones.filter(expires_at__lte=now).update(withdrawn_at=now)
            row = TenantInvitation.objects.create(
                tenant_id=tenant_id, email=email, role=role, invited_by_id=actor.user_id,
                expires_at=now + LIFETIME,
            )  # fmt: skip
            audit.record(actor=actor, action="create", obj=row, changes={"role": role.name})
            emit(
                events.INVITED, actor=actor, object_type="invitation", object_id=row.pk,
                data={"role": role.name},
            )  # fmt: skip
            mail.put(OutgoingMail.Kind.INVITATION, tenant_id=tenant_id, object_id=row.pk)
    except IntegrityError:
        raise refuse(email="They are invited already. Withdraw that invitation first.") from None
    return row


def invitation_withdraw(*, actor: Actor, invitation: TenantInvitation) -> None:
    """The link stops working. An accepted one cannot be withdrawn; nor a second time."""
    with transaction.atomic():
        invitation.withdrawn_at = timezone.now()
        invitation.save(update_fields=["withdrawn_at"])
        audit.record(actor=actor, action="delete", obj=invitation)


def invitation_open(*, tenant_id: str, token: str, lock: bool = False) -> TenantInvitation:
    """The open invitation behind a link of this organisation. LinkRefused otherwise, whatever the reason."""
    rows = TenantInvitation.objects.select_related("role", "tenant")
    if lock:
        rows = rows.select_for_update(of=("self",))
    found = rows.filter(
        tenant_id=tenant_id,
        token_digest=one_time.digest(token),
        is_accepted=False,
        withdrawn_at=None,
        expires_at__gt=timezone.now(),
        role__is_active=True,
    ).first()
    if found is None:
        raise LinkRefused()
    return found


def invitation_accept(
    *,
    actor: Actor,
    tenant_id: str,
    token: str,
    name: str,
    password: str,
    on_wrong_password: Callable[[], None],
) -> TenantMembership:
    """Join. LinkRefused; ValidationError for a weak password; BadCredentials when a known person's is wrong.

    `on_wrong_password` is called first then, so that guessing here counts like guessing at the sign-in.
    """
    with transaction.atomic():
        invitation = invitation_open(tenant_id=tenant_id, token=token, lock=True)
        user = User.objects.select_for_update().filter(email=invitation.email).first()
        if user is None:
            user = User(email=invitation.email, name=name)
            passwords.check(password, user=user)
            user.set_password(password)
            user.save()
            audit.record(actor=actor, action="create", obj=user)
        elif not user.is_active or not _proves_themselves(user, password):
            on_wrong_password()
            raise BadCredentials()
        return invitation_fulfil(actor=actor, invitation=invitation, user=user)


def invitation_fulfil(*, actor: Actor, invitation: TenantInvitation, user: User) -> TenantMembership:
    """Make `user` the member that the invitation speaks of; its row is locked by the caller."""
    by = Actor(ActorKind.USER, id=user.pk, request_id=actor.request_id, ip_address=actor.ip_address)
    membership = membership_ensure(
        actor=by, user=user, tenant_id=invitation.tenant_id, role=invitation.role.name
    )
    if invitation.invited_by_id:
        TenantMembership.objects.filter(pk=membership.pk).update(invited_by=invitation.invited_by_id)
    invitation.is_accepted, invitation.accepted_at, invitation.accepted_by = True, timezone.now(), user
    invitation.save(update_fields=["is_accepted", "accepted_at", "accepted_by"])
    audit.record(actor=by, action="accept", obj=invitation)
    emit(events.JOINED, actor=by, object_type="user", object_id=user.pk, data={"role": invitation.role.name})
    return membership


def _proves_themselves(user: User, password: str) -> bool:
    if user.has_usable_password():
        return check_password(password, user.password)
    # Known through an identity provider only: the mailbox is their proof, as for a password's reset.
    passwords.check(password, user=user)
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    return True
