"""The audit trail: sealed in order, verified row by row, out of the application's own reach."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from tests.web.api_cases import ReadCases
from tests.web.kit_events import in_thread
from web.shared.core import audit, audit_tasks, sealer
from web.shared.core.actor import Actor, ActorKind, system
from web.shared.core.exits import Exit
from web.shared.records.models import AuditEvent, AuditSeal
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.ownership import owner_connection

ACTOR = system("tests")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


@pytest.fixture(autouse=True)
def own_home(settings, tmp_path):
    settings.HOME = tmp_path


def act(n=1, **changes):
    return [
        audit.record(
            actor=Actor(ActorKind.USER, id=uuid.uuid4(), ip_address="192.0.2.1", request_id="r"),
            action="update",
            object_type="cases.case",
            object_id=str(uuid.uuid4()),
            changes={"fields": ["status"], "status": "open", "n": i, **changes},
        )
        for i in range(n)
    ]


@contextmanager
def as_owner(tenant):
    with owner_connection(), tenant_context(tenant.pk):
        yield


def found():
    return [str(one) for one in sealer.verify()]


def test_every_row_is_sealed_once_and_the_chain_holds(tenant):
    act(5)
    assert sealer.unsealed() and sealer.seal() == 5
    assert not sealer.unsealed() and sealer.seal() == 0
    act(2)
    sealer.seal()
    assert AuditSeal.objects.count() == 2 and found() == []
    listed = [pk for one in AuditSeal.objects.all() for pk in sealer._entries(bytes(one.entries))]
    assert len(listed) == len(set(listed)) == AuditEvent.objects.count()


def test_long_trails_are_sealed_in_slices(tenant, monkeypatch):
    monkeypatch.setattr(sealer, "SLICE", 10)
    act(35)
    assert sealer.seal() == 35 and AuditSeal.objects.count() == 4 and found() == []


def test_a_row_committed_late_is_sealed_and_none_is_passed_over(tenant):
    written, commit = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            act(1, slow=True)
            written.set()
            assert commit.wait(20)

    with in_thread(tenant.pk, slow):
        assert written.wait(20)
        act(1)
        assert sealer.seal() == 0, "the slow one may still come in front"
        commit.set()
    assert sealer.seal() == 2 and found() == []


def test_only_one_sealer_works_at_a_time(tenant):
    act(1)
    holding, release = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            assert sealer._locked()
            holding.set()
            assert release.wait(20)

    with in_thread(tenant.pk, hold):
        assert holding.wait(20)
        assert sealer.seal() == 0
        release.set()
    assert sealer.seal() == 1


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE records_auditevent SET changes = \'{"status": "closed"}\' WHERE id = %s',
        "UPDATE records_auditevent SET at = at - interval '1 hour' WHERE id = %s",
        "UPDATE records_auditevent SET actor_id = gen_random_uuid() WHERE id = %s",
        "UPDATE records_auditevent SET ip_address = '192.0.2.99' WHERE id = %s",
        "UPDATE records_auditevent SET content_hash = sha256('x') WHERE id = %s",
        "UPDATE records_auditevent SET salt = 'x' WHERE id = %s",
        "UPDATE records_auditevent SET erased_at = now() WHERE id = %s",
    ],
)
def test_an_altered_row_is_named(tenant, statement):
    rows = act(7)
    sealer.seal()
    with as_owner(tenant), connection.cursor() as cursor:
        cursor.execute(statement, [rows[3].pk])
    assert found() == [f"altered {rows[3].pk}"]


def test_a_removed_row_is_named_also_the_first_and_the_last(tenant):
    rows = act(5)
    sealer.seal()
    for row in (rows[0], rows[2], rows[4]):
        with as_owner(tenant):
            AuditEvent.objects.filter(pk=row.pk).delete()
    assert set(found()) == {f"removed {rows[n].pk}" for n in (0, 2, 4)}


def test_a_moved_row_is_named_and_so_is_one_that_was_slipped_in(tenant):
    rows = act(5)
    sealer.seal()
    act(1)
    sealer.seal()
    with as_owner(tenant), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE records_auditevent SET transaction_id = (SELECT max(transaction_id) FROM"
            " records_auditevent) WHERE id = %s",
            [rows[1].pk],
        )
    assert f"moved {rows[1].pk}" in found()
    with as_owner(tenant), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE records_auditevent SET transaction_id = (SELECT transaction_id FROM records_auditevent"
            " WHERE id = %s) WHERE id = %s",
            [rows[2].pk, rows[1].pk],
        )
    forged = act(1)[0]
    with as_owner(tenant), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE records_auditevent SET transaction_id = (SELECT transaction_id FROM records_auditevent"
            " WHERE id = %s), id = %s WHERE id = %s",
            [rows[2].pk, uuid.UUID(int=1), forged.pk],
        )
    assert f"added {uuid.UUID(int=1)}" in found()


def test_two_rows_that_changed_places_are_named(tenant):
    rows = act(4)
    sealer.seal()
    with as_owner(tenant), connection.cursor() as cursor:
        spare = uuid.UUID(int=7)
        for old, new in ((rows[0].pk, spare), (rows[1].pk, rows[0].pk), (spare, rows[1].pk)):
            cursor.execute("UPDATE records_auditevent SET id = %s WHERE id = %s", [new, old])
    assert {one for one in found() if one.startswith("altered")} == {
        f"altered {rows[0].pk}",
        f"altered {rows[1].pk}",
    }


def test_a_seal_that_was_altered_or_taken_out_is_named(tenant):
    for _ in range(4):
        act(2)
        sealer.seal()
    with as_owner(tenant):
        AuditSeal.objects.filter(number=2).delete()
    assert "seal_missing 2" in found()
    with as_owner(tenant):
        third = AuditSeal.objects.get(number=3)
        AuditSeal.objects.filter(number=3).update(entries=bytes(third.entries)[:48])
        AuditSeal.objects.filter(number=4).update(digest=b"x" * 32)
    assert {"seal_missing 2", "seal_altered 4"} <= set(found())


def test_a_chain_that_was_written_anew_contradicts_its_anchor(tenant):
    rows = act(3)
    sealer.seal()
    assert sealer.anchor() and not sealer.anchor(), "once a day"
    assert json.loads(sealer.anchor_path().read_text())["number"] == 1 and found() == []
    with as_owner(tenant):
        AuditEvent.objects.filter(pk=rows[1].pk).delete()
        AuditSeal.objects.all().delete()
        sealer.seal()
    assert found() == ["anchor_differs 1"]
    with as_owner(tenant):
        AuditSeal.objects.all().delete()
    assert found() == ["seal_missing 1"]


def test_an_erasure_leaves_the_chain_whole_when_it_is_on_record(tenant):
    rows = act(3)
    sealer.seal()
    with as_owner(tenant):
        sealer.erase(rows[1].pk, actor=ACTOR)
    row = AuditEvent.objects.get(pk=rows[1].pk)
    assert row.changes == {} and row.actor_id is None and row.ip_address is None and not bytes(row.salt)
    assert found() == []
    sealer.seal()
    assert found() == []
    with as_owner(tenant):
        AuditEvent.objects.filter(action=sealer.ERASE).delete()
    assert f"erased_unrecorded {rows[1].pk}" in found()


@pytest.mark.parametrize("table", ["records_auditevent", "records_auditseal"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_applications_role_can_neither_change_nor_remove(tenant, table, verb):
    act(1)
    sealer.seal()
    with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(verb.format(table))


@pytest.mark.parametrize("table", ["platform_audit_event", "platform_audit_seal"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET at = now()", "DELETE FROM {}"])
def test_nor_on_the_platforms_own_trail(tenants, table, verb):
    refused = pytest.raises(ProgrammingError, match="permission denied")
    with public_context(), connection.cursor() as cursor, refused:
        cursor.execute(verb.format(table))


def test_beat_seals_and_anchors_every_schema_and_the_platforms(tenants):
    from web.shared.tenants.models import Tenant

    with public_context():
        Tenant.objects.create(pk="t_unfertig0000", name="Unfertig")
        audit.record(actor=ACTOR, action="create", object_type="x", object_id="1")
    for one in tenants:
        with tenant_context(one.pk):
            act(2)
    assert audit_tasks.seal_all() >= 5 and audit_tasks.seal_all() == 0
    assert audit_tasks.anchor_all() == 3 and audit_tasks.anchor_all() == 0
    with public_context():
        assert found() == []


def test_the_command_says_which_row_and_fails(tenants, capsys):
    with tenant_context(tenants[0].pk):
        rows = act(2)
        sealer.seal()
    call_command("audit_verify", tenant="mto")
    assert capsys.readouterr().out == f"{tenants[0].pk}: whole\n"
    with as_owner(tenants[0]):
        AuditEvent.objects.filter(pk=rows[0].pk).delete()
    with pytest.raises(Exit):
        call_command("audit_verify", json=True)
    assert json.loads(capsys.readouterr().out)[tenants[0].pk] == [f"removed {rows[0].pk}"]
    with pytest.raises(Exit) as refusal:
        call_command("audit_verify", tenant="nobody")
    assert refusal.value.code == 3


class TestApi(ReadCases):
    pytestmark = pytest.mark.django_db(transaction=False)
    url = "/api/v1/audit/"
    may_view, may_not = "admin", "supervisor"
    sorts = ("at", "-at")

    def make(self, tenant, **values):
        return str(act(1)[0].pk)

    def test_filters_narrow(self):
        with tenant_context(self.tenants[0].pk):
            first, second = act(2)
            other = audit.record(actor=ACTOR, action="view", object_type="contacts.contact", object_id="7")
        client, since = self.client("admin"), first.at.isoformat().replace("+", "%2B")
        for query, ids in (
            (f"object_type=cases.case&object_id={first.object_id}", {first.pk}),
            (f"actor_id={second.actor_id}", {second.pk}),
            ("action=view", {other.pk}),
            (f"action=view,update&at[gte]={since}", {first.pk, second.pk, other.pk}),
            (f"at[lt]={since}&action=update", set()),
        ):  # fmt: skip
            answer = client.get(f"{self.url}?{query}")
            assert answer.status_code == 200, answer.content
            assert {uuid.UUID(one["id"]) for one in answer.json()["data"]} == ids, query
        for query in ("actor_id=x", "at[gte]=x", "changes__n=1"):
            assert client.get(f"{self.url}?{query}").status_code == 400

    def test_nobody_writes_here(self):
        pk, client = self.row(), self.client("admin")
        assert client.post(self.url, {}).status_code == 405
        assert client.patch(self.at(pk), {}).status_code == 405
        assert client.delete(self.at(pk)).status_code == 405
