"""One question to many schemas: who is found, what is left behind, and how many messages it takes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from structlog.testing import capture_logs

from web.shared.core import audit
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent
from web.shared.tenants.context import current_tenant_id, public_context, tenant_context
from web.shared.tenants.everywhere import AT_ONCE, tenants_where
from web.shared.tenants.models import Tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def happen(tenant_id: str, action: str) -> None:
    with tenant_context(tenant_id):
        audit.record(actor=system("tests"), action=action, object_type="x", object_id="1")


def test_who_has_such_rows_is_found_by_any_of_the_conditions(tenants: Any) -> None:
    ids = [one.pk for one in tenants]
    happen(ids[0], "50% o'clock")
    happen(ids[1], "other")
    first = AuditEvent.objects.filter(action="50% o'clock").order_by("at")
    second = ("EXISTS (SELECT FROM records_auditevent WHERE action = %s)", ["other"])
    named = ("current_setting('murima.tenant') = %s", [ids[1]])
    assert tenants_where(ids, first) == [ids[0]]
    assert tenants_where(ids, second) == tenants_where(ids, named) == [ids[1]]
    assert tenants_where(ids[::-1], first, second) == ids[::-1]
    assert tenants_where(ids, AuditEvent.objects.filter(action="nothing")) == []
    assert tenants_where([], first) == []
    with pytest.raises(ValueError, match="tenant"):
        tenants_where(["public; DROP TABLE x"], first)


def test_a_tenant_without_tables_hides_nobody(tenants: Any) -> None:
    ids = [one.pk for one in tenants]
    with public_context():
        unfinished = Tenant.objects.create(pk="t_unfertig0000", name="Unfertig").pk
    happen(ids[1], "x")
    with capture_logs() as said:
        found = tenants_where([ids[0], unfinished, ids[1]], AuditEvent.objects.filter(action="x"))
    assert found == [ids[1]]
    assert [(one["log_level"], one["tenant"]) for one in said] == [("info", unfinished)]


def test_a_question_that_a_whole_tenant_cannot_answer_is_an_error(tenants: Any) -> None:
    with capture_logs() as said:
        assert tenants_where([tenants[0].pk], ("EXISTS (SELECT FROM no_such_table)", ())) == []
    assert [(one["log_level"], one["tenant"]) for one in said] == [("error", tenants[0].pk)]


def test_nothing_stays_chosen_even_inside_a_longer_transaction(tenants: Any) -> None:
    ids = [one.pk for one in tenants]
    happen(ids[0], "mine")
    with tenant_context(ids[0]), transaction.atomic():
        tenants_where(ids, AuditEvent.objects.all())
        assert current_tenant_id() == ids[0] and AuditEvent.objects.filter(action="mine").exists()
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('murima.tenant', true)")
            assert not cursor.fetchone()[0]


def test_more_tenants_are_not_more_messages(tenants: Any) -> None:
    ids = [one.pk for one in tenants]

    def messages(asked: list[str]) -> int:
        with public_context(), CaptureQueriesContext(connection) as said:
            tenants_where(asked, AuditEvent.objects.all())
        return len(said)

    assert messages(ids * (AT_ONCE // 2)) == messages(ids)
