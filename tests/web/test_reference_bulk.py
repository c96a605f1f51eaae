"""Reference data from files and into them."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

import pytest

from web.shared.core import files, job_tasks, jobs
from web.shared.core.actor import system
from web.shared.records.models import Job
from web.tenant.reference_data import services
from web.tenant.reference_data.models import CaseCategory, Location, ReferenceData

pytestmark = [pytest.mark.django_db, pytest.mark.database]
BASE = "/api/v1/reference-data"


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_tasks, "send", lambda *_: None)


def upload(client: Any, path: str, text: str, query: str = "") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Import `text`; the job's result, and its refused rows."""
    answer = client.post(f"{BASE}/{path}/imports/{query}", text.encode(), content_type="text/csv")
    assert answer.status_code == 202, answer.content
    job = Job.objects.get(pk=answer.json()["id"])
    assert jobs.run(job.pk) == "done"
    job.refresh_from_db()
    found = files.tenant_path("t_mto000000000", "jobs", job.pk, "errors")
    lines = found.read_text().splitlines() if found.exists() else []
    return job.result, [json.loads(line) for line in lines]


def test_places_come_with_their_tree_and_wrong_rows_are_named(tenant, make_user, api):
    services.defaults_load(system("tests"))
    boss = api(make_user("supervisor"))
    text = (
        "code,name,type,parent\n"
        "KE,Kenya,country,\n"
        "KE-30,Nairobi,state,KE\n"
        "WL,Westlands,area,KE-30\n"
        "XX,Nowhere,planet,\n"
        "YY,Inside out,country,KE-30\n"
        "ZZ,Lost,area,nothing\n"
    )
    result, errors = upload(boss, "locations", text, "?dry_run=true")
    assert (result["created"], result["refused"]) == (3, 3) and not Location.objects.exists()
    result, errors = upload(boss, "locations", text)
    assert (result["created"], result["refused"]) == (3, 3)
    assert [(one["row"], one["pointer"]) for one in errors] == [(4, "/type"), (5, "/parent"), (6, "/parent")]
    west = Location.objects.get(code="WL")
    assert west.parent is not None and west.parent.parent is not None and west.parent.parent.code == "KE"
    again = "code,name,type\nKE,Republic of Kenya,country\n"
    assert upload(boss, "locations", again)[0]["skipped"] == 1
    assert upload(boss, "locations", again, "?on_conflict=fail")[1][0]["code"] == "conflict"
    assert upload(boss, "locations", again, "?on_conflict=update")[0]["updated"] == 1
    assert Location.objects.get(code="KE").name == "Republic of Kenya"


def test_items_name_their_category_and_categories_their_parent(tenant, make_user, api):
    services.defaults_load(system("tests"))
    boss = api(make_user("supervisor"))
    text = "category,code,name,sort_order\ngender,nonbinary,Non-binary,25\nnothing,x,X,1\n"
    result, errors = upload(boss, "items", text)
    assert result["created"] == 1 and [(one["row"], one["pointer"]) for one in errors] == [(2, "/category")]
    assert ReferenceData.objects.get(code="nonbinary").category.name == "gender"
    text = "code;name;parent;color\nfood;Food;service;#123456\nwater;Water;food;red\n"
    result, errors = upload(boss, "case-categories", text)
    assert result["created"] == 1 and errors[0]["pointer"] == "/color"
    parent = CaseCategory.objects.get(code="food").parent
    assert parent is not None and parent.code == "service"


def test_what_goes_out_names_codes_and_honours_filters(tenant, make_user, api):
    services.defaults_load(system("tests"))
    viewer = api(make_user("viewer"))
    answer = viewer.post(f"{BASE}/items/exports/", {"filters": {"category": "gender"}})
    assert answer.status_code == 202, answer.content
    job = Job.objects.get(pk=answer.json()["id"])
    assert jobs.run(job.pk) == "done"
    text = files.tenant_path("t_mto000000000", "jobs", job.pk, "output").read_text()
    rows = list(csv.DictReader(StringIO(text)))
    assert {one["code"] for one in rows} == {"female", "male", "other", "unknown"}
    assert {one["category"] for one in rows} == {"gender"}
    refused = viewer.post(f"{BASE}/items/imports/", b"code\n", content_type="text/csv")
    assert refused.status_code == 403
