"""Whom tasks can be given to."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth import get_user_model

from web.shared.accounts.queries import membership_of
from web.shared.tenants.context import current_tenant_id


def member(pk: uuid.UUID) -> Any:
    """The user, when they are an active member of the tenant chosen; None otherwise."""
    found = membership_of(get_user_model()(pk=pk), str(current_tenant_id()))
    return None if found is None else found.user
