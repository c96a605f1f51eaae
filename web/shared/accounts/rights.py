"""Who may give whom which rights.

Nobody gives, or changes the holder of, a right that they do not hold themselves with at least that scope; and
an organisation always keeps one active member who may manage all people. The second rule is checked after the
change, under a lock on the tenant's row, so that two administrators cannot demote each other at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from django.db import transaction

from web.shared.accounts import registry
from web.shared.accounts.models import TenantMembership
from web.shared.accounts.problems import BeyondYourRights, LastAdministrator
from web.shared.accounts.registry import Scope
from web.shared.tenants.models import Tenant

MANAGE = "users.manage"
_RANK = {Scope.OWN: 1, Scope.TEAM: 2, Scope.ALL: 3}

Rights = Mapping[str, Scope]


def require_within(rights: Rights | None, wanted: Mapping[str, str]) -> None:
    """BeyondYourRights unless `rights` (None: the system's, everything) cover `wanted`."""
    if rights is None:
        return
    for code, scope in sorted(wanted.items()):
        if code in registry.permissions and _rank(rights.get(code)) < _rank(Scope(scope)):
            raise BeyondYourRights(permission=code)


@contextlib.contextmanager
def keeping_an_administrator(tenant_id: str) -> Iterator[None]:
    """A transaction around a change of people or roles; LastAdministrator undoes it."""
    with transaction.atomic():
        Tenant.objects.select_for_update(of=("self",), no_key=True).get(pk=tenant_id)
        before = _administrators(tenant_id)
        yield
        if before and not _administrators(tenant_id):
            raise LastAdministrator()


def _administrators(tenant_id: str) -> int:
    return TenantMembership.objects.filter(
        tenant_id=tenant_id,
        is_active=True,
        user__is_active=True,
        role__is_active=True,
        **{f"role__permissions__{MANAGE}": Scope.ALL.value},
    ).count()


def _rank(scope: Scope | None) -> int:
    return 0 if scope is None else _RANK[scope]
