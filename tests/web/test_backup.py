"""A backup comes back row for row; whoever was erased since stays erased; a failure changes nothing."""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from web.shared.core import audit, events, parties
from web.shared.core.actor import system
from web.shared.core.exits import Code, Exit
from web.shared.core.files import tenant_root
from web.shared.tenants import erasures, schemas
from web.shared.tenants.backup import clocks, restoring, servers
from web.shared.tenants.backup import manifest as papers
from web.shared.tenants.backup.tables import USERS, Shared
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import ErasureRecord, InboundNumber, Tenant, TenantStatus
from web.shared.tenants.ownership import owner_connection
from web.shared.tenants.services import schema_prepare
from web.tenant.contacts import erasing
from web.tenant.contacts.models import Contact
from web.tenant.contacts.services import contact_create

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.redis]
ACTOR = system("tests")
NUMBER = "+254733111222"


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Path:
    settings.HOME = tmp_path
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def tables_put_back(request: Any) -> Any:
    """Whatever a test left of the tenants' schemas, the next one finds them whole."""
    if "tenants" not in request.fixturenames:
        yield
        return
    rows = request.getfixturevalue("tenants")
    before = {row.pk: tables(row.pk) for row in rows}
    try:
        yield
    finally:
        for row in rows:
            put_back(row, before[row.pk])


def tables(schema: str) -> list[Any]:
    with servers.connect() as link:
        query = "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = %s ORDER BY tablename"
        return link.execute(query, [schema]).fetchall()


def put_back(row: Any, wanted: list[Any]) -> None:
    with servers.connect() as link:
        link.execute(f"DROP SCHEMA IF EXISTS {restoring.ASIDE}{row.pk} CASCADE".encode())
    if tables(row.pk) != wanted:
        schemas.drop(row.pk)
        schema_prepare(row)


@pytest.fixture
def lived_in(tenants: Any, home: Path, make_user: Any, api: Any) -> Any:
    """The first tenant with people, a contact, a number, a team, files, a published policy and a party."""
    from telephony.contract.ids import PartyId
    from telephony.sealing import seal_party
    from web.shared.core import keys
    from web.shared.core.published import publish_policy

    mto = tenants[0]
    make_user("admin"), make_user("agent", name="Juma")
    contact = make_contact(mto.pk)
    with public_context():
        InboundNumber.objects.create(tenant=mto, trunk="carrier", number="+254711000001")
    make_file(mto.pk, b"a letter")
    keys.ensure(mto.pk)
    publish_policy(mto.pk, numbers=[], queues=[])
    party = seal_party(keys.ring(mto.pk), PartyId(str(uuid.uuid4())), NUMBER, "Zawadi Njoroge")
    with servers.connect() as link:
        link.execute("SELECT set_config('murima.tenant', '*', true)")
        link.execute(
            "INSERT INTO public.log_party (tenant, party, key, sealed, digest) VALUES (%s, %s, %s, %s, %s)",
            [mto.pk, party.party, party.key, party.sealed, party.digest],
        )
    mto.contact, mto.party = contact, party.party
    return mto


def make_contact(tenant_id: str) -> Any:
    with tenant_context(tenant_id):
        return contact_create(
            actor=ACTOR, values={"first_name": "Zawadi", "last_name": "Njoroge"},
            phones=[{"number": NUMBER}], region="KE",
        ).pk  # fmt: skip


