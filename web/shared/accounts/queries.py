"""Reads about people: who is a member here, and with what rights."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from web.shared.accounts import registry
from web.shared.accounts.models import (
    PlatformRole,
    Session,
    TeamMember,
    TenantMembership,
    TokenFamily,
    User,
)
from web.shared.tenants.ids import PUBLIC


def membership_of(user: User, tenant_id: str) -> TenantMembership | None:
    """The active membership of an active user, with its role; None otherwise.

    For somebody of the platform who came through the emergency door: a membership that is no row.
    """
    found = member_of(user, tenant_id)
    if found is None and user.is_platform_admin:
        from web.shared.accounts import break_glass

        return break_glass.membership(user, tenant_id)
    return found


def member_of(user: User, tenant_id: str) -> TenantMembership | None:
    """As `membership_of`, for real members only: who may sign in, have tokens and open sockets."""
    return (
        TenantMembership.objects.select_related("role", "user", "tenant")
        .filter(user=user, tenant_id=tenant_id, is_active=True, user__is_active=True, role__is_active=True)
        .first()
    )


def may_enter(user: User, tenant_id: str) -> bool:
    """Whether this person may sign in here at all: a member, or on the platform's host who runs it."""
    if tenant_id == PUBLIC:
        return user.is_active and user.is_platform_admin
    return member_of(user, tenant_id) is not None


def permissions_of(user_id: uuid.UUID | str, tenant_id: str) -> dict[str, str]:
    """Code → scope of this user in this tenant now; empty when they are no active member."""
    membership = (
        TenantMembership.objects.select_related("role")
        .filter(
            user_id=user_id, tenant_id=tenant_id, is_active=True, user__is_active=True, role__is_active=True
        )
        .first()
    )
    return {} if membership is None else dict(membership.role.permissions)


def people_of(tenant_id: str) -> Any:
    """Active members of a tenant, newest last."""
    return (
        TenantMembership.objects.select_related("user", "role")
        .filter(tenant_id=tenant_id, is_active=True)
        .order_by("joined_at", "id")
    )


def team_user_ids(tenant_id: str, user_id: uuid.UUID) -> frozenset[uuid.UUID]:
    """Active members of the teams this person is in, in this tenant. One query."""
    mates = TeamMember.objects.filter(
        team__tenant_id=tenant_id, team__is_active=True, team__members__user_id=user_id
    )
    return frozenset(mates.values_list("user_id", flat=True))


def team_memberships(tenant_id: str, team_id: uuid.UUID) -> Any:
    """The active members of one active team of this tenant, with their roles; none of a stranger's team."""
    named = TeamMember.objects.filter(team_id=team_id, team__tenant_id=tenant_id, team__is_active=True)
    rows = people_of(tenant_id).filter(user__is_active=True, role__is_active=True)
    return rows.filter(user_id__in=named.values("user_id"))


def proof_of(session_id: uuid.UUID | None, family_id: uuid.UUID | None) -> str:
    """The name of a sign-in, as a ticket carries it."""
    if family_id is not None:
        return f"family:{family_id}"
    return "" if session_id is None else f"session:{session_id}"


def proof_stands(tenant_id: str, user_id: uuid.UUID, proof: str) -> bool:
    """Whether the sign-in of this name is alive and this person's in this tenant. One query."""
    kind, _, name = proof.partition(":")
    mine: dict[str, Any] = {"user_id": user_id, "tenant_id": tenant_id}
    if kind == "family":
        return TokenFamily.objects.filter(**mine, pk=name, revoked_at=None).exists()
    alive = Session.objects.filter(**mine, expire_date__gt=timezone.now())
    return kind == "session" and alive.filter(public_id=name).exists()


def platform_codes(user: User) -> frozenset[str]:
    """The platform's codes that this person's PlatformRoles give; empty for who runs nothing. One query."""
    if not (user.is_active and user.is_platform_admin):
        return frozenset()
    codes: set[str] = set()
    for held in PlatformRole.objects.filter(user=user):
        codes |= {code for code, entry in registry.platform_permissions.items() if held.role in entry.roles}
        codes |= {code for code in held.permissions if code in registry.platform_permissions}
    return frozenset(codes)
