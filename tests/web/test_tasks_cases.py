"""Tasks of cases: who sees them, what happens to them when cases are merged, erased, told or expanded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web import kit_cases
from web.shared.core import erasure, timeline
from web.shared.core.actor import system
from web.shared.core.viewer import everything
from web.shared.records.models import DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.cases.services import merging, notes, watching
from web.tenant.notifications import consume
from web.tenant.notifications import services as notifications
from web.tenant.notifications.models import Notification
from web.tenant.tasks import series, services
from web.tenant.tasks.models import Task, TaskSeries

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
URL = "/api/v1/tasks/"


def task(title: str = "Visit", **values: Any) -> Task:
    return services.task_create(actor=ACTOR, values={"title": title, **values})


def listed(client: Any, query: str = "") -> set[str]:
    return {one["title"] for one in client.get(f"{URL}{query}").json()["data"]}


def run() -> None:
    consume.consume(list(DomainEvent.objects.order_by("sequence")))


def test_a_task_hangs_on_a_case_and_expands_into_it(tenants, make_user, api):
    with tenant_context(tenants[1].pk):
        foreign = kit_cases.case()
    with tenant_context(tenants[0].pk):
        case = kit_cases.case("Roof")
    client = api(make_user("supervisor"))
    made = client.post(URL, {"title": "Visit", "case": str(case.pk)})
    assert made.status_code == 201 and made.json()["case"] == str(case.pk)
    shown = client.get(f"{URL}{made.json()['id']}/?expand=case,created_by").json()
    assert shown["case"]["title"] == "Roof" and shown["created_by"]["name"] == "Supervisor"
    refused = client.post(URL, {"title": "Visit", "case": str(foreign.pk)})
    assert refused.status_code == 422 and refused.json()["errors"][0]["code"] == "does_not_exist"
    assert listed(client, f"?case={case.pk}") == {"Visit"} and listed(client, "?case=null") == set()
    assert client.get(f"{URL}?case=nonsense").status_code == 400


def test_tasks_of_a_restricted_case_are_seen_by_who_sees_the_case_or_has_the_task(tenant, make_user, api):
    worker, other, viewer = make_user("case_worker"), make_user("agent"), make_user("viewer")
    case = kit_cases.case("Secret", confidentiality="restricted", assigned_to=worker.pk)
    task("Of the secret", case=case, assigned_to=other)
    task("Plain")
    assert listed(api(viewer)) == {"Plain"}
    assert listed(api(other)) == {"Of the secret"}
    assert listed(api(make_user("admin"))) == {"Of the secret", "Plain"}
    pk = Task.objects.get(title="Of the secret").pk
    for path in ("", "comments/", "checklist/"):
        assert api(viewer).get(f"{URL}{pk}/{path}").status_code == 404


def test_tasks_of_a_case_that_was_merged_are_found_at_the_one_it_went_into(tenant, make_user, api):
    loser, winner = kit_cases.case("one"), kit_cases.case("two")
    task("Of the loser", case=loser)
    merge = merging.case_merge(actor=ACTOR, loser=loser, winner=winner)
    client = api(make_user("admin"))
    assert listed(client, f"?case={winner.pk}") == {"Of the loser"}
    told = [entry for entry in timeline.read("case", winner.pk, everything()) if entry.kind == "task.created"]
    assert [entry.data["title"] for entry in told] == ["Of the loser"]
    merging.merge_undo(actor=ACTOR, merge=merge)
    assert listed(client, f"?case={winner.pk}") == set()


def test_erasing_a_person_empties_the_tasks_and_series_of_their_cases(tenant, make_user):
    make_user("admin")
    person = kit_cases.contact()
    case, into = kit_cases.case(contact=person.pk), kit_cases.case()
    task("Visit Amina", case=case)
    values = {"title": "Call Amina", "recurrence": "FREQ=DAILY", "time_zone": "Africa/Nairobi", "case": case}
    from django.utils import timezone

    series.series_create(actor=ACTOR, values={**values, "starts_at": timezone.now()})
    notifications.rule_create(
        actor=ACTOR,
        values={
            "name": "Tasks",
            "trigger_event": "task.created",
            "recipients": ["admin"],
            "template": "{{ task.title }}",
        },
    )
    run()
    assert "Amina" in str(list(Notification.objects.values_list("message")))
    merging.case_merge(actor=ACTOR, loser=case, winner=into)
    assert erasure.erasers["tasks"](person.pk, ACTOR) == 3
    assert erasure.erasers["notifications"](person.pk, ACTOR) == 2
    assert "Amina" not in str(list(Notification.all_objects.values()))
    assert "Amina" not in str(list(Task.objects.values_list("title")) + list(TaskSeries.objects.values()))


def test_who_watches_a_case_or_is_mentioned_in_a_note_is_told(tenant, make_user):
    watcher, mentioned = make_user("case_worker"), make_user("supervisor")
    case = kit_cases.case("Roof")
    watching.watch(actor=ACTOR, case=case, user_id=watcher.pk)
    notifications.rule_create(
        actor=ACTOR,
        values={
            "name": "Notes",
            "trigger_event": "case_note.created",
            "recipients": ["watchers"],
            "template": "{{ case.number }} {{ entity.title }}",
        },
    )
    notes.note_add(actor=ACTOR, case=case, values={"content": "Amina said no", "mentions": [mentioned.pk]})
    run()
    said = {row.user_id: row for row in Notification.objects.all()}
    assert said[watcher.pk].message == f"{case.case_number} Roof"
    assert (said[watcher.pk].entity_type, said[watcher.pk].entity_id) == ("case", case.pk)
    assert mentioned.pk in said and "Amina" not in str([row.message for row in said.values()])


def test_break_glass_is_told_to_administrators_at_once(tenant, make_user):
    import uuid

    from web.shared.core import events

    admin, agent = make_user("admin"), make_user("agent")
    events.emit(
        "breakglass.opened",
        actor=ACTOR,
        object_type="breakglass",
        object_id=uuid.uuid4(),
        data={"user": uuid.uuid4(), "access": "read"},
    )
    run()
    [row] = Notification.objects.all()
    assert (row.user_id, row.is_urgent, row.entity_type) == (admin.pk, True, "")
    assert agent.pk != admin.pk
