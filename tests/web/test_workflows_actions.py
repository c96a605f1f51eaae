"""What rules and workflows can do: what is refused when saved, what is done, and that it comes to rest."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.web import kit_cases as kit
from tests.web.kit_workflows import STAGES, TRANSITIONS
from web.shared.accounts.models import Team, TeamMember, TenantRole
from web.shared.accounts.registry import Scope, permissions
from web.shared.core import events
from web.shared.core.actor import system
from web.shared.core.viewer import Viewer, everything
from web.shared.records.models import AuditEvent, DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.cases.models import Case, CaseHistory, CaseNote, CaseWatcher
from web.tenant.cases.services import cases
from web.tenant.cases.services import settings as configuring
from web.tenant.notifications.models import Notification
from web.tenant.tasks.models import Task
from web.tenant.workflows import actions, outbox, rules, running, services
from web.tenant.workflows.models import ActionRun, BusinessRule, RuleRun

pytestmark = [pytest.mark.django_db, pytest.mark.database]
BASE = "/api/v1/workflows"
ACTOR = system("tests")


def body(*wanted: tuple[str, Any], **values: Any) -> dict[str, Any]:
    return {
        "name": "A rule",
        "entity_type": "case",
        "triggers": ["case.created"],
        "conditions": {},
        "actions": [{"action": name, "with": parameters} for name, parameters in wanted],
        **values,
    }


def rule(*wanted: tuple[str, Any], **values: Any) -> BusinessRule:
    return services.rule_create(actor=ACTOR, viewer=everything(), values=body(*wanted, **values))


def settle(rounds: int = 1) -> list[ActionRun]:
    """Hand the rules every event so far and do what they ask for; so many times. What was done, in order."""
    for _ in range(rounds):
        rules.consume(list(DomainEvent.objects.order_by("sequence")))
        outbox.run_due()
    return list(ActionRun.objects.order_by("created_at", "position"))


def team(*users: Any, tenant: Any, name: str = "Line") -> Team:
    row = Team.objects.create(tenant=tenant, name=name)
    TeamMember.objects.bulk_create(TeamMember(team=row, user=user) for user in users)
    return row


def form(case_type: Any) -> None:
    properties = {"district": {"type": "string", "maxLength": 10}, "age": {"type": "integer", "minimum": 0}}
    secret = {"secret": {"type": "string", "x-sensitive": True}}
    schema = {"type": "object", "properties": {**properties, **secret}}
    configuring.form_publish(actor=ACTOR, case_type=case_type, schema=schema)


# --- saving -------------------------------------------------------------------------------------------------

STRANGER = str(uuid.uuid4())


@pytest.mark.parametrize(
    ("name", "parameters", "pointer"),
    [
        ("case.assign", {}, "/actions/0/with"),
        ("case.assign", {"to": STRANGER}, "/actions/0/with/to"),
        ("case.assign", {"to": "somebody"}, "/actions/0/with/to"),
        ("case.assign", {"to": f"team:{STRANGER}"}, "/actions/0/with/to"),
        ("case.assign", {"to": "nobody", "lease_minutes": 1}, "/actions/0/with/lease_minutes"),
        ("case.set", {}, "/actions/0/with"),
        ("case.set", {"title": "New"}, "/actions/0/with"),
        ("case.set", {"priority": "highest"}, "/actions/0/with/priority"),
        ("case.set", {"confidentiality": "normal"}, "/actions/0/with/confidentiality"),
        ("case.set", {"case_type": "no-such"}, "/actions/0/with/case_type"),
        ("case.set", {"add_tags": ["a"], "remove_tags": ["a"]}, "/actions/0/with/remove_tags"),
        ("case.set", {"custom_fields": {"colour": "red"}}, "/actions/0/with/custom_fields/colour"),
        ("case.set", {"custom_fields": {"age": "old"}}, "/actions/0/with/custom_fields/age"),
        ("case.add_watcher", {"user": STRANGER}, "/actions/0/with/user"),
        ("case.add_watcher", {"user": "nobody"}, "/actions/0/with/user"),
        ("case.add_note", {"content": ""}, "/actions/0/with/content"),
        ("task.create", {"title": "Call", "assign": STRANGER}, "/actions/0/with/assign"),
        ("task.create", {"title": "Call", "assign": "whoever"}, "/actions/0/with/assign"),
        ("notify", {"recipients": ["supervisor"]}, "/actions/0/with"),
        ("notify", {"recipients": ["agent", "jester"], "title": "T"}, "/actions/0/with/recipients/1"),
        ("notify", {"recipients": [STRANGER], "title": "T"}, "/actions/0/with/recipients/0"),
        ("notify", {"recipients": ["mentioned"], "title": "T"}, "/actions/0/with/recipients/0"),
        ("notify", {"recipients": ["agent"], "title": "{{ task.title }}"}, "/actions/0/with/title"),
        ("notify", {"recipients": ["x"], "title": "T", "channels": ["fax"]}, "/actions/0/with/channels/0"),
        ("workflow.start", {"workflow": "No such"}, "/actions/0/with/workflow"),
    ],
)  # fmt: skip
def test_an_action_that_names_what_is_not_there_is_refused_by_pointer(
    tenant, make_user, api, name, parameters, pointer
):
    form(kit.category())
    answer = api(make_user("admin")).post(f"{BASE}/rules/", body((name, parameters)))
    assert answer.status_code == 422, answer.content
    assert pointer in [one["pointer"] for one in answer.json()["errors"]]
    assert STRANGER not in answer.content.decode() and not BusinessRule.objects.exists()


def test_a_person_of_another_organisation_is_as_unknown_as_anybody(tenant, other_tenant, make_user, api):
    theirs = make_user("agent", tenant=other_tenant)
    their_team = team(theirs, tenant=other_tenant)
    admin = api(make_user("admin"))
    for to in (str(theirs.pk), f"team:{their_team.pk}"):
        answer = admin.post(f"{BASE}/rules/", body(("case.assign", {"to": to})))
        assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/actions/0/with/to"


def test_who_may_not_see_cases_cannot_be_given_one_by_a_rule(tenant, make_user, api):
    blind = make_user("telephony_admin")
    answer = api(make_user("admin")).post(f"{BASE}/rules/", body(("case.assign", {"to": str(blind.pk)})))
    assert answer.status_code == 422
    assert "may not see cases" in answer.json()["errors"][0]["detail"]


def test_an_action_is_for_its_kind_of_entity(tenant, make_user, api):
    wanted = body(("case.set", {"priority": "high"}), entity_type="task", triggers=["task.created"])
    answer = api(make_user("admin")).post(f"{BASE}/rules/", wanted)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/actions/0/action"]


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (("case.assign", {"to": "nobody"}), "cases.assign"),
        (("case.assign", {"to": "nobody"}), "cases.view_restricted"),
        (("case.set", {"priority": "high"}), "cases.edit"),
        (("case.add_watcher", {"user": "creator"}), "cases.view_restricted"),
        (("case.add_note", {"content": "Seen"}), "cases.edit"),
        (("task.create", {"title": "Call"}), "tasks.edit"),
        (("notify", {"recipients": ["admin"], "title": "T"}), "notifications.manage"),
    ],
)
@pytest.mark.parametrize("held", [None, "team"])
def test_nobody_gets_through_a_rule_what_their_role_denies_them(tenant, make_user, api, action, code, held):
    """With rules.edit alone one can write rules, not lend them rights; for one's own team is not for all."""
    writer, boss = api(make_user("supervisor")), api(make_user("admin"))
    role = TenantRole.objects.get(tenant=tenant, name="supervisor")
    full = {**dict.fromkeys(permissions, "all")}
    role.permissions = {name: scope for name, scope in full.items() if name != code}
    if held:
        role.permissions[code] = held
    role.save()
    answer = writer.post(f"{BASE}/rules/", body(action))
    assert answer.status_code == 422, answer.content
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/actions/0/action" and code in error["detail"]
    made = boss.post(f"{BASE}/rules/", body(action))
    assert made.status_code == 201
    etag = {"HTTP_IF_MATCH": made["ETag"]}
    at = f"{BASE}/rules/{made.json()['id']}/"
    assert writer.patch(at, {"conditions": {"==": [1, 1]}}, **etag).status_code == 422
    renamed = writer.patch(at, {"name": "Another name", "is_active": False}, **etag)
    assert renamed.status_code == 200, renamed.content
    etag = {"HTTP_IF_MATCH": renamed["ETag"]}
    assert writer.patch(at, {"is_active": True}, **etag).status_code == 422


