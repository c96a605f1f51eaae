"""Who looks, and how far their permissions reach.

A Viewer is made once per request or socket from the membership, and handed to queries: services take an
Actor (who does it), queries take a Viewer (who may see it). `narrow` is the one place where a scope becomes a
filter: ALL sees every row, TEAM those that belong to a member of one of the viewer's teams, OWN the viewer's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from web.shared.accounts.registry import Scope, permissions

M = TypeVar("M", bound=Model)


def _nobody() -> frozenset[uuid.UUID]:
    return frozenset()


@dataclass(frozen=True)
class Viewer:
    """`scopes`: permission code → Scope. `team_of` is asked at most once, when a TEAM scope is met."""

    user_id: uuid.UUID | None
    scopes: Mapping[str, Scope]
    team_of: Callable[[], frozenset[uuid.UUID]] = field(default=_nobody, compare=False)

    @cached_property
    def team(self) -> frozenset[uuid.UUID]:
        """The users of the viewer's teams, the viewer among them."""
        return self.team_of() | ({self.user_id} if self.user_id is not None else frozenset())

    def may(self, code: str) -> bool:
        return code in self.scopes

    def scope(self, code: str) -> Scope | None:
        return self.scopes.get(code)

    def narrow(self, queryset: QuerySet[M], code: str, *owners: str) -> QuerySet[M]:
        """The rows of `queryset` that the scope of `code` lets this viewer see.

        `owners` are the fields that name a user to whom a row belongs. Without owners anything short of ALL
        sees nothing: a row that belongs to nobody is nobody's own.
        """
        condition = self.condition(code, *owners)
        if condition is None:
            return queryset.none()
        return queryset.filter(condition) if condition else queryset

    def condition(self, code: str, *owners: str) -> Q | None:
        """The same as a condition: empty for everything, None for nothing."""
        scope = self.scope(code)
        if scope is Scope.ALL:
            return Q()
        if scope is None or not owners:
            return None
        users = self.team if scope is Scope.TEAM else {self.user_id}
        found = Q()
        for owner in owners:
            found |= Q(**{f"{owner}__in": [user for user in users if user is not None]})
        return found


def everything() -> Viewer:
    """The viewer of tasks and rules: holds every code with ALL, and is nobody."""
    return Viewer(user_id=None, scopes=dict.fromkeys(permissions, Scope.ALL))


def viewer_of(membership: Any) -> Viewer:
    """The viewer of a member: `membership` is a TenantMembership."""
    from web.shared.accounts.queries import team_user_ids

    return Viewer(
        user_id=membership.user_id,
        scopes=membership.permissions,
        team_of=lambda: team_user_ids(membership.tenant_id, membership.user_id),
    )


def viewer_in(context: Mapping[str, Any]) -> Viewer:
    """Whom a serializer's context names; without one, somebody who may see nothing."""
    return context.get("viewer") or Viewer(None, {})
