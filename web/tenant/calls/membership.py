"""Who may no longer work here leaves the roster, whoever took the right away.

Accounts do not know calls. So calls listen: when a membership or a user is saved and the agent was published
before, the agent's row is published anew in the same transaction; for somebody deactivated it says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models.signals import post_save

from web.shared.accounts.models import TenantMembership, User
from web.shared.tenants.context import public_context, tenant_context
from web.tenant.calls.publishing import publish_roster


def connect() -> None:
    """Called once, when the application is ready."""
    post_save.connect(_membership_saved, sender=TenantMembership, dispatch_uid="calls.membership")
    post_save.connect(_user_saved, sender=User, dispatch_uid="calls.user")


def _membership_saved(instance: TenantMembership, **_: Any) -> None:
    _publish(instance.user_id, [instance.tenant_id])


def _user_saved(instance: User, created: bool, update_fields: Iterable[str] | None = None, **_: Any) -> None:
    if not created and (update_fields is None or "is_active" in update_fields):
        _publish(instance.pk, None)


def _publish(user_id: uuid.UUID, tenants: list[str] | None) -> None:
    """Publish the agent's row in these tenants (None: in all) in which there is one already."""
    with public_context(), connection.cursor() as cursor:
        cursor.execute("SELECT tenant FROM public.roster_entry WHERE agent = %s", [str(user_id)])
        published = [row[0] for row in cursor.fetchall()]
    for tenant in published:
        if tenants is None or tenant in tenants:
            with tenant_context(tenant):
                publish_roster(user_id)