def test_a_sensitive_field_is_set_only_by_rules_of_those_who_see_it(tenant):
    form(kit.category())
    wanted = {"custom_fields": {"secret": "x"}}
    blind = Viewer(None, {code: Scope.ALL for code in permissions if code != "cases.view_sensitive"})
    found = actions.check([{"action": "case.set", "with": wanted}], "", entity_type="case", saver=blind)
    assert [one.pointer for one in found] == ["/0/with/custom_fields/secret"]
    assert not actions.check(
        [{"action": "case.set", "with": wanted}], "", entity_type="case", saver=everything()
    )


def test_publishing_a_workflow_asks_the_same(tenant, make_user, api):
    admin = api(make_user("admin"))
    act = {"when": "enter", "name": "open", "action": "case.assign", "with": {"to": STRANGER}}
    values = {"name": "Flow", "entity_type": "case", "stages": STAGES, "transitions": TRANSITIONS}
    made = admin.post(f"{BASE}/", {**values, "actions": [act]})
    assert made.status_code == 201, made.content
    at = f"{BASE}/{made.json()['id']}"
    told = admin.post(f"{at}/check/").json()["problems"]
    assert [one["pointer"] for one in told] == ["/actions/0/with/to"]
    assert admin.post(f"{at}/publish/").status_code == 422


