"""Who is meant by a rule's recipients, and what each of them may see.

A recipient is a text: a user's id, a role's name, `team:<id>`, or a relation to the event:

    assignee   who has the thing          creator   who made it
    watchers   who follows it             mentioned whom a comment names
    recipient  whom the event itself names

Relations come from the event's data first, then from the facts of its entity. Only active members count.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps

from web.shared.accounts.queries import people_of
from web.shared.tenants.context import current_tenant_id

RELATIONS: dict[str, tuple[str, ...]] = {
    "assignee": ("assigned_to",),
    "creator": ("created_by",),
    "watchers": ("watchers",),
    "mentioned": ("mentions",),
    "recipient": ("recipient", "user"),
}
TEAM = "team:"
MOST = 500
"""More people than this are not told of one event: a rule that means everybody means nobody."""


def members(users: Iterable[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """The memberships, with user and role, of those who are active members here. One query."""
    found = _active().filter(user_id__in=list(users))
    return {membership.user_id: membership for membership in found}


def meant(recipients: Iterable[str], data: Mapping[str, Any], facts: Mapping[str, Any]) -> set[uuid.UUID]:
    """The users whom `recipients` mean; `data` is the event's, `facts` the entity's without its name."""
    users: set[uuid.UUID] = set()
    roles: set[str] = set()
    teams: set[uuid.UUID] = set()
    for one in recipients:
        if one in RELATIONS:
            users |= _related(one, data, facts)
        elif one.startswith(TEAM):
            teams |= _ids([one.removeprefix(TEAM)])
        else:
            known = _ids([one])
            users |= known
            roles |= set() if known else {one}
    if roles:
        users |= set(_active().filter(role__name__in=roles).values_list("user_id", flat=True)[:MOST])
    return users | (_of_teams(teams) if teams else set())


def unknown(recipients: Iterable[str]) -> list[int]:
    """Places of those that mean nothing here: strangers, roles and teams that do not exist."""
    roles = set(apps.get_model("accounts", "TenantRole").objects.filter(
        tenant_id=str(current_tenant_id())).values_list("name", flat=True))  # fmt: skip
    wrong = []
    for place, one in enumerate(recipients):
        if one in RELATIONS or one in roles:
            continue
        if one.startswith(TEAM):
            known = _teams().filter(pk__in=_ids([one.removeprefix(TEAM)])).exists()
        else:
            known = bool(members(_ids([one])))
        if not known:
            wrong.append(place)
    return wrong


def _related(name: str, data: Mapping[str, Any], facts: Mapping[str, Any]) -> set[uuid.UUID]:
    for key in RELATIONS[name]:
        value = data.get(key)
        if value is None:
            value = facts.get(key)
        if value is not None:
            return _ids(value if isinstance(value, list | tuple | set | frozenset) else [value])
    return set()


def _ids(values: Iterable[Any]) -> set[uuid.UUID]:
    found = set()
    for value in values:
        try:
            found.add(uuid.UUID(str(value)))
        except ValueError:
            continue
    return found


def _active() -> Any:
    return people_of(str(current_tenant_id())).filter(user__is_active=True, role__is_active=True)


def _teams() -> Any:
    return apps.get_model("accounts", "Team").objects.filter(
        tenant_id=str(current_tenant_id()), is_active=True
    )


def _of_teams(teams: set[uuid.UUID]) -> set[uuid.UUID]:
    rows = apps.get_model("accounts", "TeamMember").objects.filter(team__in=_teams().filter(pk__in=teams))
    return set(rows.values_list("user_id", flat=True)[:MOST])
