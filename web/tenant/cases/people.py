"""Members of the organisation, as cases refer to them."""

from __future__ import annotations

import uuid
from typing import Any

from web.shared.accounts.queries import people_of
from web.shared.tenants.context import current_tenant_id
from web.tenant.cases import permissions
from web.tenant.cases.problems import refused, unknown


def member(user_id: uuid.UUID, pointer: str) -> Any:
    """The User with this id, an active member here. Raises Invalid at `pointer`."""
    return _membership(user_id, pointer).user


def worker(user_id: uuid.UUID, pointer: str) -> Any:
    """A member who may see cases, and so may be given one. Raises Invalid at `pointer`."""
    membership = _membership(user_id, pointer)
    if permissions.VIEW not in membership.permissions:
        raise refused(pointer, "may_not_see_cases", "This person may not see cases.")
    return membership.user


def is_member(user_id: uuid.UUID | None) -> bool:
    return user_id is not None and _found(user_id).exists()


def check_members(user_ids: list[uuid.UUID], pointer: str) -> None:
    """Raise Invalid at the place of the first who is no active member. One query."""
    present = set(
        people_of(str(current_tenant_id()))
        .filter(user_id__in=user_ids, user__is_active=True)
        .values_list("user_id", flat=True)
    )
    for place, user_id in enumerate(user_ids):
        if user_id not in present:
            raise unknown(f"{pointer}/{place}")


def _found(user_id: uuid.UUID) -> Any:
    return people_of(str(current_tenant_id())).filter(
        user_id=user_id, user__is_active=True, role__is_active=True
    )


def _membership(user_id: uuid.UUID, pointer: str) -> Any:
    found = _found(user_id).first()
    if found is None:
        raise unknown(pointer)
    return found