def test_a_rule_that_names_somebody_who_left_can_still_be_switched_off(tenant, make_user, api):
    worker = make_user("agent")
    made = rule(("case.assign", {"to": str(worker.pk)}))
    worker.is_active = False
    worker.save()
    values = {"is_active": False}
    done = services.rule_update(actor=ACTOR, viewer=everything(), rule=made, values=values)
    assert done.is_active is False


def test_the_list_of_actions_says_what_each_is_for_and_what_saving_it_needs(tenant, make_user, api):
    answer = api(make_user("supervisor")).get(f"{BASE}/actions/")
    assert answer.status_code == 200, answer.content
    found = {one["name"]: one for one in answer.json()["data"]}
    assert {"case.assign", "case.set", "case.add_watcher", "case.add_note", "notify"} <= found.keys()
    assert found["case.set"]["entity_types"] == ["case"] and found["notify"]["entity_types"] == []
    assert "cases.edit" in found["case.set"]["permissions"]
    assert found["case.set"]["schema"]["properties"]["priority"]["enum"][0] == "low"


# --- doing --------------------------------------------------------------------------------------------------


def test_a_rule_gives_a_case_to_a_person_as_a_lease_and_says_so(tenant, make_user):
    worker = make_user("agent")
    rule(("case.assign", {"to": str(worker.pk), "lease_minutes": 30}))
    case = kit.case()
    (run,) = settle()
    case.refresh_from_db()
    assert (run.status, case.assigned_to_id) == ("done", worker.pk)
    assert case.lease_expires_at is not None
    assert timedelta(minutes=29) < case.lease_expires_at - timezone.now() <= timedelta(minutes=30)
    assert run.result == {"case": str(case.pk), "assigned_to": str(worker.pk), "changed": True}
    told = DomainEvent.objects.get(type="case.assigned")
    assert (told.actor_kind, told.depth) == ("system", 1)
    assert told.cause == DomainEvent.objects.get(type="case.created").id
    changed = CaseHistory.objects.get(case=case, field_name="assigned_to")
    assert changed.change_reason == "rules" and changed.created_by_id is None
    audited = AuditEvent.objects.filter(object_id=str(case.pk), action="update").first()
    assert audited is not None and audited.actor_kind == "system"


