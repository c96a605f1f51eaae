"""Whose account an identity provider's answer opens.

First by the provider's own name for the person (`sub`), once learnt. Else by their e-mail address, if the
provider says that it verified it and the address is in an allowed domain: a member's account is linked, an
open invitation is accepted, and, where the organisation does not insist on invitations, somebody new is let
in with the role that their claims map to. Who was deactivated here is not let in by any of these.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from web.shared.accounts import invitations, people
from web.shared.accounts.models import (
    ExternalIdentity,
    IdentityProvider,
    TenantMembership,
    TenantRole,
    User,
    normalise_email,
)
from web.shared.accounts.oidc.provider import refuse
from web.shared.accounts.problems import LastAdministrator
from web.shared.accounts.services import membership_ensure
from web.shared.core import audit
from web.shared.core.actor import Actor, ActorKind
from web.shared.tenants.models import TenantInvitation


def person_behind(*, actor: Actor, provider: IdentityProvider, claims: dict[str, Any]) -> User:
    """The member who may sign in. FederationRefused says why nobody may."""
    with transaction.atomic():
        known = ExternalIdentity.objects.select_related("user").filter(
            provider=provider, subject=claims["sub"]
        )
        identity = known.first()
        if identity is None:
            # Two first sign-ins at once: the second finds what the first made.
            IdentityProvider.objects.select_for_update(of=("self",), no_key=True).get(pk=provider.pk)
            identity = known.first()
        user = _by_address(actor, provider, claims) if identity is None else identity.user
        membership = _membership(user, provider)
        if identity is None:
            identity = ExternalIdentity.objects.create(provider=provider, subject=claims["sub"], user=user)
            audit.record(actor=_as(actor, user), action="identity_linked", obj=user)
        identity.last_used_at = timezone.now()
        identity.save(update_fields=["last_used_at"])
        _follow_role(actor, provider, claims, membership)
    return user


def _membership(user: User, provider: IdentityProvider) -> TenantMembership:
    rows = TenantMembership.objects.select_related("role", "user")
    found = rows.filter(user=user, tenant_id=provider.tenant_id).first()
    if found is None or not (found.is_active and user.is_active and found.role.is_active):
        raise refuse("not_a_member")
    return found


def _by_address(actor: Actor, provider: IdentityProvider, claims: dict[str, Any]) -> User:
    email = _verified_address(provider, claims)
    user = User.objects.filter(email=email).first()
    if user is not None and TenantMembership.objects.filter(user=user, tenant_id=provider.tenant_id).exists():
        return user
    invitation = _invitation(provider, email)
    if invitation is None and provider.invite_only:
        raise refuse("not_invited")
    role = _mapped_role(provider, claims) or provider.default_role
    if invitation is None and (role is None or not provider.allowed_domains):
        raise refuse("no_role")
    if user is None:
        name = claims.get("name")
        user = User.objects.create_user(email, None, name=name[:150] if isinstance(name, str) else "")
        audit.record(actor=_as(actor, user), action="create", obj=user)
    if invitation is not None:
        invitations.invitation_fulfil(actor=actor, invitation=invitation, user=user)
    elif role is not None:
        membership_ensure(actor=_as(actor, user), user=user, tenant_id=provider.tenant_id, role=role.name)
    return user


def _verified_address(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    address, verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(address, str) or not 3 <= len(address) <= 254 or address.count("@") != 1:
        raise refuse("no_address")
    if verified not in (True, "true"):
        raise refuse("address_not_verified")
    email = normalise_email(address)
    if provider.allowed_domains and email.partition("@")[2] not in provider.allowed_domains:
        raise refuse("domain")
    return email


def _invitation(provider: IdentityProvider, email: str) -> TenantInvitation | None:
    rows = TenantInvitation.objects.select_related("role").select_for_update(of=("self",))
    return rows.filter(
        tenant_id=provider.tenant_id,
        email=email,
        is_accepted=False,
        withdrawn_at=None,
        expires_at__gt=timezone.now(),
        role__is_active=True,
    ).first()


def _mapped_role(provider: IdentityProvider, claims: dict[str, Any]) -> TenantRole | None:
    """The role of the first entry of the mapping that the claim holds."""
    said = claims.get(provider.role_claim) if provider.role_claim else None
    held = {one for one in (said if isinstance(said, list) else [said]) if isinstance(one, str)}
    for value, name in provider.role_mapping.items():
        if value in held:
            return TenantRole.objects.filter(
                tenant_id=provider.tenant_id, name=name, is_active=True
            ).first()  # fmt: skip
    return None


def _follow_role(
    actor: Actor, provider: IdentityProvider, claims: dict[str, Any], membership: TenantMembership
) -> None:
    role = _mapped_role(provider, claims)
    if role is None or role.pk == membership.role_id:
        return
    try:
        people.membership_change(actor=actor, membership=membership, grantor=None, role=role)
    except LastAdministrator:
        # The last one stays administrator, whatever a directory says.
        membership.refresh_from_db()


def _as(actor: Actor, user: User) -> Actor:
    return Actor(ActorKind.USER, id=user.pk, request_id=actor.request_id, ip_address=actor.ip_address)
