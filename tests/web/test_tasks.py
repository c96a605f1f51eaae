"""Tasks: transitions, dependencies, who sees and writes which, many at once, parts, what time brings."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.api_cases import ResourceCases
from web.shared.core import entities, erasure, timeline
from web.shared.core.actor import system
from web.shared.core.viewer import everything
from web.shared.records.models import DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.tasks import due, services
from web.tenant.tasks.choices import FOLLOWS, TaskStatus
from web.tenant.tasks.models import Task, TaskReminder

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
URL = "/api/v1/tasks/"


def make(title: str = "Visit the school", **values: Any) -> Task:
    return services.task_create(actor=ACTOR, values={"title": title, **values})


def told(kind: str) -> list[DomainEvent]:
    return list(DomainEvent.objects.filter(type=kind).order_by("sequence"))


def change(client: Any, pk: Any, **values: Any) -> Any:
    return client.patch(f"{URL}{pk}/", values, HTTP_IF_MATCH="*")


def codes(answer: Any) -> list[tuple[str, str]]:
    return [(one["pointer"], one["code"]) for one in answer.json()["errors"]]


class TestTasks(ResourceCases):
    url = URL
    created = {"title": "Visit the school", "priority": "high", "estimated_hours": "1.50"}
    updated = {"title": "Call the school", "status": "in_progress"}
    refused = {"priority": "whenever"}
    sorts = ("created_at", "-created_at", "due_date", "-due_date", "updated_at")


def test_every_pair_of_statuses_is_a_step_or_refused_and_times_follow(tenant, make_user, api):
    client = api(make_user("supervisor"))
    for before in TaskStatus.values:
        for after in TaskStatus.values:
            task = make()
            Task.objects.filter(pk=task.pk).update(status=before)
            answer = change(client, task.pk, status=after)
            allowed = after == before or after in FOLLOWS[before]
            assert answer.status_code == (200 if allowed else 422), (before, after)
            if not allowed:
                assert codes(answer) == [("/status", "illegal_transition")]
                continue
            body = answer.json()
            assert (body["completed_at"] is not None) == (after == "done" != before)
            if after in ("in_progress", "done") and before != after:
                assert body["started_at"] is not None


def test_a_task_is_not_born_finished(tenant, make_user, api):
    answer = api(make_user("supervisor")).post(URL, {"title": "x", "status": "done"})
    assert answer.status_code == 422 and codes(answer) == [("/status", "illegal_transition")]


def test_completing_tells_once_and_says_who(tenant, make_user, api):
    user = make_user("supervisor")
    task = make(assigned_to=user)
    answer = change(api(user), task.pk, status="done")
    assert answer.json()["completed_by"] == str(user.pk)
    assert [event.object_id for event in told("task.completed")] == [task.pk]
    assert [event.data["assigned_to"] for event in told("task.assigned")] == [str(user.pk)]
    assert change(api(user), task.pk, status="in_progress").json()["completed_by"] is None


# --- dependencies -------------------------------------------------------------------------------------------


def depend(client: Any, task: Task, on: Any, kind: str = "finish_to_start") -> Any:
    body = {"depends_on": str(getattr(on, "pk", on)), "dependency_type": kind}
    return client.post(f"{URL}{task.pk}/dependencies/", body)


@pytest.mark.parametrize(
    ("kind", "other", "start", "finish"),
    [
        ("finish_to_start", "pending", False, False),
        ("finish_to_start", "in_progress", False, False),
        ("finish_to_start", "done", True, True),
        ("finish_to_start", "cancelled", True, True),
        ("start_to_start", "pending", False, False),
        ("start_to_start", "in_progress", True, True),
        ("finish_to_finish", "pending", True, False),
        ("finish_to_finish", "in_progress", True, False),
        ("finish_to_finish", "done", True, True),
        ("start_to_finish", "pending", True, False),
        ("start_to_finish", "in_progress", True, True),
    ],
)
def test_a_dependency_holds_back_what_it_says(tenant, make_user, api, kind, other, start, finish):
    client, first, second = api(make_user("supervisor")), make("first"), make("second")
    assert depend(client, second, first, kind).status_code == 201
    if other != "pending":
        assert change(client, first.pk, status=other).status_code == 200
    for status, free in (("in_progress", start), ("done", finish)):
        Task.objects.filter(pk=second.pk).update(status="pending")
        answer = change(client, second.pk, status=status)
        assert answer.status_code == (200 if free else 422), status
        if not free:
            assert codes(answer) == [("/status", "waits_for_others")]


def test_circles_doubles_and_oneself_are_refused(tenant, make_user, api):
    client, rows = api(make_user("supervisor")), [make(str(n)) for n in range(4)]
    for n in range(3):
        assert depend(client, rows[n + 1], rows[n]).status_code == 201
    for task, on, code in (
        (rows[0], rows[3], "circular"),
        (rows[1], rows[1], "circular"),
        (rows[2], rows[1], "already_depends"),
    ):
        answer = depend(client, task, on)
        assert answer.status_code == 422 and codes(answer) == [("/depends_on", code)]
    first = client.get(f"{URL}{rows[3].pk}/dependencies/").json()["data"][0]["id"]
    url = f"{URL}{rows[3].pk}/dependencies/{first}/"
    assert client.delete(url, HTTP_IF_MATCH="*").status_code == 204
    assert depend(client, rows[0], rows[3]).status_code == 201
    assert client.put(url, {}).status_code == client.patch(url, {}).status_code == 405


# --- who ----------------------------------------------------------------------------------------------------


def test_an_agent_sees_own_tasks_only_and_cannot_give_them_away(tenant, make_user, api):
    agent, other = make_user("agent"), make_user("agent")
    mine, theirs = make("mine", assigned_to=agent), make("theirs", assigned_to=other)
    client = api(agent)
    assert [one["id"] for one in client.get(URL).json()["data"]] == [str(mine.pk)]
    for path in ("", "comments/", "dependencies/", "reminders/", "checklist/"):
        assert client.get(f"{URL}{theirs.pk}/{path}").status_code == 404
    assert change(client, theirs.pk, title="x").status_code == 404
    assert depend(client, mine, theirs).status_code == 422
    answer = change(client, mine.pk, assigned_to=str(other.pk))
    assert answer.status_code == 403 and answer.json()["permission"] == "tasks.assign"
    assert client.post(URL, {"title": "x", "assigned_to": str(other.pk)}).status_code == 403
    made = client.post(URL, {"title": "x", "assigned_to": str(agent.pk)})
    assert made.status_code == 201 and made.json()["created_by"] == str(agent.pk)


def test_case_workers_see_and_change_their_teams_tasks_and_nobody_elses(tenant, make_user, api):
    from web.shared.accounts.models import Team, TeamMember

    mine, mate, other = (make_user("case_worker") for _ in range(3))
    team = Team.objects.create(tenant=tenant, name="Coast")
    for user in (mine, mate):
        TeamMember.objects.create(team=team, user=user)
    theirs, foreign = make("mate's", assigned_to=mate), make("other's", assigned_to=other)
    client = api(mine)
    assert [one["title"] for one in client.get(URL).json()["data"]] == ["mate's"]
    assert change(client, theirs.pk, title="ours").status_code == 200
    assert change(client, foreign.pk, title="ours").status_code == 404
    assert client.delete(f"{URL}{theirs.pk}/", HTTP_IF_MATCH="*").status_code == 403


def test_foreign_and_unknown_ids_in_bodies_are_refused_alike(tenants, make_user, api):
    stranger = make_user("agent", tenant=tenants[1])
    with tenant_context(tenants[1].pk):
        foreign = make("theirs")
    with tenant_context(tenants[0].pk):
        task = make()
    client = api(make_user("supervisor"))
    for body, pointer in (
        ({"assigned_to": "{}"}, "/assigned_to"),
        ({"contact": "{}"}, "/contact"),
        ({"entity_type": "task", "entity_id": "{}"}, "/entity_id"),
    ):
        said = []
        for pk in (foreign.pk, stranger.pk, uuid.uuid4()):
            values = {name: value.format(pk) for name, value in body.items()}
            answer = change(client, task.pk, **values)
            assert answer.status_code == 422 and codes(answer) == [(pointer, "does_not_exist")]
            said.append(answer.json()["errors"])
        assert said[0] == said[1] == said[2]
    assert depend(client, task, foreign).status_code == 422
    answer = client.post(f"{URL}bulk/complete/", {"ids": [str(task.pk), str(foreign.pk)]})
    assert answer.status_code == 422 and codes(answer) == [("/ids/1", "does_not_exist")]
    with tenant_context(tenants[0].pk):
        assert Task.objects.get().status == "pending"
    with tenant_context(tenants[1].pk):
        assert Task.objects.get().revision == 1


PARTS = {
    "comments": {"content": "x"},
    "reminders": {"remind_at": "2099-01-01T00:00:00Z"},
    "checklist": {"text": "x"},
    "dependencies": {},
}


def test_parts_of_another_organisations_task_are_nowhere(tenants, make_user, api):
    boss = api(make_user("admin", tenant=tenants[1]), tenant=tenants[1])
    with tenant_context(tenants[1].pk):
        foreign, other = make("theirs"), make("too")
    with tenant_context(tenants[0].pk):
        mine = make("mine")
    theirs = {}
    for part, body in PARTS.items():
        given = body or {"depends_on": str(other.pk)}
        made = boss.post(f"{URL}{foreign.pk}/{part}/", given)
        assert made.status_code == 201, made.content
        theirs[part] = made.json()["id"]
    client = api(make_user("admin"))
    for part, body in PARTS.items():
        for task in (foreign.pk, mine.pk, uuid.uuid4(), "nonsense"):
            at = f"{URL}{task}/{part}/"
            answers = [
                client.get(f"{at}{theirs[part]}/"),
                client.delete(f"{at}{theirs[part]}/", HTTP_IF_MATCH="*"),
            ]
            if part != "dependencies":
                answers.append(client.patch(f"{at}{theirs[part]}/", body, HTTP_IF_MATCH="*"))
            if task != mine.pk:
                answers += [client.get(at), client.post(at, body)]
            assert [answer.status_code for answer in answers] == [404] * len(answers), (part, task)
        assert boss.get(f"{URL}{foreign.pk}/{part}/{theirs[part]}/").status_code == 200


def test_a_viewer_reads_parts_and_writes_none(tenant, make_user, api):
    task, client = make(), api(make_user("viewer"))
    for part, body in PARTS.items():
        assert client.get(f"{URL}{task.pk}/{part}/").status_code == 200
        assert client.post(f"{URL}{task.pk}/{part}/", body).status_code == 403


# --- many at once -------------------------------------------------------------------------------------------


def test_bulk_completion_follows_dependencies_or_changes_nothing(tenant, make_user, api):
    user = make_user("supervisor")
    client, rows = api(user), [make(str(n), assigned_to=user) for n in range(3)]
    depend(client, rows[0], rows[1])
    depend(client, rows[1], rows[2])
    ids = [str(row.pk) for row in rows]
    answer = client.post(f"{URL}bulk/complete/", {"ids": ids[:2]})
    assert answer.status_code == 422
    assert codes(answer) == [("/ids/0", "waits_for_others"), ("/ids/1", "waits_for_others")]
    assert not Task.objects.filter(status="done").exists() and not told("task.completed")
    answer = client.post(f"{URL}bulk/complete/", {"ids": ids})
    assert answer.status_code == 200 and answer.json() == {"changed": 3}
    assert Task.objects.filter(status="done").count() == 3 == len(told("task.completed"))


def test_bulk_assignment(tenant, make_user, api):
    user, client = make_user("agent"), api(make_user("supervisor"))
    ids = [str(make(str(n)).pk) for n in range(3)]
    answer = client.post(f"{URL}bulk/assign/", {"ids": ids, "assigned_to": str(user.pk)})
    assert answer.status_code == 200 and len(told("task.assigned")) == 3
    assert api(user).post(f"{URL}bulk/assign/", {"ids": ids, "assigned_to": None}).status_code == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"title": "\x00"}),
        ("", {"title": "x" * 201}),
        ("", {"title": "x", "due_date": "9999-12-31T23:59:59-14:00"}),
        ("", {"title": "x", "due_date": "yesterday"}),
        ("", {"title": "x", "estimated_hours": "-1"}),
        ("", {"title": "x", "estimated_hours": "1e9"}),
        ("", {"title": "x", "estimated_hours": "NaN"}),
        ("", {"title": "x", "entity_type": "task"}),
        ("", {"title": "x", "entity_type": "nonsense", "entity_id": str(uuid.uuid4())}),
        ("", {"title": "x", "assigned_to": ["x"]}),
        ("", {"title": "x", "assigned_to": 7}),
        ("", {"title": "x", "series": str(uuid.uuid4())}),
        ("bulk/complete/", {"ids": []}),
        ("bulk/complete/", {"ids": ["x"]}),
        ("bulk/complete/", {"ids": "x"}),
        ("bulk/assign/", {"ids": [str(uuid.uuid4())]}),
        ("series/preview/", {"recurrence": "FREQ=DAILY", "starts_at": "0001-01-01T00:00:00Z"}),
        ("series/preview/", {"recurrence": "\x00", "starts_at": "2027-01-01T00:00:00Z"}),
        ("series/", {"title": "x", "recurrence": "FREQ=DAILY", "starts_at": "2027-01-01T00:00:00Z",
                     "checklist": [""]}),
    ],
)  # fmt: skip
def test_hostile_bodies_are_problems(tenant, make_user, api, path, body):
    answer = api(make_user("supervisor")).post(f"{URL}{path}", body)
    assert answer.status_code in (400, 422), answer.content
    assert not Task.objects.exists()


# --- parts --------------------------------------------------------------------------------------------------


def test_comments_tell_whom_they_mention_and_are_changed_by_their_author(tenant, make_user, api):
    author, other = make_user("case_worker"), make_user("agent")
    task = make(assigned_to=author)
    client, url = api(author), f"{URL}{task.pk}/comments/"
    body = {"content": "Please look", "mentions": [str(other.pk), str(other.pk)], "is_internal": False}
    made = client.post(url, body)
    assert made.status_code == 201 and made.json()["mentions"] == [str(other.pk)]
    [event] = told("task.commented")
    assert event.data["mentions"] == [str(other.pk)] and "Please" not in str(event.data)
    bad = client.post(url, {"content": "x", "mentions": [str(other.pk), str(uuid.uuid4())]})
    assert bad.status_code == 422 and codes(bad) == [("/mentions/1", "does_not_exist")]
    at = f"{url}{made.json()['id']}/"
    boss = api(make_user("supervisor"))
    assert boss.patch(at, {"content": "y"}, HTTP_IF_MATCH="*").status_code == 403
    assert client.patch(at, {"content": "y"}, HTTP_IF_MATCH="*").status_code == 200
    assert boss.delete(at, HTTP_IF_MATCH="*").status_code == 204


def test_a_checklist_keeps_its_order_and_who_ticked_it(tenant, make_user, api):
    user = make_user("supervisor")
    client, url = api(user), f"{URL}{make().pk}/checklist/"
    ids = [client.post(url, {"text": text}).json()["id"] for text in ("one", "two", "three")]
    ticked = client.patch(f"{url}{ids[1]}/", {"is_done": True}, HTTP_IF_MATCH="*").json()
    assert ticked["done_by"] == str(user.pk) and ticked["done_at"]
    client.patch(f"{url}{ids[0]}/", {"position": 9}, HTTP_IF_MATCH="*")
    assert [one["text"] for one in client.get(url).json()["data"]] == ["two", "three", "one"]


# --- time ---------------------------------------------------------------------------------------------------


def test_a_due_date_that_passes_is_told_once_and_again_for_a_new_one(tenant, make_user, api):
    past = timezone.now() - timedelta(hours=1)
    late, _ = make(due_date=past), make(due_date=past + timedelta(days=1))
    closed = make(due_date=past)
    services.task_update(actor=ACTOR, task=closed, values={"status": "cancelled"})
    for _ in range(2):
        due.everything_due()
    assert [event.object_id for event in told("task.overdue")] == [late.pk]
    client = api(make_user("supervisor"))
    assert [one["id"] for one in client.get(f"{URL}?is_overdue=true").json()["data"]] == [str(late.pk)]
    change(client, late.pk, due_date=(past + timedelta(minutes=5)).isoformat())
    due.everything_due()
    assert len(told("task.overdue")) == 2


def test_a_reminder_comes_once_to_whoever_has_the_task_then(tenant, make_user, api):
    first, second = make_user("agent"), make_user("agent")
    task = make(assigned_to=first)
    url = f"{URL}{task.pk}/reminders/"
    soon = timezone.now() + timedelta(hours=1)
    client = api(first)
    assert client.post(url, {"remind_at": soon.isoformat()}).status_code == 201
    assert client.post(url, {"remind_at": (soon - timedelta(days=1)).isoformat()}).status_code == 422
    services.task_update(actor=ACTOR, task=task, values={"assigned_to": second})
    TaskReminder.objects.update(remind_at=timezone.now())
    for _ in range(2):
        due.everything_due()
    assert [event.data["recipient"] for event in told("task.reminder")] == [str(second.pk)]


# --- others -------------------------------------------------------------------------------------------------


def test_timeline_export_erasure_and_merge_reach_a_contacts_tasks(tenant, make_user, api):
    from web.tenant.contacts.models import Contact

    person, other = Contact.objects.create(first_name="Amina"), Contact.objects.create(first_name="Asha")
    client = api(make_user("supervisor"))
    direct = client.post(URL, {"title": "Call Amina", "contact": str(person.pk)})
    assert direct.status_code == 201, direct.content
    task = Task.objects.get()
    client.post(f"{URL}{task.pk}/comments/", {"content": "Amina was away"})
    client.post(f"{URL}{task.pk}/checklist/", {"text": "Ask Amina"})
    change(client, task.pk, status="done")
    story = timeline.read("contact", person.pk, everything())
    assert {"task.completed", "task.created"} <= {entry.kind for entry in story}
    assert "Amina was away" in str(erasure.exporters["tasks"](person.pk))
    move, undo = erasure.mergers["tasks"]
    record = move(person.pk, other.pk)
    assert Task.objects.get().contact_id == other.pk
    undo(record)
    assert Task.objects.get().contact_id == person.pk
    services.task_delete(actor=ACTOR, task=task)
    assert erasure.erasers["tasks"](person.pk, ACTOR) == 3
    with connection.cursor() as cursor:
        for table in ("tasks_task", "tasks_taskcomment", "tasks_taskchecklistitem"):
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%Amina%'")
            assert cursor.fetchone() == (0,)


def test_the_entity_is_seen_by_those_who_see_the_task(tenant, make_user):
    task = make()
    assert entities.row("task", task.pk, everything()) == task
    assert entities.facts_of("task", task)["task.status"] == "pending"


def test_a_list_takes_the_same_queries_for_one_row_and_for_many(tenant, make_user, api):
    user = make_user("supervisor")
    client = api(user)
    counts = []
    for more in (1, 9):
        for n in range(more):
            make(str(n), assigned_to=user)
        with CaptureQueriesContext(connection, ) as queries:  # fmt: skip
            assert client.get(URL).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_workflow_makes_a_task_on_its_entity(tenant, make_user):
    from web.tenant.workflows import actions

    user, stranger = make_user("agent"), uuid.uuid4()
    parent = make("parent", assigned_to=user)
    found = actions.get("task.create")
    assert found is not None
    for assign, expected in (("assignee", user.pk), (str(user.pk), user.pk), (str(stranger), None)):
        call = actions.ActionCall(
            "task", parent.pk, {"title": "Follow", "assign": assign, "due_in_hours": 2}, ACTOR, uuid.uuid4()
        )
        said = found.run(call)
        assert said is not None
        task = Task.objects.get(pk=said["task"])
        assert (task.entity_id, task.assigned_to_id) == (parent.pk, expected)
        assert task.due_date is not None