def test_a_case_goes_back_to_the_pool_and_to_who_made_it(tenant, make_user):
    maker, other = make_user("case_worker"), make_user("agent")
    pool = rule(("case.assign", {"to": "nobody"}), conditions={"==": [{"var": "case.priority"}, "low"]})
    rule(("case.assign", {"to": "creator"}), conditions={"==": [{"var": "case.priority"}, "high"]})
    low = kit.case(priority="low", assigned_to=other.pk)
    high = kit.case(priority="high", actor=kit.acting(maker))
    orphan = kit.case(priority="high")
    settle()
    for row in (low, high, orphan):
        row.refresh_from_db()
    assert (low.assigned_to_id, high.assigned_to_id, orphan.assigned_to_id) == (None, maker.pk, None)
    failed = ActionRun.objects.get(entity_id=orphan.pk)
    assert (failed.status, failed.error) == ("failed", "invalid: nobody_there at /to")
    assert RuleRun.objects.get(rule=pool, entity_id=low.pk).outcome == "fired"


def test_a_team_shares_its_cases_evenly(tenant, make_user):
    one, two, three = (make_user("agent") for _ in range(3))
    outsider = make_user("telephony_admin")  # in the team, and may see no cases
    row = team(one, two, three, outsider, tenant=tenant)
    kit.case(assigned_to=one.pk)
    finished = kit.case(assigned_to=two.pk)
    cases.case_transition(actor=ACTOR, case=finished, status="closed")
    rule(("case.assign", {"to": f"team:{row.pk}"}), triggers=["case.created", "case.assigned"],
         conditions={"==": [{"var": "case.channel"}, "voice"]})  # fmt: skip
    given = []
    for _ in range(5):
        case = kit.case(channel="voice")
        settle(2)
        case.refresh_from_db()
        given.append(case.assigned_to_id)
    assert given.count(one.pk) == 1 and given.count(two.pk) == given.count(three.pk) == 2
    assert one.pk not in given[:2]
    # Whoever of the team has it, keeps it: the rule also hears of its own doing.
    assert DomainEvent.objects.filter(type="case.assigned", depth=1).count() == 5
    assert not DomainEvent.objects.filter(type="case.assigned", depth__gt=1).exists()


def test_somebody_who_left_is_said_in_the_log_and_not_tried_again(tenant, make_user):
    worker = make_user("agent")
    rule(("case.assign", {"to": str(worker.pk)}), ("case.set", {"priority": "high"}))
    worker.is_active = False
    worker.save()
    case = kit.case()
    runs = settle(2)
    assert [(run.status, run.attempts) for run in runs] == [("failed", 1), ("done", 1)]
    assert runs[0].error == "invalid: does_not_exist at /to"
    case.refresh_from_db()
    assert case.priority == "high" and case.assigned_to_id is None


def test_a_rule_sets_fields_and_leaves_alone_what_it_does_not_name(tenant):
    old, new = kit.category(), kit.category()
    form(old)
    form(new)
    fields = {"custom_fields": {"district": "north", "age": None}, "add_tags": ["b"], "remove_tags": ["x"]}
    wanted = {"priority": "critical", "case_type": new.code, "confidentiality": "restricted", **fields}
    rule(("case.set", {**wanted, "due_in_hours": 4}))
    case = kit.case(case_type=old, tags=["x", "b", "a"], custom_fields={"age": 9, "district": "s"})
    (run,) = settle()
    assert run.status == "done", run.error
    case.refresh_from_db()
    assert (case.priority, case.case_type_id, case.confidentiality) == ("critical", new.pk, "restricted")
    assert case.tags == ["b", "a"] and case.custom_fields == {"district": "north"}
    assert case.due_date is not None
    assert timedelta(hours=3, minutes=59) < case.due_date - timezone.now() <= timedelta(hours=4)
    reasons = CaseHistory.objects.filter(case=case).values_list("field_name", "change_reason")
    assert ("custom_fields.district", "rules") in reasons