def make_file(tenant_id: str, data: bytes) -> Path:
    path = tenant_root(tenant_id) / "documents" / str(uuid.uuid4())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def state(tenant_id: str) -> dict[str, str]:
    """Table → hash of its rows: the tenant's schema, its shared rows, the accounts it needs, its files."""
    found = {}
    with servers.connect() as link:
        link.execute("SELECT set_config('murima.tenant', '*', true)")
        shared = Shared(link)
        tables = link.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [tenant_id]).fetchall()
        where = {f'{tenant_id}."{name}"': "true" for (name,) in tables}
        where |= {f"public.{one.table}": one.where for one in shared.of_tenant()}
        where[f"public.{USERS}"] = "id = ANY(%(users)s)"
        del where["public.tenants_tenant"]
        values = {"tenant": tenant_id, "users": shared.needed_users(tenant_id)}
        for table, condition in where.items():
            query = f"SELECT count(*), md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {table} t"
            found[table] = str(link.execute(f"{query} WHERE {condition}".encode(), values).fetchone())
    for path in sorted(tenant_root(tenant_id).rglob("*")):
        if path.is_file():
            found[path.name] = papers.digest(path)
    return found


def run(command: str, *arguments: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    call_command(command, *map(str, arguments), "--json", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def owner(*statements: str) -> None:
    with owner_connection(), public_context(), connection.cursor() as cursor:
        for one in statements:
            cursor.execute(one)


# --- one tenant -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["rows", "schema", "everything"])
def test_a_tenant_comes_back_row_for_row(lived_in: Any, tenants: Any, tmp_path: Path, damage: str) -> None:
    pk, target = lived_in.pk, tmp_path / "backup"
    before, other = state(pk), state(tenants[1].pk)
    assert sum("(0," not in said for said in before.values()) > 12
    (said,) = run("backup", "--tenant", "mto", target)
    assert said["tenants"] == [pk] and not (tmp_path / "backup.partial").exists()
    assert run("restore", "--check", target)[0]["tenants"] == [pk]
    make_file(pk, b"written later")
    if damage == "rows":
        owner(f"DELETE FROM {pk}.contacts_contactphone", f"TRUNCATE {pk}.contacts_contact CASCADE",
              "DELETE FROM public.accounts_teammember", "DELETE FROM public.inbound_number")  # fmt: skip
    else:
        schemas.drop(pk)
    if damage == "everything":
        with servers.connect() as link:
            link.execute("SELECT set_config('murima.tenant', '*', true)")
            shared = Shared(link)
            users = shared.needed_users(pk)
            for rows in reversed(shared.of_tenant()):
                link.execute(f"DELETE FROM public.{rows.table} WHERE {rows.where}".encode(), {"tenant": pk})
            link.execute("DELETE FROM public.accounts_user WHERE id = ANY(%s)", [users])
    replace = [] if damage == "everything" else ["--replace"]
    (done,) = run("restore", "--tenant", "mto", target, *replace)
    assert done == {"id": pk, "slug": "mto", "erased_again": 0}
    after = state(pk)
    assert {name for name in before if before[name] != after.get(name)} == set()
    assert after.keys() == before.keys()
    assert state(tenants[1].pk) == other
    with public_context():
        assert Tenant.objects.get(pk=pk).status == TenantStatus.ACTIVE
    # The application's role works in it as before, and may change no history.
    with tenant_context(pk):
        assert Contact.objects.get(pk=lived_in.contact).first_name == "Zawadi"
        row = audit.record(actor=ACTOR, action="canary", object_type="x", object_id="1")
        with pytest.raises(Exception, match="permission denied"), connection.cursor() as cursor:
            cursor.execute("DELETE FROM records_auditevent WHERE id = %s", [row.pk])
    caller = parties.read(pk, lived_in.party)
    assert caller is not None and caller.number == NUMBER


def test_a_restored_tenant_signs_in_and_gets_new_numbers(
    lived_in: Any, api: Any, make_user: Any, tmp_path: Path
) -> None:
    target = tmp_path / "backup"
    run("backup", "--tenant", lived_in.pk, target)
    run("restore", "--tenant", lived_in.pk, target, "--replace")
    client = api(make_user("supervisor"))
    made = client.post("/api/v1/contacts/", {"first_name": "Baraka"})
    assert made.status_code == 201, made.content
    with public_context():
        InboundNumber.objects.create(tenant_id=lived_in.pk, trunk="carrier", number="+254711000002")


# --- the erased -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ledger", ["table and file", "file alone"])
def test_who_was_erased_since_stays_erased(lived_in: Any, tmp_path: Path, home: Path, ledger: str) -> None:
    pk, target = lived_in.pk, tmp_path / "backup"
    run("backup", "--tenant", pk, target)
    with tenant_context(pk):
        erasing.erase(actor=ACTOR, contact_id=lived_in.contact)
    assert parties.read(pk, lived_in.party) is None
    said = erasures.ledger_path().read_text()
    assert str(lived_in.contact) in said and lived_in.party in said
    assert NUMBER not in said and "Zawadi" not in said
    schemas.drop(pk)
    if ledger == "file alone":
        owner("DELETE FROM public.tenants_erasurerecord", "DELETE FROM public.log_party")
    (done,) = run("restore", "--tenant", pk, target, "--replace")
    assert done["erased_again"] >= 2
    with tenant_context(pk):
        contact = Contact.all_objects.get(pk=lived_in.contact)
        assert contact.erased_at is not None and contact.first_name == "" and not contact.phones.exists()
    assert parties.read(pk, lived_in.party) is None
    with servers.connect() as link:
        link.execute("SELECT set_config('murima.tenant', '*', true)")
        tables = link.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', %s)", [pk]
        ).fetchall()
        for schema, table in tables:
            query = f'SELECT count(*) FROM {schema}."{table}" t WHERE t::text LIKE ANY (%s)'
            found = link.execute(query.encode(), [["%Zawadi%", "%Njoroge%", f"%{NUMBER}%"]]).fetchone()
            assert found == (0,), f"{schema}.{table}"
    with public_context():
        assert ErasureRecord.objects.filter(tenant=pk, kind="contact").count() == 1


def test_a_ledger_line_cut_off_by_a_crash_hurts_no_other(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text(
        '{"tenant": "t_mto000000000", "kind": "contact", "object_id": "1", "at": "2026"}\n'
        '{"tenant": "public", "kind": "contact", "object_id": "2", "at": "x"}\n{"tenant": "t_mto0000'
    )
    assert [one.object_id for one in erasures.read_file(path)] == ["1"]


# --- what is refused, and failures ------------------------------------------------------------------------


def test_a_backup_that_is_not_whole_or_not_ours_is_refused(
    lived_in: Any, tmp_path: Path, settings: Any, monkeypatch: Any
) -> None:
    pk, target = lived_in.pk, tmp_path / "backup"
    run("backup", "--tenant", pk, target)
    before = state(pk)

    def refused(*arguments: Any, command: str = "restore") -> Exit:
        with pytest.raises(Exit) as problem:
            run(command, *arguments)
        return problem.value

    assert refused("--tenant", pk, target).code is Code.USAGE
    assert refused("--tenant", "nobody", target, "--replace").code is Code.NOT_FOUND
    assert refused("--check", tmp_path / "nothing").code is Code.NOT_FOUND
    assert refused("--tenant", pk, target, command="backup").code is Code.USAGE
    assert refused("--tenant", "nobody", tmp_path / "new", command="backup").code is Code.NOT_FOUND
    file = target / pk / "files.tar"
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert "files.tar" in refused("--tenant", pk, target, "--replace").why
    file.write_bytes(whole)
    (target / "more").write_text("x")
    assert "unknown" in refused("--tenant", pk, target, "--replace").why
    (target / "more").unlink()
    monkeypatch.setattr(papers, "master_key_fingerprint", lambda: "another")
    assert "master key" in refused("--tenant", pk, target, "--replace").what
    assert state(pk) == before


@pytest.mark.parametrize("where", ["_files", "_shared_rows"])
def test_a_failure_in_the_middle_puts_everything_back(
    lived_in: Any, tmp_path: Path, monkeypatch: Any, where: str
) -> None:
    pk, target = lived_in.pk, tmp_path / "backup"
    run("backup", "--tenant", pk, target)
    make_contact(pk)
    make_file(pk, b"written later")
    before = state(pk)

    def fail(*_: Any) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(restoring, where, fail)
        with pytest.raises(RuntimeError):
            run("restore", "--tenant", pk, target, "--replace")
    assert state(pk) == before
    assert run("restore", "--tenant", pk, target, "--replace")[0]["id"] == pk


def test_a_restore_that_was_killed_is_repeated_and_the_true_data_was_kept(
    lived_in: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    pk, target = lived_in.pk, tmp_path / "backup"
    before = state(pk)
    run("backup", "--tenant", pk, target)

    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        # As after a kill -9: nothing is put back.
        patched.setattr(restoring, "_finish", kill)
        with pytest.raises(Killed):
            run("restore", "--tenant", pk, target, "--replace")
    with public_context():
        assert Tenant.objects.get(pk=pk).status == TenantStatus.SUSPENDED
    run("restore", "--tenant", pk, target, "--replace")
    assert state(pk) == before


def test_nothing_in_a_backup_opens_without_the_master_key(lived_in: Any, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    run("backup", "--tenant", lived_in.pk, target)
    assert oct(target.stat().st_mode)[-3:] == "700"
    keys = (target / lived_in.pk / "shared" / "tenant_key.copy").read_bytes()
    assert keys and NUMBER.encode() not in (target / lived_in.pk / "shared" / "log_party.copy").read_bytes()
    names = {path.name for path in target.rglob("*.copy")}
    assert not names & {"accounts_session.copy", "accounts_refreshtoken.copy", "accounts_outgoingmail.copy"}


# --- everything -------------------------------------------------------------------------------------------


def test_everything_comes_back_into_an_empty_deployment(
    lived_in: Any, tenants: Any, make_user: Any, tmp_path: Path
) -> None:
    make_user("admin", tenant=tenants[1])
    make_contact(tenants[1].pk)
    before = [state(one.pk) for one in tenants]
    target = tmp_path / "backup"
    (said,) = run("backup", "--all", target)
    assert len(said["tenants"]) == 2
    call_command("flush", interactive=False)
    for one in tenants:
        schemas.drop(one.pk)
    done = run("restore", "--all", target)
    assert [one["slug"] for one in done] == ["mto", "ziwa"]
    for one, was in zip(tenants, before, strict=True):
        now = state(one.pk)
        assert {name: (was[name], now.get(name)) for name in was if was[name] != now.get(name)} == {}


def test_transaction_numbers_of_another_server_are_made_older_than_new_ones(lived_in: Any) -> None:
    pk = lived_in.pk
    with tenant_context(pk):
        count = len(events.settled())
    assert count >= 1
    ahead = "((transaction_id::text::bigint + 1000000000)::text)::xid8"
    owner(f"UPDATE {pk}.records_domainevent SET transaction_id = {ahead}")
    with tenant_context(pk):
        assert len(events.settled()) == 0
        order = [
            one.pk for one in events._model("DomainEvent").objects.order_by("transaction_id", "sequence")
        ]
    assert clocks.settle(pk) >= 1
    assert clocks.settle(pk) == 0
    make_contact(pk)
    with tenant_context(pk):
        rows = events.settled().order_by("transaction_id", "sequence")
        assert [one.pk for one in rows][: len(order)] == order and rows.count() > len(order)


# --- the tests themselves ---------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["nothing", "half", "aside"])
def test_a_test_that_fails_leaves_the_next_one_whole_schemas(tenants: Any, left: str) -> None:
    pk, aside = tenants[0].pk, restoring.ASIDE + tenants[0].pk
    before = tables(pk)
    if left == "nothing":
        schemas.drop(pk)
    elif left == "half":
        owner(f"DROP TABLE {pk}.contacts_contactphone CASCADE")
    else:
        owner(f"ALTER SCHEMA {pk} RENAME TO {aside}", f"CREATE SCHEMA {pk}")
    put_back(tenants[0], before)
    assert before and tables(pk) == before and tables(aside) == []
    make_contact(pk)
