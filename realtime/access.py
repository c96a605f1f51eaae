"""From Django's writes about people to their open sockets: look at your rights again, now.

Signals of the accounts' rows (named by label; no row is read here) become a message to the
sockets concerned, after the commit. It is best effort: sockets look again every minute by themselves.
"""

from __future__ import annotations

from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from realtime import groups
from web.shared.accounts.signals import tokens_revoked
from web.shared.tenants.ids import is_tenant_id

log = structlog.get_logger(__name__)
_RIGHTS = {"is_active", "password", "credentials_changed_at"}


def connect() -> None:
    """Called once, when all apps are ready."""
    post_delete.connect(_session_gone, sender="accounts.Session", weak=False)
    for each in (post_save, post_delete):
        each.connect(_membership, sender="accounts.TenantMembership", weak=False)
        each.connect(_role, sender="accounts.TenantRole", weak=False)
    post_save.connect(_user, sender="accounts.User", weak=False)
    post_save.connect(_tenant, sender="tenants.Tenant", weak=False)
    tokens_revoked.connect(_tokens_gone, weak=False)


def _session_gone(instance: Any, **_: Any) -> None:
    # A session of the platform's own host opens no socket.
    if instance.user_id is not None and is_tenant_id(instance.tenant_id):
        _announce(groups.member(instance.tenant_id, instance.user_id))


def _tokens_gone(tenant_id: str, user_id: Any, **_: Any) -> None:
    _announce(groups.member(tenant_id, user_id))


def _membership(instance: Any, **_: Any) -> None:
    _announce(groups.member(instance.tenant_id, instance.user_id))


def _role(instance: Any, **_: Any) -> None:
    _announce(groups.everybody(instance.tenant_id))


def _user(instance: Any, created: bool, update_fields: Any = None, **_: Any) -> None:
    if not created and (update_fields is None or _RIGHTS & set(update_fields)):
        _announce(groups.person(instance.pk))


def _tenant(instance: Any, created: bool, **_: Any) -> None:
    if not created:
        _announce(groups.everybody(instance.pk))


def _announce(group: str) -> None:
    transaction.on_commit(lambda: _send(group), robust=True)


def _send(group: str) -> None:
    try:
        async_to_sync(get_channel_layer().group_send)(group, groups.access_changed())
    except Exception as error:
        log.warning("access_change_not_told", error=type(error).__name__)