def test_a_value_that_the_cases_own_form_refuses_is_a_failure_with_its_place(tenant):
    narrow, wide = kit.category(), kit.category()
    form(narrow)
    schema = {"type": "object", "properties": {"district": {"type": "string"}}}
    configuring.form_publish(actor=ACTOR, case_type=wide, schema=schema)
    rule(("case.set", {"custom_fields": {"district": "longer than ten"}, "priority": "high"}))
    case = kit.case(case_type=narrow)
    (run,) = settle()
    assert (run.status, run.error) == ("failed", "invalid: maxLength at /custom_fields/district")
    case.refresh_from_db()
    assert case.priority == "medium" and "longer" not in str(ActionRun.objects.values_list("error", "result"))


def test_a_status_moves_only_where_a_person_could_move_it(tenant):
    rule(("case.set", {"status": "resolved"}), triggers=["case.updated", "case.created"])
    case = kit.case()
    settle(3)
    case.refresh_from_db()
    assert case.status == "resolved" and case.resolved_at is not None
    assert {run.status for run in ActionRun.objects.all()} == {"done"}
    pending = rule(("case.set", {"status": "pending"}), triggers=["case.transitioned"])
    settle(2)
    failed = ActionRun.objects.get(rule_run__rule=pending)
    assert (failed.status, failed.error) == ("failed", "illegal_transition")


def test_a_rule_adds_a_watcher_once_and_an_internal_note(tenant, make_user):
    lead = make_user("supervisor")
    watch = ("case.add_watcher", {"user": str(lead.pk)})
    rule(watch, watch, ("case.add_note", {"content": "Ring back first."}))
    case = kit.case()
    runs = settle()
    assert [run.status for run in runs] == ["done"] * 3
    assert CaseWatcher.objects.get(case=case).user_id == lead.pk
    note = CaseNote.objects.get(case=case)
    assert note.is_internal and note.content == "Ring back first." and note.created_by_id is None
    assert "Ring" not in str(list(ActionRun.objects.values_list("result", "error")))


def test_people_are_told_by_a_rule_once_and_only_of_what_they_may_see(tenant, make_user):
    lead, worker, other = make_user("supervisor"), make_user("agent"), make_user("agent")
    rule(
        (
            "notify",
            {
                "recipients": ["supervisor", "assignee", str(other.pk)],
                "title": "Look at {{ case.number }}",
                "message": "{{ entity.title }} for {{ recipient.name }}",
                "channels": ["in_app", "email"],
                "urgent": True,
            },
        )
    )
    case = kit.case("Roof", assigned_to=worker.pk, confidentiality="restricted")
    (run,) = settle()
    assert run.status == "done" and run.result == {"meant": 3, "told": 2}
    told = {row.user_id: row for row in Notification.objects.all()}
    assert set(told) == {lead.pk, worker.pk}
    assert told[lead.pk].title == f"Look at {case.case_number}"
    assert told[lead.pk].message == "Roof for Supervisor"
    assert (told[lead.pk].notification_type, told[lead.pk].is_urgent) == ("case.notice", True)
    assert (told[lead.pk].entity_id, told[lead.pk].deliveries.count()) == (case.pk, 2)
    # The same action again, as after a worker's death between doing and saying so: nobody is told twice.
    found = actions.get("notify")
    assert found is not None
    found.run(actions.ActionCall("case", case.pk, run.parameters, ACTOR, run.pk))
    assert Notification.objects.count() == 2


def test_whom_a_notice_means_when_the_thing_is_gone(tenant, make_user):
    make_user("supervisor")
    rule(("notify", {"recipients": ["supervisor"], "title": "T"}))
    case = kit.case()
    rules.consume(list(DomainEvent.objects.all()))
    cases.case_delete(actor=ACTOR, case=case)
    outbox.run_due()
    run = ActionRun.objects.get()
    assert (run.status, run.error) == ("failed", "UnknownEntity") and not Notification.objects.exists()


