"""Changing an organisation's people, roles and teams.

`grantor` is what the person who asks may do themselves (None: the system). What somebody loses they lose at
once: rights are read with each request, a role's change ends the person's tokens, a deactivation their
sessions too, and open sockets are told to look again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from web.shared.accounts import events, registry, rights, sessions
from web.shared.accounts.models import Team, TeamMember, TenantMembership, TenantRole
from web.shared.accounts.registry import Scope
from web.shared.api.problems import Conflict
from web.shared.core import audit
from web.shared.core.actor import Actor
from web.shared.core.events import emit
from web.shared.core.services import refuse


def membership_change(
    *,
    actor: Actor,
    membership: TenantMembership,
    grantor: rights.Rights | None,
    role: TenantRole | None = None,
    is_active: bool | None = None,
    teams: Iterable[uuid.UUID] | None = None,
) -> TenantMembership:
    """Give a member another role, other teams, or take or give back their entry."""
    rights.require_within(grantor, membership.role.permissions)
    with rights.keeping_an_administrator(membership.tenant_id):
        changed = []
        if role is not None and role.pk != membership.role_id:
            rights.require_within(grantor, role.permissions)
            membership.role = role
            changed.append("role")
        if is_active is not None and is_active != membership.is_active:
            membership.is_active = is_active
            changed.append("is_active")
        if teams is not None and _join_teams(membership, set(teams)):
            changed.append("teams")
        if changed:
            _tell(actor, membership, changed)
    return membership


def _tell(actor: Actor, membership: TenantMembership, changed: list[str]) -> None:
    membership.save(update_fields=[name for name in changed if name != "teams"])
    if "role" in changed or "is_active" in changed:
        sessions.end_tokens(membership.user, tenant_id=membership.tenant_id, because="rights changed")
    if not membership.is_active:
        sessions.end_all(membership.user, tenant_id=membership.tenant_id, because="deactivated")
    audit.record(
        actor=actor,
        action="update",
        obj=membership,
        changes={**audit.changed_fields(changed), "role": membership.role.name},
    )
    about: dict[str, Any] = {"object_type": "user", "object_id": membership.user_id}
    if "is_active" in changed and not membership.is_active:
        emit(events.DEACTIVATED, actor=actor, **about)
    else:
        data = {"fields": sorted(changed), "role": membership.role.name}
        emit(events.CHANGED, actor=actor, **about, data=data)


def _join_teams(membership: TenantMembership, wanted: set[uuid.UUID]) -> bool:
    rows = TeamMember.objects.filter(user=membership.user, team__tenant_id=membership.tenant_id)
    present = set(rows.values_list("team_id", flat=True))
    if wanted == present:
        return False
    rows.filter(team_id__in=present - wanted).delete()
    TeamMember.objects.bulk_create(
        [TeamMember(team_id=team, user=membership.user) for team in sorted(wanted - present)]
    )
    return True


# --- roles --------------------------------------------------------------------------------------------------


def role_create(
    *, actor: Actor, tenant_id: str, grantor: rights.Rights | None, name: str, display_name: str,
    permissions: Mapping[str, str],
) -> TenantRole:  # fmt: skip
    """A role of the organisation's own. ValidationError for an unknown code, a wrong scope, a name in use."""
    check_permissions(permissions)
    rights.require_within(grantor, permissions)
    row = TenantRole(tenant_id=tenant_id, name=name, display_name=display_name, permissions=dict(permissions))
    _save_unique(row, "name", "There is a role of this name.")
    audit.record(actor=actor, action="create", obj=row)
    return row


def role_change(
    *, actor: Actor, role: TenantRole, grantor: rights.Rights | None, values: Mapping[str, Any]
) -> TenantRole:
    """Change a role. A shipped one becomes the organisation's own thereby, and releases leave it alone."""
    changed = [name for name, value in values.items() if getattr(role, name) != value]
    if not changed:
        return role
    if "permissions" in changed:
        check_permissions(values["permissions"])
        rights.require_within(grantor, _difference(role.permissions, values["permissions"]))
    if "is_active" in changed:
        rights.require_within(grantor, role.permissions)
    with rights.keeping_an_administrator(role.tenant_id):
        for name in changed:
            setattr(role, name, values[name])
        role.is_system_role = False
        role.save(update_fields=[*changed, "is_system_role"])
        audit.record(actor=actor, action="update", obj=role, changes=audit.changed_fields(changed))
        emit(
            events.ROLE_CHANGED, actor=actor, object_type="role", object_id=None, data={"role": role.name}
        )  # fmt: skip
    return role


def role_delete(*, actor: Actor, role: TenantRole, grantor: rights.Rights | None) -> None:
    """Remove a role nobody has or had. Conflict otherwise, and for the shipped ones: switch those off."""
    rights.require_within(grantor, role.permissions)
    if role.is_system_role or role.memberships.exists():
        raise Conflict("Somebody has this role, or it is one of the six that every organisation starts with.")
    with transaction.atomic():
        audit.record(actor=actor, action="delete", obj=role)
        role.delete()


def check_permissions(permissions: Mapping[str, str]) -> None:
    """ValidationError that names every unknown code and wrong scope."""
    scopes = {scope.value for scope in Scope}
    wrong = sorted(
        code for code, scope in permissions.items()
        if code not in registry.permissions or scope not in scopes
    )  # fmt: skip
    if wrong:
        raise refuse(permissions=f"Unknown code, or not own, team or all: {', '.join(wrong)[:300]}.")


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """What is given or taken: for a code in both the wider of the two scopes."""
    found = {}
    for code in {*before, *after}:
        if before.get(code) != after.get(code):
            said = [scope for scope in (before.get(code), after.get(code)) if scope]
            found[code] = max(said, key=[Scope.OWN.value, Scope.TEAM.value, Scope.ALL.value].index)
    return found


# --- teams --------------------------------------------------------------------------------------------------


def team_create(*, actor: Actor, tenant_id: str, name: str, members: Iterable[uuid.UUID] = ()) -> Team:
    with transaction.atomic():
        row = Team(tenant_id=tenant_id, name=name)
        _save_unique(row, "name", "There is a team of this name.")
        _set_members(row, set(members))
        audit.record(actor=actor, action="create", obj=row)
    return row


def team_change(
    *, actor: Actor, team: Team, values: Mapping[str, Any], members: Iterable[uuid.UUID] | None
) -> Team:
    """Change a team; `members`, when given, replaces them all."""
    changed = [name for name, value in values.items() if getattr(team, name) != value]
    with transaction.atomic():
        for name in changed:
            setattr(team, name, values[name])
        if members is not None and _set_members(team, set(members)):
            changed.append("members")
        if changed:
            _save_unique(team, "name", "There is a team of this name.")
            audit.record(actor=actor, action="update", obj=team, changes=audit.changed_fields(changed))
    return team


def team_delete(*, actor: Actor, team: Team) -> None:
    with transaction.atomic():
        audit.record(actor=actor, action="delete", obj=team)
        team.delete()


def _set_members(team: Team, wanted: set[uuid.UUID]) -> bool:
    present = set(team.members.values_list("user_id", flat=True))
    if wanted == present:
        return False
    team.members.exclude(user_id__in=wanted).delete()
    TeamMember.objects.bulk_create([TeamMember(team=team, user_id=user) for user in sorted(wanted - present)])
    return True


def _save_unique(row: Team | TenantRole, field: str, said: str) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ValidationError({field: [ValidationError(said, code="unique")]}) from None
