"""What workflows do by themselves: stages whose time is over, and actions after a step, once and in order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.web.kit_workflows import STAGES, TRANSITIONS, acting, done, move, start, thing, things, workflow
from web.shared.records.models import DomainEvent
from web.shared.tenants.everywhere import tenants_where
from web.tenant.reference_data.queries import by_code
from web.tenant.workflows import outbox, queries, running, tasks
from web.tenant.workflows.models import ActionRun, WorkflowInstance

__all__ = ["done", "things"]
pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("things")]
BASE = "/api/v1/workflows"


def late(instance: WorkflowInstance) -> None:
    past = timezone.now() - timedelta(minutes=1)
    WorkflowInstance.objects.filter(pk=instance.pk).update(stage_deadline=past)


def test_an_overdue_stage_is_told_once(tenant, monkeypatch):
    instance, other = start(workflow()), start(workflow())
    sent: list[Any] = []
    monkeypatch.setattr(tasks.of_tenant, "apply_async", lambda args, **options: sent.append(args))
    assert tasks.sweep() == 0
    late(instance)
    assert tasks.sweep() == 1 and sent == [(tenant.pk,)]
    assert running.report_overdue() == 1 and running.report_overdue() == 0 == tasks.sweep()
    told = DomainEvent.objects.get(type="workflow.overdue")
    assert told.object_id == instance.pk and told.data["stage"] == "new"
    other.refresh_from_db()
    assert other.overdue_at is None
    assert move(instance, "accept").overdue_at is None


def test_a_stage_whose_time_is_over_takes_its_way_out_if_the_guard_lets_it(tenant):
    stages = [{**STAGES[0], "on_timeout": "accept"}, *STAGES[1:]]
    ways = [{**TRANSITIONS[0], "guard": {"and": [{"var": "thing.active"}, {"var": "workflow.overdue"}]}},
            *TRANSITIONS[1:]]  # fmt: skip
    row = workflow(stages=stages, transitions=ways)
    free, held = start(row), start(row, thing(is_active=False))
    late(free)
    late(held)
    assert running.report_overdue() == 2
    free.refresh_from_db()
    held.refresh_from_db()
    assert (free.current_stage, held.current_stage) == ("open", "new")
    assert free.history.get(number=2).kind == "timeout" and held.overdue_at is not None


def test_actions_run_after_the_commit_in_order_and_once(tenant, done):
    row = workflow(
        actions=[
            {"when": "enter", "name": "open", "action": "test.note", "with": {"text": "enter"}},
            {"when": "leave", "name": "new", "action": "test.note", "with": {"text": "leave"}},
            {"when": "transition", "name": "accept", "action": "test.note", "with": {"text": "during"}},
        ]
    )
    instance = start(row)
    move(instance, "accept")
    assert done == [] and ActionRun.objects.filter(status="pending").count() == 3
    assert outbox.run_due() == 3 and outbox.run_due() == 0
    assert [one.parameters["text"] for one in done] == ["leave", "during", "enter"]
    assert {one.entity_id for one in done} == {instance.entity_id}
    run = ActionRun.objects.all()[0]
    assert run.result == {"id": str(instance.entity_id), "count": 1, "said": {"text": True}}


def test_what_fails_is_tried_again_a_few_times_and_then_given_up(tenant, done, make_user, api):
    instance = start(acting(("transition", "accept", "test.fail"), ("transition", "accept", "test.note")))
    move(instance, "accept")
    assert outbox.run_due() == 2 and len(done) == 2
    row = ActionRun.objects.get(action="test.fail")
    assert row.status == "pending" and row.not_before > timezone.now() and row.error == "OSError"
    for _ in range(outbox.ATTEMPTS - 1):
        ActionRun.objects.filter(pk=row.pk).update(not_before=timezone.now())
        assert outbox.run_due() == 1
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("failed", outbox.ATTEMPTS) and outbox.run_due() == 0
    boss = api(make_user("admin"))
    listed = boss.get(f"{BASE}/action-runs/?status=failed").json()["data"]
    assert [one["id"] for one in listed] == [str(row.pk)]
    assert boss.post(f"{BASE}/action-runs/{row.pk}/retry/").json()["status"] == "pending"
    assert boss.post(f"{BASE}/action-runs/{row.pk}/retry/").status_code == 409
    known = boss.get(f"{BASE}/actions/").json()["data"]
    assert {"workflow.start", "workflow.transition", "test.note"} <= {one["name"] for one in known}


def test_what_an_action_wrote_is_undone_when_it_fails(tenant, done, monkeypatch):
    from web.tenant.workflows import actions

    def half(call: actions.ActionCall) -> None:
        thing("half-done")
        raise OSError

    monkeypatch.setitem(actions._actions, "test.note", actions.Action("test.note", "", {}, half))
    move(start(acting(("enter", "open", "test.note"))), "accept")
    outbox.run_due()
    assert by_code("case_category", "half-done") is None


def test_workflows_that_call_each_other_come_to_an_end(tenant):
    step = {"action": "workflow.transition", "with": {"workflow": "ping", "transition": "go"}}
    stages = [{"name": "here", "initial": True}, {"name": "end", "final": True}]
    ways = [
        {"name": "go", "from": ["here"], "to": "here"},
        {"name": "finish", "from": ["here"], "to": "end"},
    ]
    row = workflow("ping", stages=stages, transitions=ways, actions=[
        {"when": "transition", "name": "go", **step}])  # fmt: skip
    instance = start(row)
    move(instance, "go")
    assert outbox.run_due() == outbox.MAX_DEPTH + 1
    assert ActionRun.objects.get(status="cut").depth == outbox.MAX_DEPTH + 1
    assert DomainEvent.objects.order_by("-depth")[0].depth == outbox.MAX_DEPTH + 1
    instance.refresh_from_db()
    assert queries.folded_stage(instance.history.all()) == "here"


def test_starting_by_an_action_is_the_same_done_twice(tenant):
    followed = workflow("followed")
    wanted = {"action": "workflow.start", "with": {"workflow": "followed"}}
    row = workflow(actions=[{"when": "enter", "name": "open", **wanted}])
    instance = move(start(row), "accept")
    assert outbox.run_due() == 1
    run = ActionRun.objects.get()
    made_one = WorkflowInstance.objects.get(workflow=followed)
    assert run.result == {"instance": str(made_one.pk)} and made_one.entity_id == instance.entity_id
    outbox.again(run)
    assert outbox.run_due() == 1 and WorkflowInstance.objects.filter(workflow=followed).count() == 1


def test_the_tenants_task_does_what_is_due_and_old_logs_go(tenant, done):
    instance = start(acting(("enter", "open", "test.note")))
    move(instance, "accept")
    late(start(workflow()))
    assert tenants_where([tenant.pk], *tasks._due_rows()) == [tenant.pk]
    assert tasks.of_tenant(str(tenant.pk)) == 2
    assert tenants_where([tenant.pk], *tasks._due_rows()) == []
    ActionRun.objects.update(created_at=timezone.now() - timedelta(days=31))
    assert tasks.forget_old(str(tenant.pk)) == 1