def test_a_workflow_acts_on_its_case_in_its_own_name(tenant, make_user):
    worker = make_user("agent")
    wanted = {
        "case.assign": {"to": str(worker.pk)},
        "task.create": {"title": "Visit", "assign": "assignee"},
    }
    acts = [{"when": "enter", "name": "new", "action": name, "with": given} for name, given in wanted.items()]
    parts = {"stages": STAGES, "transitions": TRANSITIONS, "actions": acts}
    values = {"name": "Flow", "entity_type": "case", **parts}
    flow = services.workflow_create(actor=ACTOR, values=values)
    services.workflow_publish(actor=ACTOR, viewer=everything(), workflow=flow)
    case = kit.case()
    running.instance_start(mover=running.Mover(ACTOR), workflow=flow, entity_id=case.pk)
    outbox.run_due()
    case.refresh_from_db()
    assert case.assigned_to_id == worker.pk and Task.objects.get(case=case).assigned_to_id == worker.pk
    assert CaseHistory.objects.get(case=case, field_name="assigned_to").change_reason == "workflows"


# --- coming to rest -----------------------------------------------------------------------------------------


def test_rules_that_undo_each_other_are_cut_and_it_is_said(tenant):
    for here, there in (("high", "low"), ("low", "high")):
        rule(("case.set", {"priority": there}), triggers=["case.updated", "case.created"],
             conditions={"==": [{"var": "case.priority"}, here]})  # fmt: skip
    kit.case(priority="high")
    settle(20)
    assert ActionRun.objects.filter(status="done").count() == outbox.MAX_DEPTH + 1
    assert RuleRun.objects.filter(outcome="cut_depth").count() == 2
    assert not ActionRun.objects.filter(status="pending").exists()


def test_a_rule_that_finds_its_work_done_changes_nothing(tenant, make_user):
    worker = make_user("agent")
    rule(
        ("case.assign", {"to": str(worker.pk)}),
        ("case.set", {"priority": "high", "add_tags": ["seen"]}),
        triggers=["case.created", "case.updated", "case.assigned"],
    )
    case = kit.case()
    settle(10)
    case.refresh_from_db()
    assert not RuleRun.objects.exclude(outcome="fired").exists()
    changed = [run.result["changed"] for run in ActionRun.objects.order_by("created_at", "position")]
    assert changed[:2] == [True, True] and not any(changed[2:]) and len(changed) > 2
    assert DomainEvent.objects.filter(type="case.assigned").count() == 1


def test_a_dry_run_gives_no_case_away_and_tells_nobody(tenant, make_user, api, monkeypatch):
    monkeypatch.setattr(events, "settled", DomainEvent.objects.all)
    worker = make_user("agent")
    made = rule(
        ("case.assign", {"to": str(worker.pk)}),
        ("case.set", {"priority": "critical"}),
        ("case.add_note", {"content": "Seen"}),
        ("notify", {"recipients": ["supervisor"], "title": "T"}),
        is_active=False,
    )
    case = kit.case()
    before = Case.objects.filter(pk=case.pk).values().get()
    boss = api(make_user("supervisor"))
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    told = boss.post(f"{BASE}/rules/{made.pk}/dry-run/", {"since": since}).json()
    assert [one["entity_id"] for one in told["would_fire"]] == [str(case.pk)]
    settle()
    assert Case.objects.filter(pk=case.pk).values().get() == before
    assert not (ActionRun.objects.exists() or Notification.objects.exists() or CaseNote.objects.exists())


@pytest.mark.django_db(transaction=True)
def test_through_the_outbox_of_events_a_new_case_is_given_to_its_team_once(tenants, make_user):
    pk = tenants[0].pk
    users = [make_user("agent"), make_user("agent")]
    with tenant_context(pk):
        row = team(*users, tenant=tenants[0])
        rule(
            ("case.assign", {"to": f"team:{row.pk}"}), ("notify", {"recipients": ["assignee"], "title": "T"})
        )
        made = [kit.case(), kit.case()]
    events.drain(pk)
    events.drain(pk)
    with tenant_context(pk):
        outbox.run_due()
        given = [Case.objects.get(pk=one.pk).assigned_to_id for one in made]
        assert sorted(map(str, given)) == sorted(str(user.pk) for user in users)
        notices = Notification.objects.filter(notification_type="case.notice")
        assert sorted(map(str, notices.values_list("user_id", flat=True))) == sorted(map(str, given))
