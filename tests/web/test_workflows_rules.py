"""Business rules: when they fire, why they did not, that they come to an end, and dry runs."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.api_cases import ResourceCases
from tests.web.kit_workflows import ACTOR, done, start, thing, things, workflow
from web.shared.core import entities, events
from web.shared.core import services as base
from web.shared.core.viewer import everything
from web.shared.records.models import DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.reference_data import services as reference
from web.tenant.reference_data.models import CaseCategory
from web.tenant.workflows import actions, outbox, rules, services
from web.tenant.workflows.models import ActionRun, BusinessRule, RuleRun, WorkflowInstance

__all__ = ["done", "things"]
pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("things", "done")]
BASE = "/api/v1/workflows/rules"
NOTE = {"action": "test.note", "with": {"text": "seen"}}
ACTIVE = {"==": [{"var": "thing.active"}, True]}


@pytest.fixture(autouse=True)
def _told_as_things(monkeypatch: pytest.MonkeyPatch) -> None:
    """The things of these tests are told by a name of their own: "thing.created" and so on."""
    monkeypatch.setattr(events, "catalogue", dict(events.catalogue))
    monkeypatch.setattr(CaseCategory, "event_name", "thing")
    events.declare_resource("thing", "Thing", is_active=bool)


def rule(**values: Any) -> BusinessRule:
    parts = {
        "name": "A rule",
        "entity_type": "thing",
        "triggers": ["thing.updated"],
        "conditions": ACTIVE,
        "actions": [NOTE],
        **values,
    }
    return services.rule_create(actor=ACTOR, viewer=everything(), values=parts)


def touch(row: CaseCategory, **values: Any) -> None:
    values = values or {"sort_order": CaseCategory.objects.get(pk=row.pk).sort_order + 1}
    reference.reference_update(row, actor=ACTOR, values=values)


def feed(kinds: tuple[str, ...] = ("thing.created", "thing.updated"), **cut: Any) -> None:
    """Hand the rules every event so far, as `drain` does outside a test's transaction."""
    rules.consume(list(DomainEvent.objects.filter(type__in=kinds).order_by("sequence")))


def outcomes(row: BusinessRule | None = None) -> list[str]:
    found = RuleRun.objects.all() if row is None else RuleRun.objects.filter(rule=row)
    return list(found.order_by("at", "pk").values_list("outcome", flat=True))


