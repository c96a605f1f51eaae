"""What cases do by themselves and follow of others: the sweep, workflows' stages, two writers at once."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from tests.web import kit_cases as kit
from tests.web.kit_events import at_once
from web.shared.core.ids import uuid7
from web.shared.records.models import DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.cases import stages, tasks
from web.tenant.cases.models import Case, CaseHistory, CaseLink, CaseSla
from web.tenant.cases.services import assigning, linking, merging, sla
from web.tenant.cases.services import settings as configuring

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_the_sweep_does_everything_that_is_due(tenant, make_user):
    configuring.policy_create(
        actor=kit.ACTOR, values={"name": "P", "business_time": False, "resolution_minutes": 60}
    )
    case = kit.case(assigned_to=make_user("case_worker").pk)
    sla.consume(list(DomainEvent.objects.order_by("sequence")))
    past = timezone.now() - timedelta(minutes=1)
    Case.objects.update(lease_expires_at=past)
    CaseSla.objects.update(warn_at=past, due_at=past)
    assert tasks.due([tenant.pk])
    done = tasks.sweep_tenant(tenant.pk)
    assert done == {"leases": 1, "told": 2, "refolded": 1, "indexed": 0}
    assert tasks.sweep_tenant(tenant.pk) == {"leases": 0, "told": 0, "refolded": 0, "indexed": 0}
    assert not tasks.due([tenant.pk])
    case.refresh_from_db()
    assert case.assigned_to is None


def test_the_sweep_goes_where_something_is_due(tenants, monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(tasks.sweep_tenant, "delay", sent.append)
    assert tasks.sweep() == 0
    with tenant_context(tenants[1].pk):
        kit.case()
        Case.objects.update(lease_expires_at=timezone.now())
    assert tasks.sweep() == 1 and sent == [tenants[1].pk]


def test_beat_knows_the_sweep():
    assert settings.CELERY_BEAT_SCHEDULE["cases.sweep"]["task"] == tasks.sweep.name


def test_a_case_shows_the_stage_of_its_workflow(tenant):
    case, other = kit.case(), kit.case()

    def event(kind: str, **data: Any) -> Any:
        given = {"entity_type": "case", "entity_id": str(case.pk), **data}
        return SimpleNamespace(id=uuid7(), type=kind, data=given, depth=0)

    stages.follow(
        [
            event("workflow_instance.created", stage="intake"),
            event("workflow.transitioned", stage="assessment"),
            event("workflow.transitioned", stage="elsewhere", entity_type="task"),
            event("workflow.transitioned", stage="nowhere", entity_id=str(uuid7())),
            event("workflow.overdue", stage="late"),
        ]
    )
    case.refresh_from_db()
    other.refresh_from_db()
    assert (case.current_stage, other.current_stage) == ("assessment", "")
    row = CaseHistory.objects.get(case=case, field_name="current_stage")
    assert (row.new_value, row.change_reason) == ("assessment", "workflow")
    told = DomainEvent.objects.filter(type="case.updated", object_id=case.pk).get()
    assert told.depth == 1 and told.cause is not None


@pytest.mark.django_db(transaction=True)
def test_two_parents_at_once_make_no_circle(tenants):
    with tenant_context(tenants[0].pk):
        a, b = kit.case(), kit.case()

    def add(one: Case, other: Case) -> Any:
        return lambda: linking.link_add(actor=kit.ACTOR, case=one, other=other, link_type="parent")

    found = at_once(add(a, b), add(b, a), tenant_id=tenants[0].pk)
    assert sorted(type(one).__name__ for one in found) == ["CaseLink", "Invalid"]
    with tenant_context(tenants[0].pk):
        assert CaseLink.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_merges_crossing_each_other_leave_one_case(tenants):
    with tenant_context(tenants[0].pk):
        a, b = kit.case(), kit.case()

    def merge(loser: Case, winner: Case) -> Any:
        return lambda: merging.case_merge(actor=kit.ACTOR, loser=loser, winner=winner)

    found = at_once(merge(a, b), merge(b, a), tenant_id=tenants[0].pk)
    assert sorted(type(one).__name__ for one in found) == ["CaseMerge", "MergedAway"]
    with tenant_context(tenants[0].pk):
        assert Case.objects.filter(merged_into__isnull=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_ends_while_it_is_taken_up_ends_once(tenants, make_user):
    user = make_user("case_worker")
    with tenant_context(tenants[0].pk):
        case = kit.case()
        assigning.case_assign(actor=kit.ACTOR, case=case, user_id=user.pk)
    later = timezone.now() + timedelta(days=1)
    found = at_once(
        lambda: assigning.case_acknowledge(actor=kit.acting(user), case=case),
        lambda: assigning.leases_expire(later),
        lambda: assigning.leases_expire(later),
        tenant_id=tenants[0].pk,
    )
    with tenant_context(tenants[0].pk):
        case = Case.objects.get()
        expired = DomainEvent.objects.filter(type="case.lease_expired").count()
    assert case.lease_expires_at is None and expired <= 1
    assert (case.assigned_to_id == user.pk) is (expired == 0)
    assert not isinstance(found[1], Exception) and not isinstance(found[2], Exception)
