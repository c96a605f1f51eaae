"""A person who is erased is found nowhere: database, Redis, files, logs; what they may read of themselves."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from telephony import codec
from telephony.contract.ids import PartyId
from telephony.sealing import seal_party
from tests.realtime import log_table
from tests.web import kit_cases
from web.shared.core import events, jobs, keys, parties
from web.shared.core.actor import Actor, ActorKind, system
from web.shared.core.stores import redis_client
from web.shared.records.models import AuditEvent, DomainEvent
from web.shared.tenants import erasures
from web.shared.tenants.backup import servers
from web.shared.tenants.context import tenant_context
from web.shared.tenants.keys import redis_key
from web.tenant.calls.models import Call, CallDisposition, CallDraft, WrapUp
from web.tenant.cases.services import notes
from web.tenant.contacts import erasing, merging, services
from web.tenant.contacts.models import Contact, ContactPhone

pytestmark = [pytest.mark.database, pytest.mark.redis]
ACTOR = system("tests")
URL = "/api/v1/contacts/"
FIRST, LAST, DIGITS = "Zanelekwa", "Mbatharonyo", "799123457"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
NO_TIME = timedelta(0)


# --- looking everywhere -----------------------------------------------------------------------------------


def database_dump() -> bytes:
    """Everything that the database holds, as text, by a superuser: row security hides nothing from them."""
    address = os.environ["MURIMA_TEST_SUPERUSER_URL"].rsplit("/", 1)[0]
    name = settings.DATABASES["default"]["NAME"]
    command = [str(servers.program("pg_dump")), "--data-only", f"--dbname={address}/{name}"]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout


def redis_dump() -> bytes:
    client, found = redis_client(), []
    readers: dict[str, Any] = {
        "string": lambda key: client.get(key),
        "hash": lambda key: client.hgetall(key),
        "list": lambda key: client.lrange(key, 0, -1),
        "set": lambda key: client.smembers(key),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "stream": lambda key: client.xrange(key),
    }
    for key in client.scan_iter(count=1000):
        found.append(f"{key} {readers[str(client.type(key))](key)}")
    return "\n".join(found).encode()


def files() -> Iterator[tuple[Path, bytes]]:
    """Every file of the installation but PostgreSQL's own, which is looked at through pg_dump."""
    for path in Path(settings.HOME).rglob("*"):
        if path.is_file() and "postgres" not in path.relative_to(settings.HOME).parts[:1]:
            yield path, path.read_bytes()


def found_in() -> set[str]:
    """Where a part of the name or the number still stands."""
    needles = [one.lower().encode() for one in (FIRST, LAST, DIGITS)]
    places = [("database", database_dump()), ("redis", redis_dump())]
    places += [(str(path.relative_to(settings.HOME)), body) for path, body in files()]
    places += [("names of files", str([path for path, _ in files()]).encode())]
    return {place for place, body in places if any(one in body.lower() for one in needles)}


# --- a life in the system ---------------------------------------------------------------------------------


