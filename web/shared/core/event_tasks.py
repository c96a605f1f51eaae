"""When domain events are handed on: right after a commit, and every few seconds for whatever was missed.

Beat's `events.sweep` finds every tenant whose consumers lag.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task
from django.apps import apps
from django.utils import timezone

from web.shared.core import events
from web.shared.core.tasks import tenant_task, wake
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.queries import tenant_ids

AGAIN = 4
"""How often a drain is repeated, after 1, 2, 3 and 4 seconds, before it is left to the sweep."""

logger = structlog.get_logger(__name__)


def wake_worker(tenant_id: str) -> None:
    """Ask a worker to drain this tenant now."""
    wake(drain_tenant, tenant_id)


@tenant_task(name="events.drain")
def drain_tenant(tenant_id: str, again: int = 0) -> int:
    """Hand on what is new. Events that wait for a slow transaction elsewhere are looked for soon again."""
    handled = events.drain(tenant_id)
    if again < AGAIN and events.unsettled():
        _send(tenant_id, again + 1)
    return handled


def _send(tenant_id: str, again: int = 0) -> None:
    drain_tenant.apply_async((tenant_id, again), countdown=again or None, retry=False, expires=60)


@shared_task(name="events.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Drain every tenant that has unread events; returns how many had."""
    lagging = tenants_where(tenant_ids(active_only=False), _lagging())
    for tenant_id in lagging:
        _send(tenant_id)
    return len(lagging)


def lags(tenant_id: str) -> bool:
    """Whether some consumer of this tenant has not had the newest event."""
    return bool(tenants_where([tenant_id], _lagging()))


def _lagging() -> tuple[str, list[Any]]:
    return (
        "EXISTS (SELECT FROM (SELECT transaction_id, sequence FROM records_domainevent"
        " ORDER BY transaction_id DESC, sequence DESC LIMIT 1) AS newest"
        " WHERE (SELECT count(*) FROM records_eventposition AS p WHERE p.consumer = ANY(%s)"
        " AND (p.transaction_id, p.sequence) >= (newest.transaction_id, newest.sequence)) < %s)",
        [list(events.consumers), len(events.consumers)],
    )


def forget_old() -> int:
    """Remove events older than their 30 days that every consumer has had, in the tenant chosen now."""
    old = apps.get_model("records", "DomainEvent").objects.filter(at__lt=timezone.now() - events.KEPT)
    names = list(events.consumers)
    positions = apps.get_model("records", "EventPosition").objects.filter(consumer__in=names)
    if positions.count() < len(names):
        return 0
    last = positions.order_by("transaction_id", "sequence").first()
    if last is not None:
        old = old.extra(
            where=["(transaction_id, sequence) <= (%s::text::xid8, %s)"],
            params=[str(last.transaction_id), last.sequence],
        )
    return int(old.delete()[0])
