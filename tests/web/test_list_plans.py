"""Lists narrowed to what few rows are, or sorted by a date that may be missing, are read from an index in
their order: on a large organisation anything else reads every row."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web import kit_cases as kit
from web.shared.tenants.context import current_tenant_id
from web.tenant.calls.models import Call
from web.tenant.cases.models import Case
from web.tenant.contacts.models import Contact

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ROWS, RARE = 400, 7

LISTS = [
    ("contacts/?legal_hold=true", "contact_on_hold"),
    ("contacts/?is_active=false", "contact_inactive"),
    ("contacts/?is_anonymous=true", "contact_anonymous"),
    ("contacts/?preferred_language=fr", "contact_by_language"),
    ("calls/?status=failed", "call_by_status"),
    ("calls/?outcome=failed", "call_by_outcome"),
    ("calls/?direction=outbound", "call_by_direction"),
    ("calls/?sort=ended_at", "call_by_end"),
    ("calls/?sort=-ended_at", "call_by_last_end"),
    ("cases/?sort=-due_date", "case_by_last_due"),
    ("cases/?channel=email", "case_by_channel"),
    ("cases/?confidentiality=restricted", "case_by_confidentiality"),
]


def _contact(rare: bool) -> Contact:
    values: dict[str, Any] = {"legal_hold": rare, "is_anonymous": rare, "is_active": not rare}
    return Contact(first_name="A", preferred_language="fr" if rare else "sw", **values)


def _call(rare: bool) -> Call:
    lengths = dict.fromkeys(("wait", "talk", "hold", "wrap_up"), timedelta())
    outcome = "failed" if rare else "completed"
    return Call(
        status=outcome, outcome=outcome, direction="outbound" if rare else "inbound",
        started_at=timezone.now(), **lengths,
    )  # fmt: skip


def _case(rare: bool, case_type: Any) -> Case:
    return Case(
        case_number=uuid.uuid4().hex, title="A", case_type=case_type, channel="email" if rare else "voice",
        confidentiality="restricted" if rare else "normal",
    )  # fmt: skip


def _tables_as_new() -> None:
    """Nothing is known of the tables, and until the test ends nobody looks at them: an automatic VACUUM sees
    no row of ours, and in a table that is thought to be empty one index is as good as another."""
    names = [model._meta.db_table for model in (Contact, Call, Case)]
    server, _, _ = os.environ["MURIMA_TEST_SUPERUSER_URL"].rpartition("/")
    with psycopg.connect(f"{server}/{connection.settings_dict['NAME']}", autocommit=True) as owner:
        for name in names:
            owner.execute(f'VACUUM "{current_tenant_id()}"."{name}"'.encode())
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {', '.join(names)} IN SHARE UPDATE EXCLUSIVE MODE")


def test_rare_values_and_missing_dates_are_read_from_an_index(tenant, make_user, api):
    rare = [number == RARE for number in range(ROWS)]
    case_type = kit.category()
    _tables_as_new()
    Contact.objects.bulk_create([_contact(one) for one in rare])
    Call.objects.bulk_create([_call(one) for one in rare])
    Case.objects.bulk_create([_case(one, case_type) for one in rare])
    client, wrong = api(make_user("admin")), []
    for url, index in LISTS:
        with CaptureQueriesContext(connection) as said:
            answer = client.get(f"/api/v1/{url}")
        assert answer.status_code == 200 and answer.json()["data"], url
        (page,) = [one["sql"] for one in said if " LIMIT 51" in one["sql"]]
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            cursor.execute("EXPLAIN " + page)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        if f" {index} " not in plan:
            wrong.append(f"{url}: {plan[:600]}")
    assert not wrong, "\n".join(wrong)
