"""Contacts by the thousand: imports that write good rows and name bad ones, exports that show no secret."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from web.shared.core import copying, jobs
from web.shared.core.actor import system
from web.shared.core.transfer import Row
from web.shared.records.models import AuditEvent, DomainEvent
from web.tenant.contacts import bulk, custom_fields, services
from web.tenant.contacts.models import Contact, ContactPhone

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
URL = "/api/v1/contacts/"
CSV = """first_name,last_name,phone,phones,email,tags,custom_fields,date_of_birth
Amina,Otieno,0712345678,+254733000111,amina@example.org,child;vip,"{""ward"": ""7""}",2010-05-01
Brian,,0722000222,,,,,
,Nameless,0722000333,,,,,
Chebet,,12,,,,,
Amina again,,0712345678,,,,,
Dan,,,,not an address,,,
"""


def imported(client: Any, text: str, query: str = "") -> dict[str, Any]:
    answer = client.generic("POST", f"{URL}imports/{query}", text, content_type="text/csv")
    assert answer.status_code == 202, answer.content
    pk = answer.json()["id"]
    assert jobs.run(pk) == "done"
    result: dict[str, Any] = client.get(f"/api/v1/jobs/{pk}/").json()["result"]
    return result


def test_good_rows_are_written_and_bad_ones_named(tenant, make_user, api):
    client = api(make_user("supervisor"))
    assert imported(client, CSV, "?dry_run=true")["created"] == 2 and not Contact.objects.exists()
    done = imported(client, CSV)
    assert {name: done[name] for name in ("created", "skipped", "refused")} == {
        "created": 2, "skipped": 1, "refused": 3
    }  # fmt: skip
    amina = Contact.objects.get(last_name="Otieno")
    assert [row.number for row in amina.phones.all()] == ["+254712345678", "+254733000111"]
    assert amina.tags == ["child", "vip"] and amina.custom_fields == {"ward": "7"}
    assert str(amina.date_of_birth) == "2010-05-01" and amina.revision == 1
    assert amina.preferred_language == "en"
    assert client.get(f"{URL}?q=otieno").json()["data"][0]["phone"] == "+254712345678"
    assert AuditEvent.objects.filter(action="create", object_id=str(amina.pk)).count() == 1
    assert DomainEvent.objects.filter(type="contact.created", object_id=amina.pk).count() == 1
    more = "first_name,last_name,phone,phones\nAmina,Achieng,0712345678,0799111222\n"
    assert imported(client, more, "?on_conflict=fail")["refused"] == 1
    assert imported(client, more, "?on_conflict=update")["updated"] == 1
    amina.refresh_from_db()
    assert amina.last_name == "Achieng" and amina.phones.count() == 3
    assert amina.phones.get(is_primary=True).number == "+254712345678"
    wrong = client.generic("POST", f"{URL}imports/", "first_name,colour\nA,red\n", content_type="text/csv")
    assert wrong.status_code == 422
    agent = api(make_user("agent"))
    refused = agent.generic("POST", f"{URL}imports/", CSV, content_type="text/csv")
    assert refused.status_code == 403


def test_a_browser_uploads_with_its_session_and_the_token_in_the_header(tenant, make_user, api, settings):
    client, token = api(make_user("supervisor"), enforce_csrf_checks=True), "a" * 32
    client.cookies[settings.CSRF_COOKIE_NAME] = token

    def send(text: str, kind: str = "text/csv", **headers: Any) -> Any:
        return client.generic("POST", f"{URL}imports/", text, content_type=kind, **headers)

    form = f"csrfmiddlewaretoken={token}", "application/x-www-form-urlencoded"
    for refused in (send(CSV), send(CSV, HTTP_X_CSRFTOKEN="b" * 32), send(*form)):
        assert (refused.status_code, refused.json()["code"]) == (403, "csrf_refused")
    taken = send(CSV, HTTP_X_CSRFTOKEN=token)
    assert taken.status_code == 202 and jobs.run(taken.json()["id"]) == "done"
    assert Contact.objects.count() == 2
    assert send(*form, HTTP_X_CSRFTOKEN=token).status_code == 415


def test_custom_fields_are_held_to_the_tenants_schema(tenant, make_user, api):
    schema = {"type": "object", "properties": {"ward": {"type": "string"}}, "additionalProperties": False}
    custom_fields.schema_set(actor=ACTOR, schema=schema)
    rows = [
        Row(n, bulk.ContactRow().run_validation({"first_name": "A", "custom_fields": fields}))
        for n, fields in enumerate(({"ward": "7"}, {"ward": 7}, {"other": 1}), 1)
    ]
    found = bulk.write(rows, ACTOR, "skip")
    assert found.created == 1 and [one.number for one in found.errors] == [2, 3]
    assert found.errors[0].pointer == "/custom_fields/ward"


def test_a_thousand_rows_take_as_many_statements_as_ten(tenant):
    counts = []
    for size in (10, 500):
        start = 10_000_000 + 1000 * size
        rows = [
            Row(n, bulk.ContactRow().run_validation({"first_name": "A", "phone": f"07{start + n:08d}"}))
            for n in range(1, size + 1)
        ]
        with CaptureQueriesContext(connection) as said:
            assert bulk.write(rows, ACTOR, "skip").created == size
        counts.append(len(said))
    assert counts[0] == counts[1]
    assert Contact.objects.count() == ContactPhone.objects.count() == 510


def test_copied_rows_are_as_saved_ones_and_their_errors_are_djangos(tenant):
    saved = services.contact_create(
        actor=ACTOR,
        values={"first_name": "A\t\\N\n", "tags": ["x"], "custom_fields": {"a": None}},
        region="KE",
    )
    copied = Contact(first_name="A\t\\N\n", tags=["x"], custom_fields={"a": None})
    assert copying.insert([copied]) == 1 and copying.insert([]) == 0
    leave = {"id", "created_at", "updated_at", "name_key", "search_text"}
    one, other = (Contact.objects.filter(pk=row.pk).values().get() for row in (saved, copied))
    assert {k: v for k, v in one.items() if k not in leave} == {
        k: v for k, v in other.items() if k not in leave
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        copying.insert([copied])
    assert Contact.objects.count() == 2


def test_an_export_shows_what_its_starter_may_see(tenant, make_user, api):
    services.contact_create(
        actor=ACTOR,
        values={"first_name": "=Amina", "address": "Here", "custom_fields": {"a": 1}},
        phones=[{"number": "0712345678"}],
        region="KE",
    )
    services.contact_create(
        actor=ACTOR,
        values={"first_name": "Hidden", "is_anonymous": True},
        phones=[{"number": "0733000111"}],
        region="KE",
    )

    def exported(user: Any, **body: Any) -> str:
        client = api(user)
        job = client.post(f"{URL}exports/", body)
        assert job.status_code == 202, job.content
        assert jobs.run(job.json()["id"]) == "done"
        link = client.get(f"/api/v1/jobs/{job.json()['id']}/result/").json()
        answer = client.get(link["url"])
        assert answer.status_code == 200, answer
        return b"".join(answer.streaming_content).decode()

    boss = make_user("supervisor")
    rows = {row["first_name"]: row for row in csv.DictReader(io.StringIO(exported(boss)))}
    assert set(rows) == {"'=Amina", "Hidden"} and rows["'=Amina"]["address"] == "Here"
    lines = exported(boss, format="ndjson", filters={"is_anonymous": "false"}).splitlines()
    assert [json.loads(one)["phone"] for one in lines] == ["+254712345678"]
    from web.shared.accounts.models import TenantRole
    from web.shared.tenants.context import public_context

    with public_context():
        role = TenantRole.objects.get(tenant=tenant, name="supervisor")
        role.permissions.pop("contacts.view_sensitive")
        role.is_system_role = False
        role.save()
    (row,) = csv.DictReader(io.StringIO(exported(boss)))
    assert (row["first_name"], row["address"], row["custom_fields"]) == ("'=Amina", "", "")
