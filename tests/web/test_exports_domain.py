"""Cases, calls and tasks as files: what the list shows, no more, and nothing hidden."""

from __future__ import annotations

import csv
import io
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.web.kit_calls import Script, whole_call
from web.shared.core import jobs
from web.shared.core.actor import system
from web.tenant.calls import intake
from web.tenant.calls.models import Call
from web.tenant.cases.models import Case
from web.tenant.contacts.models import Contact

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")


def exported(client: Any, what: str, **filters: str) -> list[dict[str, str]]:
    answer = client.post(f"/api/v1/{what}/exports/", {"format": "csv", "filters": filters})
    assert answer.status_code == 202, answer.content
    pk = answer.json()["id"]
    assert jobs.run(pk) == "done"
    link = client.get(f"/api/v1/jobs/{pk}/result/").json()
    text = b"".join(client.get(link["url"]).streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def a_case(client: Any, category: str, **values: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/cases/", {"title": "A case", "case_type": category, **values})
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


@pytest.fixture
def category(tenant: Any) -> str:
    from web.tenant.reference_data.models import CaseCategory

    return str(CaseCategory.objects.create(name="Abuse", code="ABUSE").pk)


def test_cases(tenant, make_user, api, category):
    boss = api(make_user("supervisor"))
    made = a_case(boss, category, description="At the bridge.", priority="high", tags=["school", "road"])
    a_case(boss, category, title="=HYPERLINK(1)", priority="low")
    rows = exported(boss, "cases", priority="high")
    assert [row["case_number"] for row in rows] == [made["case_number"]]
    assert rows[0]["case_type"] == "ABUSE" and rows[0]["tags"] == "school;road"
    assert rows[0]["description"] == "At the bridge."
    assert rows[0]["sla_state"] == made["sla_state"]
    assert exported(boss, "cases", priority="low")[0]["title"] == "'=HYPERLINK(1)"
    wrong = boss.post("/api/v1/cases/exports/", {"filters": {"colour": "red"}})
    assert wrong.status_code == 400
    assert api(make_user("agent")).post("/api/v1/cases/exports/", {}).status_code == 403


def test_an_export_of_cases_asks_no_more_for_many_than_for_one(tenant, make_user, api, category):
    client = api(make_user("supervisor"))
    counts = []
    for more in (1, 4):
        for _ in range(more):
            a_case(client, category)
        with CaptureQueriesContext(connection) as said:
            exported(client, "cases")
        counts.append(len([one for one in said if "cases_casesla" in one["sql"]]))
    assert counts == [1, 1]


def test_who_may_not_read_sensitive_fields_exports_none(tenant, make_user, api, category):
    boss = api(make_user("admin"))
    a_case(boss, category, description="At the bridge.", custom_fields={"ward": "7"})
    a_case(boss, category, title="Closed to most", confidentiality="restricted")
    body = {
        "name": "counting",
        "display_name": "Counting",
        "permissions": {"cases.view": "all", "cases.export": "all", "jobs.view": "own"},
    }
    assert boss.post("/api/v1/auth/roles/", body).status_code == 201
    rows = exported(api(make_user("counting")), "cases")
    assert [(row["title"], row["description"], row["custom_fields"]) for row in rows] == [("A case", "", "")]
    assert Case.objects.count() == 2


def test_calls(tenant, make_user, api):
    agent, boss = make_user("agent", name="Wanjiru"), api(make_user("admin"))
    queue = boss.post("/api/v1/calls/queues/", {"name": "Child helpline"}).json()["id"]
    script, who = Script(tenant.pk), {"queue": queue, "agent": str(agent.pk)}
    told = [whole_call(script, 100 * n, party=str(uuid.uuid4()), **who) for n in (0, 1)]
    intake.take(tenant.pk, script.entries)
    unnamed = Contact.objects.create(first_name="Unnamed", is_anonymous=True)
    Call.objects.filter(pk=told[0].id).update(caller_number="+254711000001", contact=unnamed)
    Call.objects.filter(pk=told[1].id).update(caller_number="+254711000002")
    rows = {row["id"]: row for row in exported(boss, "calls")}
    listed = boss.get(f"/api/v1/calls/{told[0].id}/").json()
    row = rows[str(told[0].id)]
    assert row["caller_number"] == "'+254711000001" and row["agent"] == "Wanjiru"
    for name in ("wait_seconds", "talk_seconds", "hold_seconds", "wrap_up_seconds"):
        assert float(row[name]) == pytest.approx(listed[name], abs=0.001)
    body = {
        "name": "counting",
        "display_name": "Counting",
        "permissions": {"calls.view": "all", "calls.export": "all", "jobs.view": "own"},
    }
    assert boss.post("/api/v1/auth/roles/", body).status_code == 201
    rows = {row["id"]: row for row in exported(api(make_user("counting")), "calls")}
    assert rows[str(told[0].id)]["caller_number"] == ""
    assert rows[str(told[1].id)]["caller_number"] == "'+254711000002"
    assert exported(boss, "calls", status="abandoned") == []


def test_tasks(tenant, make_user, api):
    boss = api(make_user("supervisor"))
    body = {"title": "Call the school", "due_date": "2020-01-01T00:00:00Z"}
    assert boss.post("/api/v1/tasks/", body).status_code == 201
    assert boss.post("/api/v1/tasks/", {"title": "Later"}).status_code == 201
    rows = exported(boss, "tasks", is_overdue="true")
    assert [(row["title"], row["is_overdue"]) for row in rows] == [("Call the school", "true")]
    assert len(exported(boss, "tasks")) == 2
    assert api(make_user("agent")).post("/api/v1/tasks/exports/", {}).status_code == 403