class TestRules(ResourceCases):
    url = f"{BASE}/"
    created = {
        "name": "Notice",
        "entity_type": "thing",
        "triggers": ["thing.updated"],
        "conditions": ACTIVE,
        "actions": [NOTE],
    }
    updated = {"name": "Notice it", "priority": 5}
    refused = {"name": "", "triggers": {}}
    may_edit, may_view, may_not = "admin", "supervisor", "agent"
    sorts = ("priority", "-name")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"entity_type": "nothing"}, "/entity_type"),
        ({"triggers": []}, "/triggers"),
        ({"triggers": ["thing.updated", "no.such"]}, "/triggers/1"),
        ({"triggers": [1]}, "/triggers/0"),
        ({"conditions": {"regex": [1, 2]}}, "/conditions"),
        ({"conditions": {"==": [{"var": "other.x"}, 1]}}, "/conditions/==/0/var"),
        ({"actions": [{"action": "no.such"}]}, "/actions/0/action"),
        ({"actions": [{"action": "test.note", "with": {"colour": 1}}]}, "/actions/0/with"),
        ({"actions": [NOTE, "x"]}, "/actions/1"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_by_pointer(tenant, make_user, api, change, pointer):
    answer = api(make_user("admin")).post(f"{BASE}/", {**TestRules.created, **change})
    assert answer.status_code == 422, answer.content
    assert pointer in [one["pointer"] for one in answer.json()["errors"]]
    assert not BusinessRule.objects.exists()


def test_a_rule_fires_when_its_conditions_hold_and_says_why_not_otherwise(tenant, done):
    notice, off = rule(), rule(is_active=False)
    on = thing(description="a secret")
    touch(on)
    touch(on, is_active=False)
    feed()
    # Judged by the entity as it is now: switched off.
    assert outcomes() == ["not_met", "not_met"] and not ActionRun.objects.exists()
    run = RuleRun.objects.all()[0]
    assert run.explanation["args"][0] == {"op": "var", "name": "thing.active", "value": False}
    touch(on, is_active=True)
    feed()
    assert outcomes(notice) == ["not_met", "not_met", "fired"] and outcomes(off) == []
    assert outbox.run_due() == 1 and done[0].entity_id == on.pk
    assert done[0].actor.process == "rules"
    feed()
    assert outbox.run_due() == 0 and len(outcomes()) == 3
    assert "secret" not in str(list(RuleRun.objects.values("explanation")))


def test_the_log_holds_no_text_that_a_rule_compared(tenant):
    rule(conditions={"==": [{"var": "thing.notes"}, "a secret"]})
    touch(thing(description="a secret"))
    feed()
    assert outcomes() == ["fired"] and "secret" not in str(list(RuleRun.objects.values("explanation")))


def test_rules_run_by_priority_and_see_the_event(tenant, done):
    rule(priority=20, actions=[{**NOTE, "with": {"text": "second"}}])
    rule(priority=10, actions=[{**NOTE, "with": {"text": "first"}}])
    rule(conditions={"contains": [{"var": "event.fields"}, "name"]}, actions=[NOTE])
    rule(conditions={"==": [{"var": "event.data.is_active"}, True]}, priority=30, actions=[])
    touch(thing())
    feed()
    assert sorted(outcomes()) == ["fired", "fired", "fired", "not_met"]
    outbox.run_due()
    assert [one.parameters["text"] for one in done] == ["first", "second"]


def test_an_event_about_something_else_reaches_the_entity_that_it_names(tenant):
    notice = rule(triggers=["workflow.transitioned"])
    instance = start(workflow())
    feed(("workflow.transitioned",))
    assert outcomes(notice) == ["fired"]
    assert RuleRun.objects.get().entity_id == instance.entity_id


def test_an_entity_that_is_gone_is_said_to_be(tenant):
    rule(triggers=["thing.deleted"])
    on = thing()
    base.soft_delete(on, actor=ACTOR)
    feed(("thing.deleted",))
    assert outcomes() == ["gone"]


def test_one_rule_that_fails_holds_up_no_other(tenant, monkeypatch):
    touch(thing())
    broken, fine = rule(priority=1), rule(priority=2)
    found = entities.get("thing")
    calls: list[int] = []

    def facts(row: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return {"active": True}

    parts = (found.name, found.model, found.code, found.visible, facts, found.contact)
    monkeypatch.setitem(entities._entities, "thing", entities.Entity(*parts))
    feed()
    assert outcomes(broken) == ["failed"] and outcomes(fine) == ["fired"]
    assert RuleRun.objects.get(rule=broken).explanation == {"error": "ZeroDivisionError"}


def test_a_rule_that_feeds_itself_is_cut(tenant, monkeypatch):
    def again(call: actions.ActionCall) -> None:
        touch(CaseCategory.objects.get(pk=call.entity_id))

    monkeypatch.setitem(actions._actions, "test.note", actions.Action("test.note", "", {}, again))
    rule()
    touch(thing())
    for _ in range(20):
        feed()
        outbox.run_due()
    assert outcomes() == ["fired"] * (outbox.MAX_DEPTH + 1) + ["cut_depth"]
    assert RuleRun.objects.get(outcome="cut_depth").explanation == {"depth": 6, "limit": 5}
    depths = DomainEvent.objects.filter(type="thing.updated").order_by("sequence")
    assert list(depths.values_list("depth", flat=True)) == list(range(outbox.MAX_DEPTH + 2))


def test_a_rule_fires_so_often_a_minute_for_one_entity_and_no_more(tenant):
    rule()
    on, other = thing(), thing()
    for _ in range(rules.RATE + 2):
        touch(on)
    touch(other)
    feed()
    assert outcomes().count("fired") == rules.RATE + 1 and outcomes().count("cut_rate") == 2
    RuleRun.objects.update(at=timezone.now() - timedelta(minutes=2))
    touch(on)
    feed()
    assert RuleRun.objects.latest("at").outcome == "fired"


def test_the_version_counts_changes_of_what_a_rule_does(tenant):
    row = rule()
    services.rule_update(actor=ACTOR, viewer=everything(), rule=row, values={"name": "Other", "priority": 1})
    row.refresh_from_db()
    assert row.version == 1
    services.rule_update(actor=ACTOR, viewer=everything(), rule=row, values={"conditions": {}})
    touch(thing())
    feed()
    assert RuleRun.objects.get().rule_version == 2


def test_a_dry_run_lists_what_would_have_fired_and_does_nothing(tenant, make_user, api, monkeypatch):
    # In a test everything lies in one transaction that still runs; outside, `settled` waits for it.
    monkeypatch.setattr(events, "settled", DomainEvent.objects.all)
    on, off, gone = thing(), thing(is_active=False), thing()
    for one in (on, off, gone, on):
        touch(one)
    base.soft_delete(gone, actor=ACTOR)
    row = rule(is_active=False)
    boss, where = api(make_user("supervisor")), f"{BASE}/{row.pk}/dry-run/"
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    answer = boss.post(where, {"since": since})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["checked"], told["not_met"], told["gone"], told["truncated"]) == (4, 1, 1, False)
    assert [one["entity_id"] for one in told["would_fire"]] == [str(on.pk)] * 2
    assert not RuleRun.objects.exists() and not ActionRun.objects.exists()
    tried = boss.post(where, {"since": since, "conditions": {"not": ACTIVE}}).json()
    assert [one["entity_id"] for one in tried["would_fire"]] == [str(off.pk)]
    later = {"since": (timezone.now() + timedelta(hours=1)).isoformat()}
    assert boss.post(where, later).json()["checked"] == 0
    for body, pointer in (
        ({}, "/since"),
        ({"since": "soon"}, "/since"),
        ({"since": since, "conditions": {"x": 1}}, "/conditions"),
    ):
        refused = boss.post(where, body)
        assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == pointer
    monkeypatch.setattr(rules, "DRY_RUN_EVENTS", 2)
    assert boss.post(where, {"since": since}).json()["truncated"] is True


def test_the_log_of_a_rule_is_read_newest_first(tenant, make_user, api):
    row = rule()
    on = thing()
    touch(on)
    touch(on)
    feed()
    boss = api(make_user("supervisor"))
    page = boss.get(f"{BASE}/{row.pk}/runs/?limit=1").json()
    assert page["has_more"] and page["data"][0]["outcome"] == "fired"
    rest = boss.get(f"{BASE}/{row.pk}/runs/?limit=1&cursor={page['next_cursor']}").json()
    assert rest["data"][0]["id"] != page["data"][0]["id"] and not rest["has_more"]
    assert api(make_user("agent")).get(f"{BASE}/{row.pk}/runs/").status_code == 403


def test_an_event_that_triggers_nothing_costs_one_query(tenant):
    rule(triggers=["thing.deleted"])
    touch(thing())
    batch = list(DomainEvent.objects.filter(type="thing.updated"))
    with CaptureQueriesContext(connection) as said:
        rules.consume(batch)
    assert len([one for one in said if not one["sql"].startswith("SET")]) == 1


def test_what_a_rule_says_of_another_tenant_is_404(tenant, other_tenant, make_user, api):
    with tenant_context(other_tenant.pk):
        theirs = rule()
    boss = api(make_user("admin"))
    assert boss.post(f"{BASE}/{theirs.pk}/dry-run/", {"since": "2026-01-01T00:00:00Z"}).status_code == 404
    assert boss.get(f"{BASE}/{theirs.pk}/runs/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_through_the_outbox_of_events_a_rule_starts_a_workflow_once(tenants, things, done):
    pk = tenants[0].pk
    with tenant_context(pk):
        flow = workflow("Intake")
        rule(
            triggers=["thing.created"], actions=[{"action": "workflow.start", "with": {"workflow": "Intake"}}]
        )
        on = thing()
    events.drain(pk)
    events.drain(pk)
    with tenant_context(pk):
        assert outbox.run_due() == 1
        instance = WorkflowInstance.objects.get(workflow=flow)
        assert instance.entity_id == on.pk
        told = DomainEvent.objects.get(type="workflow.transitioned")
        cause = DomainEvent.objects.get(type="thing.created")
        assert (told.cause, told.depth) == (cause.id, 1)
        assert uuid.UUID(str(told.data["entity_id"])) == on.pk
        found = events.settled().filter(type="thing.created")
        assert rules.dry_run(BusinessRule.objects.get(), since=found[0].at)["checked"] == 1
