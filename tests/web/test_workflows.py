"""Workflows: drafts and versions, steps with their guards and approvals, who sees what, history."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.web.api_cases import ReadCases, ResourceCases
from tests.web.kit_events import at_once
from tests.web.kit_workflows import (
    ACTOR,
    STAGES,
    TRANSITIONS,
    acting,
    done,
    made,
    move,
    start,
    thing,
    things,
    workflow,
)
from web.shared.api.problems import Conflict, Invalid
from web.shared.core import erasure, events, timeline
from web.shared.core import services as base
from web.shared.core.viewer import everything
from web.shared.records.models import AuditEvent, DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.reference_data import services as reference
from web.tenant.reference_data.models import CaseCategory
from web.tenant.workflows import definition, following, outbox, queries, running, services
from web.tenant.workflows.models import ActionRun, Workflow, WorkflowInstance, WorkflowVersion

__all__ = ["done", "things"]
pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("things")]
BASE = "/api/v1/workflows"


def pointers(answer: Any) -> list[str]:
    return [one["pointer"] for one in answer.json()["errors"]]


@pytest.mark.usefixtures("things")
class TestWorkflows(ResourceCases):
    url = f"{BASE}/"
    created = {"name": "Referral", "entity_type": "thing", "stages": STAGES, "transitions": TRANSITIONS}
    updated = {"description": "How referrals go", "is_active": False}
    refused = {"name": "", "entity_type": "Not A Name"}
    sorts = ("name", "-updated_at")

    def make(self, tenant: Any, **values: Any) -> str:
        return super().make(tenant, name=uuid.uuid4().hex, **values)


@pytest.mark.usefixtures("things")
class TestInstances(ReadCases):
    url = f"{BASE}/instances/"
    sorts = ("started_at", "-stage_deadline")

    def make(self, tenant: Any, **values: Any) -> str:
        return str(start(workflow()).pk)


# --- drafts and versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"stages": []}, "/stages"),
        ({"stages": [{"name": "new"}, *STAGES[1:]]}, "/stages"),
        ({"stages": [*STAGES, {"name": "open"}]}, "/stages/3/name"),
        ({"stages": [*STAGES, {"name": "island"}]}, "/stages/3"),
        ({"stages": [*STAGES, {"name": "trap"}], "transitions": [
            *TRANSITIONS, {"name": "fall", "from": ["new"], "to": "trap"}]}, "/stages/3"),
        ({"transitions": [*TRANSITIONS, {"name": "x", "from": ["nowhere"], "to": "open"}]},
         "/transitions/3/from/0"),
        ({"transitions": [*TRANSITIONS, {"name": "x", "from": ["new"], "to": "nowhere"}]},
         "/transitions/3/to"),
        ({"transitions": [*TRANSITIONS, {"name": "x", "from": ["new"], "to": "open",
                                         "guard": {"==": [{"var": "other.x"}, 1]}}]},
         "/transitions/3/guard/==/0/var"),
        ({"transitions": [*TRANSITIONS, {"name": "x", "from": ["new"], "to": "open", "guard": {"no": 1}}]},
         "/transitions/3/guard"),
        ({"transitions": [*TRANSITIONS, {"name": "x", "from": ["new"], "to": "open",
                                         "permission": "no.such"}]}, "/transitions/3/permission"),
        ({"transitions": [*TRANSITIONS, {"name": "x", "from": ["new"], "to": "open",
                                         "required_fields": ["other.x"]}]},
         "/transitions/3/required_fields/0"),
        ({"stages": [{**STAGES[0], "on_timeout": "close"}, *STAGES[1:]]}, "/stages/0/on_timeout"),
        ({"actions": [{"when": "enter", "name": "nowhere", "action": "workflow.start",
                       "with": {"workflow": "x"}}]}, "/actions/0/name"),
        ({"actions": [{"when": "enter", "name": "open", "action": "no.such"}]}, "/actions/0/action"),
        ({"actions": [{"when": "enter", "name": "open", "action": "workflow.start"}]}, "/actions/0/with"),
        ({"entity_type": "nothing"}, "/entity_type"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_can_be_saved_but_not_published(tenant, make_user, api, change, pointer):
    boss = api(make_user("supervisor"))
    body = {**TestWorkflows.created, **change}
    draft = boss.post(f"{BASE}/", body)
    assert draft.status_code == 201, draft.content
    where = draft["Location"]
    checked = boss.post(f"{where}check/").json()["problems"]
    assert pointer in [one["pointer"] for one in checked], checked
    refused = boss.post(f"{where}publish/")
    assert refused.status_code == 422 and pointer in pointers(refused)
    assert not WorkflowVersion.objects.exists()


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"stages": [{"name": "Not A Name"}]}, "/stages/0/name"),
        ({"stages": [{}]}, "/stages/0"),
        ({"stages": [{"name": "a", "colour": "red"}]}, "/stages/0"),
        ({"stages": {}}, "/stages"),
        ({"transitions": [{"name": "a", "from": [], "to": "b"}]}, "/transitions/0/from"),
        ({"actions": [{"when": "sometimes", "name": "a", "action": "b"}]}, "/actions/0/when"),
    ],
)
def test_what_has_not_the_form_is_not_even_saved(tenant, make_user, api, change, pointer):
    answer = api(make_user("supervisor")).post(f"{BASE}/", {**TestWorkflows.created, **change})
    assert answer.status_code == 422 and pointer in pointers(answer), answer.content


def test_a_published_version_never_changes_and_running_instances_keep_theirs(tenant, make_user, api):
    boss = api(make_user("supervisor"))
    where = boss.post(f"{BASE}/", TestWorkflows.created)["Location"]
    first = boss.post(f"{where}publish/")
    assert first.status_code == 201 and first.json()["number"] == 1
    assert boss.post(f"{where}publish/").status_code == 409
    row = Workflow.objects.get()
    old = start(row)
    changed = {"stages": [*STAGES, {"name": "parked"}], "transitions": [
        {"name": "accept", "from": ["new"], "to": "parked"}, {"name": "go", "from": ["parked"], "to": "open"},
        *TRANSITIONS[1:]]}  # fmt: skip
    assert boss.patch(where, changed, HTTP_IF_MATCH="*").status_code == 200
    assert start(row).version.number == 1
    assert boss.post(f"{where}publish/").json()["number"] == 2
    assert start(row).version.number == 2
    assert move(old, "accept").current_stage == "open"
    versions = boss.get(f"{where}versions/").json()["data"]
    assert [one["number"] for one in versions] == [2, 1] and versions[1]["stages"] == STAGES
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(current_user, 'workflows_workflowversion', 'UPDATE')")
        assert cursor.fetchone() == (False,)


def test_a_retired_workflow_starts_no_more_and_what_runs_runs_on(tenant, make_user, api):
    row = workflow()
    old = start(row)
    boss = api(make_user("admin"))
    assert boss.delete(f"{BASE}/{row.pk}/", HTTP_IF_MATCH="*").status_code == 409
    assert boss.post(f"{BASE}/{row.pk}/retire/").json()["status"] == "retired"
    assert boss.post(f"{BASE}/{row.pk}/retire/").status_code == 409
    with pytest.raises(Conflict):
        start(row)
    move(move(old, "accept"), "close")
    assert boss.post(f"{BASE}/{row.pk}/publish/").json()["number"] == 2
    start(row)


def test_the_demo_workflow_is_loaded_once_and_fit_to_publish(tenant):
    assert services.defaults_load(ACTOR) == 1 and services.defaults_load(ACTOR) == 0
    row = Workflow.objects.get(name="Case handling")
    row.entity_type = "thing"
    assert definition.problems(row, everything()) == []


# --- steps --------------------------------------------------------------------------------------------------


def test_an_instance_goes_its_way_and_every_step_is_on_record(tenant, make_user, api):
    row, on = workflow(), thing()
    client = api(make_user("agent"))
    made_one = client.post(f"{BASE}/instances/", {"workflow": str(row.pk), "entity_id": str(on.pk)})
    assert made_one.status_code == 201, made_one.content
    where = made_one["Location"]
    assert made_one.json()["current_stage"] == "new" and made_one.json()["stage_deadline"]
    twice = client.post(f"{BASE}/instances/", {"workflow": str(row.pk), "entity_id": str(on.pk)})
    assert twice.status_code == 409
    ways = client.get(f"{where}available/").json()["data"]
    assert [(one["name"], one["allowed"]) for one in ways] == [("accept", True)]
    assert client.post(f"{where}transition/", {"transition": "close"}).status_code == 409
    assert client.post(f"{where}transition/", {"transition": "nothing"}).status_code == 409
    stale = client.post(f"{where}transition/", {"transition": "accept", "from_stage": "open"})
    assert stale.status_code == 409 and stale.json()["current_stage"] == "new"
    for name, stage in (("accept", "open"), ("close", "closed"), ("reopen", "open"), ("close", "closed")):
        answer = client.post(f"{where}transition/", {"transition": name, "reason": "because"})
        assert answer.status_code == 200 and answer.json()["approval"] is None, answer.content
        assert answer.json()["instance"]["current_stage"] == stage
    assert client.get(where).json()["completed_at"] is not None
    steps = client.get(f"{where}history/").json()["data"]
    assert [one["to_stage"] for one in steps] == ["new", "open", "closed", "open", "closed"]
    assert [one["number"] for one in steps] == [1, 2, 3, 4, 5] and steps[1]["reason"] == "because"
    instance = WorkflowInstance.objects.get()
    assert queries.folded_stage(instance.history.all()) == "closed"
    told = DomainEvent.objects.filter(type="workflow.transitioned", object_id=instance.pk)
    assert [one.data["stage"] for one in told.order_by("sequence")] == [one["to_stage"] for one in steps]
    said = str(list(told.values_list("data", flat=True))) + str(list(AuditEvent.objects.values("changes")))
    assert "because" not in said
    entries = timeline.read("case", on.pk, everything())
    assert entries == []
    assert [one.data["to_stage"] for one in queries.timeline_of("thing")(on.pk, everything(), None, 2)] == [
        "closed", "open",
    ]  # fmt: skip


def test_guards_fields_permissions_and_roles_stand_in_the_way(tenant, make_user, api):
    step = {
        "name": "accept", "from": ["new"], "to": "open",
        "permission": "workflows.edit", "roles": ["supervisor"],
        "guard": {"==": [{"var": "thing.active"}, True]}, "required_fields": ["thing.notes"],
        "reason_required": True,
    }  # fmt: skip
    row, on = workflow(transitions=[step, *TRANSITIONS[1:]]), thing(is_active=False)
    instance = start(row, on)
    where = f"{BASE}/instances/{instance.pk}/"
    agent, boss, admin = (api(make_user(role)) for role in ("agent", "supervisor", "admin"))
    refused = agent.post(f"{where}transition/", {"transition": "accept"})
    assert refused.status_code == 403 and refused.json()["permission"] == "workflows.edit"
    assert admin.post(f"{where}transition/", {"transition": "accept"}).json()["roles"] == ["supervisor"]
    way = boss.get(f"{where}available/").json()["data"][0]
    assert way["reasons"] == ["required_fields", "guard"] and not way["allowed"]
    assert agent.get(f"{where}available/").json()["data"][0]["reasons"][:2] == ["permission", "role"]
    body = {"transition": "accept"}
    assert pointers(boss.post(f"{where}transition/", body)) == ["/reason"]
    body["reason"] = "seen"
    missing = boss.post(f"{where}transition/", body)
    assert missing.status_code == 422 and missing.json()["missing"] == ["thing.notes"]
    reference.reference_update(on, actor=ACTOR, values={"description": "a secret"})
    guarded = boss.post(f"{where}transition/", body)
    assert guarded.status_code == 409 and guarded.json()["explanation"]["value"] is False
    reference.reference_update(on, actor=ACTOR, values={"is_active": True})
    assert boss.post(f"{where}transition/", body).status_code == 200
    taken = instance.history.get(name="accept")
    assert taken.guard is not None
    assert taken.guard["value"] is True and taken.guard["args"][0]["name"] == "thing.active"
    assert "secret" not in str(taken.guard)
    assert WorkflowInstance.objects.get().steps == 2


def test_approvals_come_from_others(tenant, make_user, api):
    step = {**TRANSITIONS[0], "approval": {"approvers": 2}}
    instance = start(workflow(transitions=[step, *TRANSITIONS[1:]]))
    where = f"{BASE}/instances/{instance.pk}/"
    asker, second, third = (api(make_user("supervisor")) for _ in range(3))
    agent = api(make_user("agent"))
    assert agent.post(f"{where}approve/").status_code == 409
    asked = asker.post(f"{where}transition/", {"transition": "accept", "reason": "please"})
    assert asked.status_code == 202 and asked.json()["approval"]["status"] == "pending"
    assert asked.json()["instance"]["current_stage"] == "new"
    assert asker.get(where).json()["waiting"] == "accept"
    waiting = f"{BASE}/instances/?waiting="
    assert [one["id"] for one in asker.get(f"{waiting}true").json()["data"]] == [str(instance.pk)]
    assert asker.get(f"{waiting}false").json()["data"] == [] and asker.get(f"{waiting}x").status_code == 400
    assert asker.post(f"{where}transition/", {"transition": "accept"}).status_code == 409
    for client, code in ((asker, "workflows.self_approve"), (agent, "workflows.approve")):
        refused = client.post(f"{where}approve/")
        assert refused.status_code == 403 and refused.json()["permission"] == code
    one = second.post(f"{where}approve/", {"comment": "fine"})
    assert one.status_code == 200 and one.json()["instance"]["current_stage"] == "new"
    assert one.json()["approval"]["approvals"] == 1
    assert second.post(f"{where}approve/").status_code == 409
    last = third.post(f"{where}approve/")
    assert (
        last.json()["instance"]["current_stage"] == "open" and last.json()["approval"]["status"] == "approved"
    )
    listed = agent.get(f"{where}approvals/").json()["data"]
    assert [(one["status"], one["approvals"]) for one in listed] == [("approved", 2)]
    taken = instance.history.get(name="accept")
    assert taken.reason == "please" and taken.approval is not None and taken.approval.needed == 2


def test_who_may_approve_their_own_does(tenant, make_user, api):
    step = {**TRANSITIONS[0], "approval": {"approvers": 1, "permission": "workflows.delete"}}
    instance = start(workflow(transitions=[step, *TRANSITIONS[1:]]))
    where = f"{BASE}/instances/{instance.pk}/"
    boss, admin = api(make_user("supervisor")), api(make_user("admin"))
    admin.post(f"{where}transition/", {"transition": "accept"})
    assert boss.post(f"{where}approve/").json()["permission"] == "workflows.delete"
    assert admin.post(f"{where}approve/").json()["instance"]["current_stage"] == "open"


def test_what_is_rejected_or_withdrawn_stays_where_it_is(tenant, make_user, api):
    step = {**TRANSITIONS[0], "approval": {"approvers": 1}}
    instance = start(workflow(transitions=[step, *TRANSITIONS[1:]]))
    where = f"{BASE}/instances/{instance.pk}/"
    asker, other = api(make_user("case_worker")), api(make_user("supervisor"))
    for client, status in ((other, "rejected"), (asker, "withdrawn")):
        asker.post(f"{where}transition/", {"transition": "accept"})
        answer = client.post(f"{where}reject/", {"comment": "no"})
        assert answer.json()["approval"]["status"] == status, answer.content
        assert answer.json()["instance"]["current_stage"] == "new"
        assert client.post(f"{where}reject/").status_code == 409
    assert api(make_user("agent")).post(f"{where}reject/").status_code == 409


def test_the_guard_must_still_hold_when_the_last_approval_comes(tenant, make_user):
    step = {**TRANSITIONS[0], "approval": {"approvers": 1}, "guard": {"var": "thing.active"}}
    on = thing()
    instance = start(workflow(transitions=[step, *TRANSITIONS[1:]]), on)
    move(instance, "accept")
    reference.reference_update(on, actor=ACTOR, values={"is_active": False})
    from web.shared.core.actor import Actor, ActorKind

    person = Actor(ActorKind.USER, id=make_user("supervisor").pk)
    approver = running.Mover(person, everything())
    with pytest.raises(Conflict):
        running.instance_approve(mover=approver, instance=instance)
    assert instance.approvals.get().votes.count() == 0
    reference.reference_update(on, actor=ACTOR, values={"is_active": True})
    assert running.instance_approve(mover=approver, instance=instance)[0].current_stage == "open"


def test_migration_is_explicit_and_maps_the_stage(tenant, make_user, api):
    row = workflow()
    instance = move(start(row), "accept")
    stages = [STAGES[0], {"name": "working", "time_limit_minutes": 5}, STAGES[2]]
    ways = [
        {"name": "accept", "from": ["new"], "to": "working"},
        {"name": "close", "from": ["working"], "to": "closed"},
    ]
    services.workflow_update(actor=ACTOR, workflow=row, values={"stages": stages, "transitions": ways})
    services.workflow_publish(actor=ACTOR, viewer=everything(), workflow=row)
    boss, where = api(make_user("supervisor")), f"{BASE}/instances/{instance.pk}/migrate/"
    assert pointers(boss.post(where, {})) == ["/stage_map"]
    assert pointers(boss.post(where, {"version": 9})) == ["/version"]
    assert pointers(boss.post(where, {"stage_map": {"open": "nowhere"}})) == ["/stage_map"]
    assert api(make_user("agent")).post(where, {"stage_map": {"open": "working"}}).status_code == 403
    answer = boss.post(where, {"version": 2, "stage_map": {"open": "working"}})
    assert answer.status_code == 200, answer.content
    assert (answer.json()["current_stage"], answer.json()["version"]) == ("working", 2)
    assert answer.json()["stage_deadline"] is not None
    assert boss.post(where, {"version": 2}).status_code == 409
    instance.refresh_from_db()
    assert queries.folded_stage(instance.history.all()) == "working"
    assert move(instance, "close").completed_at is not None


def test_a_cancelled_instance_is_over_for_good(tenant, make_user, api):
    row, on = workflow(), thing()
    instance = start(row, on)
    boss, where = api(make_user("supervisor")), f"{BASE}/instances/{instance.pk}/"
    assert boss.post(f"{where}cancel/", {"reason": "by mistake"}).json()["completed_at"] is not None
    assert boss.post(f"{where}cancel/").status_code == 409
    assert boss.post(f"{where}transition/", {"transition": "accept"}).status_code == 409
    assert boss.get(f"{where}available/").json()["data"] == []
    assert start(row, on).pk != instance.pk


def test_what_runs_on_a_thing_that_is_gone_ends_with_it(tenant, monkeypatch):
    monkeypatch.setattr(events, "catalogue", dict(events.catalogue))
    events.declare_resource("thing", "Thing", is_active=bool)
    kept, gone = start(workflow()), start(workflow())
    on = CaseCategory.objects.get(pk=gone.entity_id)
    monkeypatch.setattr(CaseCategory, "event_name", "thing")
    for instance in (kept, gone):
        row = CaseCategory.objects.get(pk=instance.entity_id)
        events.emit("thing.deleted", obj=row, actor=ACTOR)
    base.soft_delete(on, actor=ACTOR)
    following.consume(list(DomainEvent.objects.all()))
    following.consume(list(DomainEvent.objects.all()))
    kept.refresh_from_db()
    gone.refresh_from_db()
    assert kept.completed_at is None and gone.completed_at is not None
    assert gone.history.latest("number").kind == "cancelled" and gone.steps == 2


def test_reopening_beside_a_running_one_is_a_conflict(tenant):
    row, on = workflow(), thing()
    first = move(move(start(row, on), "accept"), "close")
    start(row, on)
    with pytest.raises(Conflict):
        move(first, "reopen")


# --- who sees what ------------------------------------------------------------------------------------------


def test_another_tenants_things_are_nowhere(tenant, other_tenant, make_user, api):
    row, on = workflow(), thing()
    instance = start(row, on)
    with tenant_context(other_tenant.pk):
        theirs, their_thing = workflow(), thing()
        their_instance = start(theirs)
    boss = api(make_user("admin"))
    unknown = str(uuid.uuid4())

    def told(body: dict[str, str]) -> Any:
        answer = boss.post(f"{BASE}/instances/", body)
        assert answer.status_code == 422
        return answer.json()["errors"]

    mine = {"workflow": str(row.pk), "entity_id": str(on.pk)}
    for field, foreign in (("workflow", theirs.pk), ("entity_id", their_thing.pk)):
        errors = told({**mine, field: str(foreign)})
        assert errors == told({**mine, field: unknown}) and errors[0]["pointer"] == f"/{field}"
        assert errors[0]["code"] == "does_not_exist"
    for verb in ("transition", "approve", "reject", "cancel", "migrate"):
        body = {"transition": "accept"} if verb == "transition" else {}
        assert boss.post(f"{BASE}/instances/{their_instance.pk}/{verb}/", body).status_code == 404
    for path in ("publish", "retire", "check"):
        assert boss.post(f"{BASE}/{theirs.pk}/{path}/").status_code == 404
    for path in (f"{theirs.pk}/versions", f"instances/{their_instance.pk}/history"):
        assert boss.get(f"{BASE}/{path}/").status_code == 404
    with tenant_context(other_tenant.pk):
        their_instance.refresh_from_db()
        assert their_instance.current_stage == "new"
    assert instance.history.count() == 1


def test_an_instance_is_seen_by_who_sees_its_entity(tenant, make_user, api, monkeypatch):
    from web.shared.core import entities

    instance = start(workflow())
    hidden = entities.get("thing")
    monkeypatch.setitem(
        entities._entities,
        "thing",
        entities.Entity("thing", hidden.model, hidden.code, lambda rows, viewer: rows.none(), hidden.facts,
                        hidden.contact),
    )  # fmt: skip
    client = api(make_user("supervisor"))
    assert client.get(f"{BASE}/instances/").json()["data"] == []
    assert client.get(f"{BASE}/instances/{instance.pk}/").status_code == 404
    assert (
        client.post(f"{BASE}/instances/{instance.pk}/transition/", {"transition": "accept"}).status_code
        == 404
    )


def test_lists_make_the_same_queries_however_long_they_are(tenant, make_user, api):
    client, row = api(make_user("agent")), workflow()
    start(row)

    def asked(path: str) -> int:
        client.get(f"{BASE}/{path}")
        with CaptureQueriesContext(connection) as said:
            assert client.get(f"{BASE}/{path}").status_code == 200
        return len(said)

    named = client.get(f"{BASE}/instances/?expand=workflow").json()["data"][0]["workflow"]
    assert named["name"] == row.name
    before = asked("instances/?expand=workflow"), asked("")
    for _ in range(5):
        start(row)
        workflow()
    assert (asked("instances/?expand=workflow"), asked("")) == before


def test_data_of_an_instance_is_changed_under_its_etag(tenant, make_user, api):
    instance = start(workflow())
    client, where = api(make_user("agent")), f"{BASE}/instances/{instance.pk}/"
    etag = client.get(where)["ETag"]
    assert client.patch(where, {"data": {"a": 1}}).status_code == 428
    assert client.patch(where, {"data": {"a": 1}}, HTTP_IF_MATCH=etag).json()["data"] == {"a": 1}
    assert client.patch(where, {"data": {"b": 1}}, HTTP_IF_MATCH=etag).status_code == 412
    assert client.patch(where, {"current_stage": "closed"}, HTTP_IF_MATCH="*").status_code == 422
    big = {"data": {"a": "x" * 20_001}}
    assert client.patch(where, big, HTTP_IF_MATCH="*").status_code == 422


def test_words_about_a_person_go_when_they_are_erased(tenant):
    seven = uuid.UUID(int=7)
    row = workflow()
    instance = start(row, thing("of-seven-1"))
    stranger = start(row, thing("of-eight"))
    for one in (instance, stranger):
        running.data_update(actor=ACTOR, instance=one, values={"data": {"note": "Amina"}})
        move(one, "accept", reason="Amina called")
    exported = erasure.exporters["workflows"](seven)
    assert exported[0]["reasons"] == ["Amina called"] and len(exported) == 1
    assert erasure.erasers["workflows"](seven, ACTOR) == 2
    instance.refresh_from_db()
    stranger.refresh_from_db()
    assert instance.data == {} and not instance.history.filter(reason__contains="Amina").exists()
    assert stranger.data == {"note": "Amina"} and stranger.history.filter(reason__gt="").count() == 1
    assert queries.folded_stage(instance.history.all()) == "open"


def test_instances_follow_a_contacts_merge_and_come_back(tenant):
    move_, undo = erasure.mergers["workflows"]
    one, other = uuid.uuid4(), uuid.uuid4()
    row, second = workflow(), workflow()
    for pk, flow in ((one, row), (other, row), (one, second)):
        instance = start(flow)
        WorkflowInstance.objects.filter(pk=instance.pk).update(entity_type="contact", entity_id=pk)
    record = move_(one, other)
    left = WorkflowInstance.objects.filter(entity_id=one)
    assert [one.workflow_id for one in left] == [row.pk]
    undo(record)
    assert WorkflowInstance.objects.filter(entity_id=one).count() == 2


# --- at once ------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_transitions_at_once_one_wins(tenants, things):
    pk = tenants[0].pk
    with tenant_context(pk):
        instance = start(workflow())
    results = at_once(*[lambda: move(instance, "accept")] * 2, tenant_id=pk)
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "WorkflowInstance"], results
    with tenant_context(pk):
        assert [one.to_stage for one in instance.history.order_by("number")] == ["new", "open"]


@pytest.mark.django_db(transaction=True)
def test_of_two_starts_at_once_one_wins(tenants, things):
    pk = tenants[0].pk
    with tenant_context(pk):
        row, on = workflow(), thing()
    results = at_once(*[lambda: start(row, on)] * 3, tenant_id=pk)
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "Conflict", "WorkflowInstance"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_do_each_action_once(tenants, things, done):
    pk = tenants[0].pk
    with tenant_context(pk):
        row = acting(*[("enter", "open", "test.note")] * 5)
        for _ in range(4):
            move(start(row), "accept")
    results = at_once(outbox.run_due, outbox.run_due, tenant_id=pk)
    assert sum(results) == 20 and len({one.key for one in done}) == len(done) == 20
    with tenant_context(pk):
        assert events.drain(pk) >= 0 and not ActionRun.objects.exclude(status="done").exists()


def test_invalid_is_raised_with_pointers(tenant):
    with pytest.raises(Invalid) as told:
        services.workflow_publish(actor=ACTOR, viewer=everything(), workflow=made(stages=[]))
    assert {one.pointer for one in told.value.errors} >= {"/stages"}
