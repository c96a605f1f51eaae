"""Notifications when several workers meet: through the real drain, in threads, each in its transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.web.kit_events import at_once, raised
from web.shared.core import events, push
from web.shared.core.actor import system
from web.shared.tenants.context import tenant_context
from web.tenant.notifications import delivery, services
from web.tenant.notifications import tasks as celery_tasks
from web.tenant.notifications.models import (
    Escalation,
    Notification,
    NotificationDelivery,
)
from web.tenant.tasks import services as tasks
from web.tenant.tasks import tasks as task_sweeps

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]
ACTOR = system("tests")


def three_times(work: Callable[[], Any]) -> None:
    """`work` in three threads at once; an error of one of them is raised."""
    for error in filter(None, raised(at_once(work, work, work))):
        raise error


def watched(monkeypatch: Any) -> list[push.Message]:
    sent: list[push.Message] = []
    monkeypatch.setattr(push, "_senders", [sent.extend])
    return sent


def chain(tenant: Any) -> None:
    with tenant_context(tenant.pk):
        services.rule_create(
            actor=ACTOR,
            values={
                "name": "New tasks",
                "trigger_event": "task.created",
                "recipients": ["supervisor"],
                "template": "{{ task.title }}",
                "channels": ["in_app", "email"],
            },
            steps=[{"after_minutes": 5, "recipients": ["admin"], "channels": ["in_app"]}],
        )
        tasks.task_create(actor=ACTOR, values={"title": "Visit"})


def test_several_drains_sweeps_and_deliveries_make_one_of_each(tenants, make_user, monkeypatch):
    tenant = tenants[0]
    make_user("supervisor"), make_user("admin"), make_user("supervisor", tenant=tenants[1])
    pushed = watched(monkeypatch)
    mailed: list[Any] = []
    monkeypatch.setitem(delivery.senders, "email", mailed.append)
    chain(tenant)
    three_times(lambda: events.drain(tenant.pk))
    # What was not settled yet while the others still ran is for whoever comes next.
    events.drain(tenant.pk)
    with tenant_context(tenant.pk):
        assert Notification.objects.count() == 1 == Escalation.objects.count() == len(pushed)
    three_times(lambda: celery_tasks.deliver(tenant.pk))
    assert len(mailed) == 1
    with tenant_context(tenant.pk):
        Escalation.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    three_times(lambda: celery_tasks.of_tenant(tenant.pk))
    with tenant_context(tenant.pk):
        assert Notification.objects.count() == 2 == len(pushed)
        assert set(NotificationDelivery.objects.values_list("state", flat=True)) == {"sent"}
        assert Escalation.objects.get().due_at is None
    with tenant_context(tenants[1].pk):
        assert not Notification.objects.exists()


def test_a_consumer_that_failed_tells_everybody_once_when_it_is_tried_again(tenants, make_user, monkeypatch):
    from web.tenant.notifications import consume

    tenant = tenants[0]
    make_user("supervisor"), make_user("supervisor")
    pushed = watched(monkeypatch)
    chain(tenant)
    real, calls = consume._write, []

    def dying(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise ConnectionError
        return real(*args)

    monkeypatch.setattr(consume, "_write", dying)
    events.drain(tenant.pk)
    with tenant_context(tenant.pk):
        assert not Notification.objects.exists() and pushed == []
    events.drain(tenant.pk, patient=False)
    with tenant_context(tenant.pk):
        assert Notification.objects.count() == 2 == len(pushed)


def test_sweeps_send_the_tasks_of_tenants_in_which_something_is_due(tenants, make_user, monkeypatch):
    sent: list[Any] = []
    for task in (celery_tasks.of_tenant, task_sweeps.of_tenant):
        monkeypatch.setattr(task, "apply_async", lambda args, **options: sent.append((args, options)))
    assert celery_tasks.sweep() == task_sweeps.sweep() == 0
    make_user("supervisor")
    chain(tenants[0])
    with tenant_context(tenants[0].pk):
        tasks.task_create(actor=ACTOR, values={"title": "x", "due_date": timezone.now() - timedelta(hours=1)})
    assert task_sweeps.sweep() == 1
    assert task_sweeps.of_tenant(tenants[0].pk) == 1 and task_sweeps.of_tenant(tenants[1].pk) == 0
    assert task_sweeps.sweep() == 0
    events.drain(tenants[0].pk)
    assert celery_tasks.sweep() == 1
    assert [args for args, _ in sent] == [(tenants[0].pk,)] * 2
    assert all(options["expires"] for _, options in sent)


def test_what_is_a_year_old_is_forgotten(tenants, make_user):
    make_user("supervisor")
    chain(tenants[0])
    events.drain(tenants[0].pk)
    assert celery_tasks.forget_in_tenant(tenants[0].pk) == 0
    with tenant_context(tenants[0].pk):
        Notification.objects.update(created_at=timezone.now() - services.KEPT)
    assert celery_tasks.forget_in_tenant(tenants[0].pk) > 0
    with tenant_context(tenants[0].pk):
        assert not Notification.all_objects.exists() and not NotificationDelivery.objects.exists()