def post(client: Any, url: str, body: Any, status: int = 201, **headers: Any) -> Any:
    answer = client.post(url, body, **headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def party_of(tenant_id: str, number: str, name: str) -> uuid.UUID:
    """A caller's row in the log under the tenant's key, and its frame in the stream under another, as the
    daemon writes them."""
    made = seal_party(keys.ring(tenant_id), PartyId(str(uuid.uuid4())), number, name)
    key = log_table.make_transit_key(time.time_ns())
    travelled = log_table.seal_in_transit(key, tenant_id, made.party, number, name)
    with servers.connect() as link:
        link.execute("SELECT set_config('murima.tenant', '*', true)")
        link.execute(
            "INSERT INTO public.log_party (tenant, party, key, sealed, digest) VALUES (%s, %s, %s, %s, %s)",
            [made.tenant, made.party, made.key, made.sealed, made.digest],
        )
    frame: Any = {"k": "party", "d": codec.encode_party(travelled).decode()}
    redis_client().xadd(redis_key(tenant_id, "up"), frame)
    return uuid.UUID(made.party)


def call_from(tenant_id: str, user: Any, contact: Any = None) -> Call:
    name = f"{FIRST} {LAST}"
    call = Call.objects.create(
        party=party_of(tenant_id, f"+254{DIGITS}", name), contact_id=contact, caller_number=f"+254{DIGITS}",
        caller_name=name, note=f"{name} called", started_at=timezone.now(), wait=NO_TIME, talk=NO_TIME,
        hold=NO_TIME, wrap_up=NO_TIME,
    )  # fmt: skip
    disposition, _ = CallDisposition.objects.get_or_create(code="HELPED", defaults={"name": "Helped"})
    WrapUp.objects.create(
        call_id=call.pk, user=user, disposition=disposition, note=f"{name} is well", ask_id="a",
        finished_at=timezone.now(),
    )  # fmt: skip
    CallDraft.objects.create(call_id=call.pk, user=user, note=f"{name} said")
    return call


def live(tenant: Any, client: Any, user: Any) -> str:
    """Bring the person into every part there is; returns the contact's id."""
    name = f"{FIRST} {LAST}"
    body = {
        "first_name": FIRST, "last_name": LAST, "phone": f"0{DIGITS}", "email": f"{FIRST}@example.org",
        "address": f"{LAST} Road", "addresses": [{"lines": f"House of {LAST}"}], "tags": [FIRST],
        "custom_fields": {"nickname": FIRST},
        "phones": [{"number": f"0{DIGITS}", "safety_note": f"Ask for {FIRST}"}],
    }  # fmt: skip
    del body["phone"]
    pk = post(client, URL, body, HTTP_IDEMPOTENCY_KEY=uuid.uuid4().hex)["id"]
    other = post(client, URL, {"first_name": FIRST, "organization": f"{LAST} School"})["id"]
    post(client, f"{URL}{pk}/merge/", {"other": other}, 200)
    friend = post(client, URL, {"first_name": "Friend"})["id"]
    link = {"from_contact": pk, "to_contact": friend, "relationship_type": "friend", "description": name}
    post(client, f"{URL}relationships/", link)
    group = post(client, f"{URL}groups/", {"name": "Friends"})["id"]
    post(client, f"{URL}groups/{group}/members/", {"add": [pk]}, 200)
    post(client, f"{URL}{pk}/consents/", {"purpose": "recording", "status": "given", "source": "call"})
    channel = post(client, "/api/v1/communications/channels/", {"name": "Texts", "type": "sms"})["id"]
    message = {"channel": channel, "contact": pk, "content": f"I am {name}", "external_id": FIRST}
    post(client, "/api/v1/communications/interactions/", {**message, "address": f"+254{DIGITS}"})
    post(client, "/api/v1/tasks/", {"title": f"Call {name}", "contact": pk, "description": f"At {DIGITS}"})
    upload = {"file": SimpleUploadedFile(f"{FIRST}.pdf", PDF + f"% {name}".encode()), "contact": pk}
    answer = client.post("/api/v1/documents/", upload, format="multipart")
    assert answer.status_code == 201, answer.content
    with tenant_context(tenant.pk):
        call_from(tenant.pk, user, pk)
        call_from(tenant.pk, user)
        case = kit_cases.case(f"About {name}", contact=pk, description=f"{name}, {DIGITS}")
        notes.note_add(actor=ACTOR, case=case, values={"content": f"{name} called"})
        csv = f"first_name,last_name,phone\n{FIRST},{LAST},0{DIGITS}\nOther,Person,nonsense {FIRST}\n"
        answer = client.generic("POST", f"{URL}imports/", csv, content_type="text/csv")
        assert answer.status_code == 202, answer.content
        assert jobs.run(answer.json()["id"]) == "done"
        assert jobs.run(post(client, f"{URL}exports/", {"format": "csv"}, 202)["id"]) == "done"
        events.drain(tenant.pk)
    return str(pk)


@pytest.mark.django_db(transaction=True)
def test_nothing_of_an_erased_person_is_left_anywhere(tenants, make_user, api, clean_redis):
    tenant, user = tenants[0], make_user("admin")
    client = api(user)
    keys.ensure(tenant.pk)
    pk = live(tenant, client, user)
    before = found_in()
    assert "database" in before and any("jobs" in place for place in before), before
    with tenant_context(tenant.pk):
        calls = Call.objects.count()
    told = post(client, f"{URL}{pk}/export/", None, 200)["data"]
    assert {"contacts", "calls", "communications", "cases", "tasks", "documents"} <= set(told)
    assert FIRST in str(told["contacts"]) and DIGITS in str(told["calls"])
    done = post(client, f"{URL}{pk}/erase/", None, 200)
    assert done["rows"] > 10
    with tenant_context(tenant.pk):
        events.drain(tenant.pk)
    assert found_in() == set()
    with tenant_context(tenant.pk):
        row = Contact.all_objects.get(pk=pk)
        assert row.erased_at is not None and row.name == "Erased contact"
        assert Call.objects.count() == calls, "what happened is still counted"
        assert not parties.same_caller(tenant.pk, f"+254{DIGITS}")
        assert AuditEvent.objects.filter(action="erase", object_id=pk).exists()
        assert DomainEvent.objects.filter(type="contact.erased", object_id=pk).count() == 1
        assert erasing.erase(actor=ACTOR, contact_id=row.pk) == 0
    assert ("contact", pk) in {(one.kind, one.object_id) for one in erasures.of_tenant(tenant.pk)}
    assert client.get(f"{URL}{pk}/").status_code == 404
    assert FIRST not in client.get(f"{URL}?limit=200").content.decode()


# --- holds and neighbours ---------------------------------------------------------------------------------


def make(first: str, *numbers: str) -> Contact:
    phones: Any = [{"number": one} for one in numbers]
    return services.contact_create(actor=ACTOR, values={"first_name": first}, phones=phones, region="KE")


@pytest.mark.django_db
def test_a_legal_hold_stops_an_erasure_and_names_its_reason(tenant, make_user, api):
    keys.ensure(tenant.pk)
    admin, boss, person = api(make_user("admin")), api(make_user("supervisor")), make("A", "0712345678")
    hold, erase = f"{URL}{person.pk}/hold/", f"{URL}{person.pk}/erase/"
    assert boss.post(hold, {"reason": "court_order"}).status_code == 403
    assert boss.post(erase).status_code == 403
    assert admin.post(hold, {"reason": "because"}).status_code == 422
    held = admin.post(hold, {"reason": "court_order"})
    assert held.status_code == 200 and held.json()["legal_hold_reason"] == "court_order"
    refused = admin.post(erase)
    assert refused.status_code == 409 and refused.json()["code"] == "legal_hold"
    assert refused.json()["holds"] == [{"by": "contacts", "reason": "court_order"}]
    assert Contact.objects.get(pk=person.pk).phones.count() == 1
    # Merged into another, the hold goes along.
    other = make("B")
    merging.merge(actor=ACTOR, winner_id=other.pk, loser_id=person.pk)
    assert admin.post(f"{URL}{other.pk}/erase/").json()["reason"] == "court_order"
    assert admin.delete(f"{URL}{other.pk}/hold/").status_code == 428
    assert admin.delete(f"{URL}{other.pk}/hold/", HTTP_IF_MATCH="*").status_code == 200
    assert admin.post(f"{URL}{other.pk}/erase/").status_code == 409, "the one that was merged is held still"
    Contact.all_objects.filter(pk=person.pk).update(legal_hold=False)
    assert admin.post(f"{URL}{other.pk}/erase/").status_code == 200
    assert Contact.all_objects.get(pk=person.pk).erased_at is not None
    actions = AuditEvent.objects.filter(object_type="contacts.contact").values_list("action", flat=True)
    assert {"hold", "release", "erase"} <= set(actions)


@pytest.mark.django_db
def test_a_number_that_somebody_else_has_too_stays_theirs(tenant, make_user):
    keys.ensure(tenant.pk)
    mother, child = make("Mother", "0712345678", "0733000111"), make("Child", "0712345678")
    calls = {
        name: Call.objects.create(
            contact=contact, caller_number=number, caller_name=name, started_at=timezone.now(), wait=NO_TIME,
            talk=NO_TIME, hold=NO_TIME, wrap_up=NO_TIME,
        ).pk
        for name, contact, number in (
            ("hers", mother, "+254712345678"),
            ("childs", child, "+254712345678"),
            ("unlinked shared", None, "+254712345678"),
            ("unlinked own", None, "+254733000111"),
        )
    }  # fmt: skip
    erasing.erase(actor=Actor(ActorKind.USER, id=make_user("admin").pk), contact_id=mother.pk)
    left = {name for name, pk in calls.items() if Call.objects.get(pk=pk).caller_number}
    assert left == {"childs", "unlinked shared"}
    assert ContactPhone.objects.get().contact == child


@pytest.mark.django_db
def test_another_tenant_can_neither_hold_nor_export_nor_erase(tenant, other_tenant, make_user, api):
    mine = make("Mine", "0712345678")
    stranger = api(make_user("admin", tenant=other_tenant), tenant=other_tenant)
    for url, body in (("hold", {"reason": "other"}), ("erase", None), ("export", None)):
        assert stranger.post(f"{URL}{mine.pk}/{url}/", body).status_code == 404
    row = Contact.objects.get(pk=mine.pk)
    assert row.erased_at is None and not row.legal_hold


@pytest.mark.django_db
def test_a_deleted_contact_is_still_somebodys_to_read_and_to_erase(tenant, make_user, api):
    keys.ensure(tenant.pk)
    client, person = api(make_user("admin")), make("Amina", "0712345678")
    services.contact_delete(actor=ACTOR, contact=person)
    assert client.get(f"{URL}{person.pk}/").status_code == 404
    assert "Amina" in client.post(f"{URL}{person.pk}/export/").content.decode()
    assert client.post(f"{URL}{person.pk}/erase/").status_code == 200
    assert client.post(f"{URL}{person.pk}/erase/").status_code == 404
    assert not ContactPhone.objects.exists()
