"""Notifications: who is told what of which event, once; what they may still read; preferences; chains."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.api_cases import ReadCases, ResourceCases
from web.shared.core import erasure, events, push
from web.shared.core.actor import Actor, ActorKind, system
from web.shared.records.models import DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.notifications import consume, delivery, escalation, rendering, services
from web.tenant.notifications.models import (
    Escalation,
    Notification,
    NotificationDelivery,
    NotificationRule,
)
from web.tenant.tasks import services as tasks

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
URL = "/api/v1/notifications/"
RULES = f"{URL}rules/"


def task(title: str = "Visit Amina", actor: Actor = ACTOR, **values: Any) -> Any:
    return tasks.task_create(actor=actor, values={"title": title, **values})


def rule(**values: Any) -> NotificationRule:
    steps = values.pop("steps", [])
    given = {
        "name": "New tasks",
        "trigger_event": "task.created",
        "recipients": ["supervisor"],
        "template": "{{ task.title }}",
        **values,
    }
    return services.rule_create(actor=ACTOR, values=given, steps=steps)


def run() -> None:
    """As the consumer does, in the transaction of the test: all events so far."""
    consume.consume(list(DomainEvent.objects.order_by("sequence")))


def told() -> list[tuple[Any, str]]:
    return [(row.user_id, row.message) for row in Notification.objects.order_by("created_at", "pk")]


class TestRules(ResourceCases):
    url = RULES
    created = {
        "name": "Late tasks",
        "trigger_event": "task.overdue",
        "conditions": {"==": [{"var": "task.priority"}, "high"]},
        "recipients": ["assignee", "supervisor"],
        "channels": ["in_app", "email"],
        "template": "{{ task.title }} is late",
        "escalation": [{"after_minutes": 15, "recipients": ["admin"], "channels": ["email"]}],
    }
    updated = {"name": "Very late tasks", "is_urgent": True}
    refused = {"trigger_event": "task.nonsense"}
    may_view = "supervisor"
    may_not = "viewer"
    sorts = ("created_at", "-created_at", "name", "-name")


class TestOwn(ReadCases):
    url = URL
    may_view = "supervisor"

    def make(self, tenant: Any, **values: Any) -> str:
        """One notification of the person who will look; in the other tenant, of somebody there."""
        user = self._reader(tenant)
        made = task(assigned_to=user)
        consume.consume(list(DomainEvent.objects.filter(object_id=made.pk, type="task.assigned")))
        return str(Notification.objects.get(entity_id=made.pk).pk)

    def client(self, role: str, tenant: Any = None) -> Any:
        return self.api(self._reader(tenant or self.tenants[0]), tenant=tenant)

    def _reader(self, tenant: Any) -> Any:
        readers = self.__dict__.setdefault("readers", {})
        if tenant.pk not in readers:
            readers[tenant.pk] = self.make_user("supervisor", tenant=tenant)
        return readers[tenant.pk]


# --- rules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"channels": ["pigeon"]}, "/channels"),
        ({"trigger_event": "task.deleted"}, "/trigger_event"),
        ({"template": "{{ task.password }}"}, "/template"),
        ({"template": "{{ task.title"}, "/template"),
        ({"template": "{% include 'x' %}"}, "/template"),
        ({"template": "{{ task.title.__class__ }}"}, "/template"),
        ({"title": "{{ contact.name }}"}, "/title"),
        ({"recipients": ["nobody_such"]}, "/recipients"),
        ({"recipients": [str(uuid.uuid4())]}, "/recipients"),
        ({"recipients": [f"team:{uuid.uuid4()}"]}, "/recipients"),
        ({"conditions": {"exec": ["x"]}}, "/conditions"),
        ({"escalation": [{"after_minutes": 5, "recipients": ["nobody_such"]}]}, "/escalation"),
    ],
)
def test_what_a_rule_does_not_know_is_refused_when_it_is_saved(tenant, make_user, api, body, pointer):
    answer = api(make_user("supervisor")).post(RULES, {**TestRules.created, **body})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)
    assert not NotificationRule.objects.exists()


def test_a_foreign_user_is_no_recipient(tenants, make_user, api):
    stranger = make_user("supervisor", tenant=tenants[1])
    answer = api(make_user("supervisor")).post(RULES, {**TestRules.created, "recipients": [str(stranger.pk)]})
    assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == "does_not_exist"


def test_the_seeds_spelling_of_an_event_is_understood(tenant, make_user, api):
    answer = api(make_user("supervisor")).post(RULES, {**TestRules.created, "trigger_event": "task_overdue"})
    assert answer.status_code == 201 and answer.json()["trigger_event"] == "task.overdue"


def test_triggers_name_their_variables(tenant, make_user, api):
    listed = api(make_user("supervisor")).get(f"{URL}triggers/").json()["data"]
    assert "task.title" in {one["type"]: one for one in listed}["task.overdue"]["variables"]


# --- consuming ----------------------------------------------------------------------------------------------


def test_each_recipient_is_told_once_however_often_an_event_is_handed_on(tenant, make_user):
    boss, other = make_user("supervisor"), make_user("supervisor")
    rule()
    rule(name="Again", template="Another rule", recipients=["supervisor", str(boss.pk)])
    task()
    for _ in range(3):
        run()
    assert sorted(told()) == sorted([(boss.pk, "Visit Amina"), (other.pk, "Visit Amina")])
    assert NotificationDelivery.objects.count() == 2


def test_a_consumer_killed_in_the_middle_leaves_nothing_half(tenant, make_user, monkeypatch):
    from django.db import transaction

    make_user("supervisor"), make_user("supervisor")
    rule()
    task()
    wrote: list[Any] = []
    real = consume._write

    def dying(*args: Any) -> Any:
        if wrote:
            raise RuntimeError("killed")
        wrote.append(real(*args))
        return wrote[0]

    monkeypatch.setattr(consume, "_write", dying)
    with pytest.raises(RuntimeError), transaction.atomic():
        run()
    assert not Notification.objects.exists() and not NotificationDelivery.objects.exists()
    monkeypatch.undo()
    run()
    assert Notification.objects.count() == 2


def test_conditions_choose_and_the_actor_is_not_told_of_their_own_deed(tenant, make_user):
    boss, other = make_user("supervisor"), make_user("supervisor")
    rule(conditions={"==": [{"var": "task.priority"}, "urgent"]})
    task("quiet one")
    task("loud one", actor=Actor(ActorKind.USER, id=boss.pk), priority="urgent")
    run()
    assert told() == [(other.pk, "loud one")]


def test_people_who_may_not_see_the_task_are_not_told(tenant, make_user):
    agent, owner = make_user("agent"), make_user("agent")
    rule(recipients=["agent"])
    task(assigned_to=owner)
    run()
    assert {user for user, _ in told()} == {owner.pk}
    assert agent.pk != owner.pk


def test_built_in_notices_reach_the_assignee_the_mentioned_and_the_reminded(tenant, make_user):
    from web.tenant.tasks import due, parts
    from web.tenant.tasks.models import TaskReminder

    first, second = make_user("case_worker"), make_user("supervisor")
    one = task(assigned_to=first, due_date=timezone.now() - timedelta(minutes=1))
    parts.comment_add(actor=ACTOR, task=one, values={"content": "secret", "mentions": [str(second.pk)]})
    soon = timezone.now() + timedelta(minutes=5)
    parts.reminder_add(actor=ACTOR, task=one, values={"remind_at": soon, "user": second})
    TaskReminder.objects.update(remind_at=timezone.now())
    due.everything_due()
    run()
    kinds = {(row.user_id, row.notification_type) for row in Notification.objects.all()}
    assert kinds == {
        (first.pk, "task.assigned"),
        (first.pk, "task.overdue"),
        (second.pk, "task.commented"),
        (second.pk, "task.reminder"),
    }
    assert "secret" not in str(told())


def test_old_events_are_passed_over(tenant, make_user):
    make_user("supervisor")
    rule()
    task()
    events_then = list(DomainEvent.objects.all())
    for event in events_then:
        event.at -= timedelta(days=2)
    consume.consume(events_then)
    assert told() == []


def test_a_hostile_title_stays_one_line_of_text_and_is_no_template(tenant, make_user):
    make_user("supervisor")
    rule(title="{{ task.title }}", template="{{ task.title }}/{{ recipient.name }}")
    task("A\r\nBcc: x@example.com\x1b[31m {{ organisation.name }} \u202etxt <b>")
    run()
    row = Notification.objects.get()
    assert row.title == "A Bcc: x@example.com[31m {{ organisation.name }} txt <b>"
    assert row.message.endswith("/Supervisor")
    assert rendering.clean("x" * 1000) == "x" * 299 + "…"


def test_a_due_date_at_the_end_of_time_is_only_a_date(tenant, make_user):
    from datetime import UTC, datetime

    make_user("supervisor")
    rule(template="{{ task.due_date }}")
    task(due_date=datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
    run()
    assert [message for _, message in told()] == ["9999-12-31 23:59"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "\x00"},
        {"template": "a\x00b"},
        {"conditions": {"==": [{"var": "task.title"}, "\x00"]}},
        {"conditions": [[[[]]]]},
        {"conditions": "x"},
        {"conditions": {"and": [{"not": [True]}] * 500}},
        {"recipients": ["\x00"]},
        {"recipients": [{"a": 1}]},
        {"recipients": ["team:"]},
        {"recipients": ["x"] * 51},
        {"channels": {}},
        {"channels": ["email", "email"]},
        {"escalation": {"after_minutes": 5}},
        {"escalation": [{"after_minutes": 10**12, "recipients": ["admin"]}]},
        {"escalation": [{"after_minutes": 5, "recipients": ["admin"]}] * 11},
    ],
)
def test_hostile_rules_are_problems(tenant, make_user, api, body):
    answer = api(make_user("supervisor")).post(RULES, {**TestRules.created, **body})
    assert answer.status_code in (400, 422), answer.content
    assert not NotificationRule.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"channels": {"\x00": ["email"]}},
        {"channels": {"a.b": "email"}},
        {"channels": []},
        {"channels": {f"a{n}.b": [] for n in range(201)}},
        {"quiet_start": "25:00"},
        {"quiet_start": None, "quiet_end": "07:00"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "\x00"},
        {"digest": 5},
        {"user": "x"},
    ],
)
def test_hostile_preferences_are_problems(tenant, make_user, api, body):
    answer = api(make_user("agent")).patch(f"{URL}preferences/", body, HTTP_IF_MATCH="*")
    assert answer.status_code in (400, 422), answer.content


def test_a_team_is_told_through_the_real_drain(tenant, make_user):
    from web.shared.accounts.models import Team, TeamMember

    mate = make_user("supervisor")
    team = Team.objects.create(tenant=tenant, name="Night")
    TeamMember.objects.create(team=team, user=mate)
    rule(recipients=[f"team:{team.pk}"])
    task()
    run()
    assert told() == [(mate.pk, "Visit Amina")]


# --- reading ------------------------------------------------------------------------------------------------


def test_reading_marking_counting_and_dismissing_ones_own(tenant, make_user, api):
    user = make_user("supervisor")
    client, other = api(user), api(make_user("admin"))
    for n in range(3):
        task(str(n), assigned_to=user)
    run()
    rows = client.get(URL).json()["data"]
    assert len(rows) == 3 and client.get(f"{URL}unread/").json() == {"unread": 3}
    at = f"{URL}{rows[0]['id']}/"
    for answer in (other.get(at), other.patch(at, {"is_read": True}, HTTP_IF_MATCH="*"),
                   other.post(f"{at}acknowledge/")):  # fmt: skip
        assert answer.status_code == 404
    assert other.get(URL).json()["data"] == []
    assert client.patch(at, {"is_read": True}).status_code == 428
    read = client.patch(at, {"is_read": True}, HTTP_IF_MATCH="*").json()
    assert read["is_read"] and read["read_at"]
    assert client.patch(at, {"title": "x"}, HTTP_IF_MATCH="*").status_code == 422
    assert [one["id"] for one in client.get(f"{URL}?is_read=true").json()["data"]] == [rows[0]["id"]]
    assert client.post(f"{URL}read-all/").json() == {"marked": 2}
    assert client.delete(at, HTTP_IF_MATCH="*").status_code == 204
    assert len(client.get(URL).json()["data"]) == 2


def test_who_lost_sight_of_the_entity_gets_none_of_its_words(tenant, make_user, api):
    first, second = make_user("agent"), make_user("agent")
    one = task("Visit Amina", assigned_to=first)
    run()
    client = api(first)
    [row] = client.get(URL).json()["data"]
    assert "Visit Amina" in row["message"] and not row["is_hidden"]
    tasks.task_update(actor=ACTOR, task=one, values={"assigned_to": second})
    at = f"{URL}{row['id']}/"
    for answer in (client.get(at), client.get(URL), client.patch(at, {"is_read": False}, HTTP_IF_MATCH="*")):
        assert answer.status_code == 200 and b"Amina" not in answer.content
    assert client.get(at).json()["is_hidden"]
    sent: list[Any] = []
    delivery.senders["email"], real = sent.append, delivery.senders["email"]
    try:
        delivery.deliver_due()
    finally:
        delivery.senders["email"] = real
    assert sent == []
    assert NotificationDelivery.objects.get(channel="email", notification=row["id"]).error == "not_visible"


def test_a_list_takes_the_same_queries_for_one_row_and_for_many(tenant, make_user, api):
    user = make_user("supervisor")
    client, counts = api(user), []
    for more in (1, 8):
        for n in range(more):
            task(str(n), assigned_to=user)
        run()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(URL).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_pushes_carry_the_tenant_and_leave_after_the_commit(
    tenants, make_user, django_capture_on_commit_callbacks, monkeypatch
):
    user = make_user("supervisor")
    make_user("supervisor", tenant=tenants[1], email=user.email)
    sent: list[push.Message] = []
    monkeypatch.setattr(push, "_senders", [sent.extend])
    for tenant in tenants:
        with tenant_context(tenant.pk), django_capture_on_commit_callbacks(execute=True):
            task(f"of {tenant.pk}", assigned_to=user)
            run()
            assert not [message for message in sent if message.tenant_id == tenant.pk]
    assert [(one.tenant_id, one.user_id) for one in sent] == [(one.pk, user.pk) for one in tenants]
    assert all(message.data["message"].startswith(f"of {message.tenant_id}") for message in sent)


def test_a_push_that_fails_is_swallowed(tenant, make_user, django_capture_on_commit_callbacks, monkeypatch):
    def away(_: Any) -> None:
        raise ConnectionError

    user = make_user("supervisor")
    monkeypatch.setattr(push, "_senders", [away])
    with django_capture_on_commit_callbacks(execute=True):
        task(assigned_to=user)
        run()
    assert len(told()) == 1
    monkeypatch.setattr(push, "_not_before", 0.0)


# --- preferences --------------------------------------------------------------------------------------------


def prefer(api: Any, user: Any, **values: Any) -> Any:
    answer = api(user).patch(f"{URL}preferences/", values, HTTP_IF_MATCH="*")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_preferences_are_ones_own_with_etags(tenant, make_user, api):
    client = api(make_user("agent"))
    first = client.get(f"{URL}preferences/")
    assert first.status_code == 200 and first.json()["digest"] == "none"
    assert client.patch(f"{URL}preferences/", {"digest": "daily"}).status_code == 428
    done = client.patch(f"{URL}preferences/", {"digest": "daily"}, HTTP_IF_MATCH=first["ETag"])
    assert done.status_code == 200 and done.json()["digest"] == "daily"
    stale = client.patch(f"{URL}preferences/", {"digest": "none"}, HTTP_IF_MATCH=first["ETag"])
    assert stale.status_code == 412
    for body in (
        {"quiet_start": "22:00"},
        {"quiet_start": "22:00", "quiet_end": "22:00"},
        {"time_zone": "Mars/Olympus"},
        {"channels": {"task.assigned": ["pigeon"]}},
        {"channels": {"Task!": ["email"]}},
    ):
        assert client.patch(f"{URL}preferences/", body, HTTP_IF_MATCH="*").status_code == 422, body
    assert api(make_user("agent")).get(f"{URL}preferences/").json()["digest"] == "none"


def test_the_most_exact_type_decides_the_channels_and_none_means_silence(tenant, make_user, api):
    user = make_user("supervisor")
    prefer(api, user, channels={"*": ["email"], "task.*": ["in_app"], "task.created": []})
    rule(channels=["in_app", "email"])
    task(assigned_to=user)
    run()
    assert [row.notification_type for row in Notification.objects.all()] == ["task.assigned"]
    assert [row.channel for row in NotificationDelivery.objects.all()] == ["in_app"]


def quiet_now(api: Any, user: Any) -> Any:
    """Quiet from an hour ago until in two hours, by UTC."""
    now = timezone.now()
    start, end = now - timedelta(hours=1), now + timedelta(hours=2)
    prefer(api, user, time_zone="UTC", quiet_start=f"{start:%H:%M}:00", quiet_end=f"{end:%H:%M}:00")
    return end.replace(second=0, microsecond=0)


def test_quiet_hours_hold_mail_back_but_neither_the_screen_nor_what_is_urgent(tenant, make_user, api):
    user = make_user("supervisor")
    end = quiet_now(api, user)
    rule(channels=["in_app", "email"])
    task("calm")
    run()
    NotificationRule.objects.update(is_urgent=True)
    task("urgent")
    run()
    rows = {
        (row.notification.message, row.channel): row
        for row in NotificationDelivery.objects.select_related("notification")
    }
    assert rows["calm", "in_app"].state == rows["urgent", "in_app"].state == "sent"
    assert rows["calm", "email"].next_at == end
    assert rows["urgent", "email"].next_at <= timezone.now()


def test_a_retry_does_not_break_into_quiet_hours_that_came_meanwhile(tenant, make_user, api):
    user = make_user("supervisor")
    task(assigned_to=user)
    run()
    end = quiet_now(api, user)
    delivery.deliver_due()
    row = NotificationDelivery.objects.get(channel="email")
    assert (row.state, row.attempts, row.next_at) == ("pending", 0, end)


def test_sms_says_honestly_that_nobody_carries_it(tenant, make_user):
    make_user("supervisor")
    rule(channels=["in_app", "sms"])
    task()
    run()
    delivery.deliver_due()
    row = NotificationDelivery.objects.get(channel="sms")
    assert (row.state, row.error) == ("failed", "no_provider")
    assert Notification.objects.get().delivery_status == "failed"


# --- escalation ---------------------------------------------------------------------------------------------

CHAIN = [
    {"after_minutes": 10, "recipients": ["admin"], "channels": ["in_app", "email"]},
    {"after_minutes": 30, "recipients": ["supervisor", "admin"], "channels": ["email"]},
]


def later(**back: Any) -> None:
    """Time passes for chains."""
    for row in Escalation.objects.filter(due_at__isnull=False):
        assert row.due_at is not None
        Escalation.objects.filter(pk=row.pk).update(due_at=row.due_at - timedelta(**back))


def test_unacknowledged_the_next_ones_are_told_step_by_step_and_only_once(tenant, make_user, api):
    boss, chief = make_user("supervisor"), make_user("admin")
    rule(steps=CHAIN)
    task()
    run()
    assert [user for user, _ in told()] == [boss.pk]
    assert escalation.escalate_due() == 0
    later(minutes=11)
    assert (escalation.escalate_due(), escalation.escalate_due()) == (1, 0)
    assert [user for user, _ in told()] == [boss.pk, chief.pk]
    later(minutes=31)
    assert escalation.escalate_due() == 1
    assert len(told()) == 2 and Escalation.objects.get().due_at is None
    steps = NotificationDelivery.objects.filter(notification__user=boss).order_by("step")
    assert [(row.channel, row.step) for row in steps] == [("in_app", 0), ("email", 2)]
    run()
    assert len(told()) == 2 and Escalation.objects.count() == 1


def test_one_acknowledgement_ends_the_chain_for_all(tenant, make_user, api):
    boss, other = make_user("supervisor"), make_user("supervisor")
    rule(steps=CHAIN)
    task()
    run()
    client = api(boss)
    [row] = client.get(URL).json()["data"]
    assert row["needs_acknowledgement"]
    for _ in range(2):
        answer = client.post(f"{URL}{row['id']}/acknowledge/")
        assert answer.status_code == 200, answer.content
        assert answer.json()["acknowledged_at"] and answer.json()["is_read"]
        assert not answer.json()["needs_acknowledgement"]
    [theirs] = api(other).get(URL).json()["data"]
    assert not theirs["needs_acknowledgement"] and not theirs["is_read"]
    later(minutes=60)
    assert escalation.escalate_due() == 0
    assert Escalation.objects.get().acknowledged_by_id == boss.pk


def test_who_is_told_by_several_rules_can_end_every_chain(tenant, make_user, api):
    boss = make_user("supervisor")
    make_user("admin")
    rule(name="without")
    rule(name="first", steps=CHAIN)
    rule(name="second", steps=CHAIN[:1])
    task()
    run()
    [row] = api(boss).get(URL).json()["data"]
    assert row["needs_acknowledgement"] and Escalation.objects.count() == 2
    assert api(boss).post(f"{URL}{row['id']}/acknowledge/").status_code == 200
    later(minutes=60)
    assert escalation.escalate_due() == 0 and len(told()) == 1


def test_a_chain_of_a_rule_that_was_switched_off_ends(tenant, make_user):
    make_user("supervisor"), make_user("admin")
    made = rule(steps=CHAIN)
    task()
    run()
    services.rule_update(actor=ACTOR, rule=made, values={"is_active": False})
    later(minutes=11)
    escalation.escalate_due()
    assert len(told()) == 1 and Escalation.objects.get().due_at is None


# --- others -------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_a_rule_would_have_done_and_does_nothing(tenant, make_user, api):
    boss = make_user("supervisor")
    made = rule(conditions={"==": [{"var": "task.priority"}, "high"]}, is_active=False)
    task("one", priority="high")
    task("two")
    answer = api(boss).post(f"{RULES}{made.pk}/dry-run/", {"days": 3})
    assert answer.status_code == 200, answer.content
    said = answer.json()
    assert (said["events"], said["matched"], said["notified"]) == (2, 1, 1)
    assert [one["users"] for one in said["examples"] if one["matched"]] == [[str(boss.pk)]]
    assert not Notification.objects.exists()


def test_erasing_exporting_and_merging_a_contact_reach_what_was_said_of_them(tenant, make_user):
    from web.tenant.contacts.models import Contact

    person, other = Contact.objects.create(first_name="Amina"), Contact.objects.create(first_name="Asha")
    user = make_user("supervisor")
    task("Visit Amina", assigned_to=user, contact=person)
    run()
    assert "Visit Amina" in str(erasure.exporters["notifications"](person.pk))
    move, undo = erasure.mergers["notifications"]
    record = move(person.pk, other.pk)
    assert Notification.objects.get().contact == other.pk
    undo(record)
    assert erasure.erasers["notifications"](person.pk, ACTOR) == 1
    row = Notification.objects.get()
    assert "Amina" not in row.title + row.message
    assert NotificationDelivery.objects.get(channel="email").error == "erased"


def test_the_consumer_is_registered_under_its_name():
    assert events.consumers["notifications"] is consume.consume
