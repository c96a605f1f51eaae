"""What is known about people: who they are to each other, how they may be reached, who may see what."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.api_cases import ResourceCases
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent, DomainEvent
from web.tenant.contacts import (
    anonymity,
    consents,
    duplicates,
    queries,
    reach,
    safe_hours,
    searching,
    services,
)
from web.tenant.contacts.models import AnonymousNumber, Contact, ContactPhone, ContactRelationship
from web.tenant.reference_data.models import Location

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
URL = "/api/v1/contacts/"


def make(first: str, *phones: Any, **values: Any) -> Contact:
    rows: Any = [{"number": one} if isinstance(one, str) else one for one in phones]
    return services.contact_create(
        actor=ACTOR, values={"first_name": first, **values}, phones=rows, region="KE"
    )


class TestGroups(ResourceCases):
    url = f"{URL}groups/"
    created = {"name": "Volunteers"}
    updated = {"name": "Volunteers of Mombasa"}
    refused = {"name": ""}
    may_edit, may_view, may_delete, may_not = "agent", "viewer", "supervisor", "telephony_admin"
    sorts = ("created_at", "-name")

    def make(self, tenant: Any, **values: Any) -> str:
        return super().make(tenant, name=f"Group {uuid.uuid4().hex[:8]}", **values)


class TestRelationships(ResourceCases):
    url = f"{URL}relationships/"
    updated = {"description": "Since last year"}
    refused = {"relationship_type": "nonsense"}
    may_edit, may_view, may_delete, may_not = "agent", "viewer", "agent", "telephony_admin"
    sorts = ("created_at",)

    def make(self, tenant: Any, **values: Any) -> str:
        pair = {"from_contact": str(make("A").pk), "to_contact": str(make("B").pk)}
        return super().make(tenant, **pair)

    @pytest.fixture(autouse=True)
    def _pair(self, _parts: None) -> None:
        from web.shared.tenants.context import tenant_context

        with tenant_context(self.tenants[0].pk):
            one, other = make("A"), make("B")
        type(self).created = {
            "from_contact": str(one.pk),
            "to_contact": str(other.pk),
            "relationship_type": "parent",
        }


def test_a_relationship_reads_from_both_sides_and_is_said_once(tenant, make_user, api):
    client, mother, child = api(make_user("agent")), make("Asha"), make("Juma")
    body = {"from_contact": str(mother.pk), "to_contact": str(child.pk), "relationship_type": "parent"}
    made = client.post(f"{URL}relationships/", body)
    assert made.status_code == 201 and made.json()["inverse_type"] == "child"
    seen = client.get(f"{URL}{child.pk}/relationships/").json()["data"]
    assert [(one["contact"]["name"], one["relationship_type"]) for one in seen] == [("Asha", "parent")]
    seen = client.get(f"{URL}{mother.pk}/relationships/").json()["data"]
    assert [(one["contact"]["name"], one["relationship_type"]) for one in seen] == [("Juma", "child")]
    mirrored = {"from_contact": str(child.pk), "to_contact": str(mother.pk), "relationship_type": "child"}
    for wrong in (body, mirrored, {**body, "to_contact": str(mother.pk)}):
        assert client.post(f"{URL}relationships/", wrong).status_code == 422
    assert ContactRelationship.objects.count() == 1
    shown = client.get(f"{URL}relationships/?contact={child.pk}&expand=from_contact").json()["data"]
    assert shown[0]["from_contact"]["name"] == "Asha"


def test_foreign_contacts_in_bodies_are_refused_alike(tenant, other_tenant, make_user, api):
    stranger = api(make_user("admin", tenant=other_tenant), tenant=other_tenant)
    theirs = stranger.post(URL, {"first_name": "Theirs"}).json()["id"]
    client, mine = api(make_user("admin")), make("Mine")
    group = client.post(f"{URL}groups/", {"name": "G"}).json()["id"]
    for pk in (theirs, str(uuid.uuid4())):
        body = {"from_contact": str(mine.pk), "to_contact": pk, "relationship_type": "friend"}
        answer = client.post(f"{URL}relationships/", body)
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"pointer": "/to_contact", "code": "does_not_exist", "detail": "There is no such object."}
        ]
        answer = client.post(f"{URL}groups/{group}/members/", {"add": [str(mine.pk), pk]})
        assert answer.status_code == 422
        assert answer.json()["errors"][0] == {
            "pointer": "/add/1", "code": "does_not_exist", "detail": "There is no such object."
        }  # fmt: skip
        address = {"first_name": "X", "addresses": [{"location": pk}]}
        answer = client.post(URL, address)
        assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/addresses/0/location"
    assert client.get(f"{URL}?group={group}").json()["data"] == []


def test_groups_have_members(tenant, make_user, api):
    client, people = api(make_user("agent")), [make(name) for name in ("A", "B", "C")]
    group = client.post(f"{URL}groups/", {"name": "G"}).json()["id"]
    where, ids = f"{URL}groups/{group}/members/", [str(one.pk) for one in people]
    assert client.post(where, {"add": ids}).json() == {"added": 3, "removed": 0, "member_count": 3}
    assert client.post(where, {"add": ids[:1], "remove": ids[2:]}).json() == {
        "added": 0, "removed": 1, "member_count": 2
    }  # fmt: skip
    listed = client.get(f"{URL}?group={group}").json()["data"]
    assert {one["id"] for one in listed} == set(ids[:2])
    assert client.get(f"{URL}groups/?contact={ids[0]}").json()["data"][0]["member_count"] == 2


# --- safety -----------------------------------------------------------------------------------------------


def test_safety_stays_with_a_number_unless_somebody_says_otherwise(tenant, make_user, api):
    client = api(make_user("agent"))
    hours = {"monday": [["08:00", "12:00"]]}
    made = client.post(
        URL,
        {"first_name": "A", "phones": [{"number": "0712345678", "safe_to_text": False, "safe_hours": hours}]},
    )
    assert made.status_code == 201, made.content
    where = f"{URL}{made.json()['id']}/"
    pk = ContactPhone.objects.get().pk
    changed = client.patch(
        where, {"phones": [{"number": "+254712345678"}, {"number": "0733000111"}]}, HTTP_IF_MATCH="*"
    ).json()
    assert changed["phones"][0]["safe_hours"] == hours and not changed["phones"][0]["safe_to_text"]
    assert ContactPhone.objects.filter(pk=pk).exists()
    # The primary number alone takes the place of the one before; what is known of the new one stays.
    client.patch(where, {"phones": [{"number": "0733000111"}, {"number": "0712345678"}]}, HTTP_IF_MATCH="*")
    moved = client.patch(where, {"phone": "0712345678"}, HTTP_IF_MATCH="*").json()
    assert [one["number"] for one in moved["phones"]] == ["+254712345678"]
    assert moved["phones"][0]["safe_hours"] == hours
    bad: list[Any] = [{"monday": [["12:00", "08:00"]]}, {"someday": []}, [], {"monday": [["25:00", "26:00"]]}]
    for wrong in bad:
        answer = client.patch(
            where, {"phones": [{"number": "0712345678", "safe_hours": wrong}]}, HTTP_IF_MATCH="*"
        )
        assert answer.status_code == 422, wrong
    assert client.patch(where, {"time_zone": "Mars/Base"}, HTTP_IF_MATCH="*").status_code == 422


def test_who_may_be_reached_when_and_why_not(tenant, make_user, api):
    monday_nine = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)  # 09:00 in Nairobi
    phone = {
        "number": "0712345678",
        "safe_hours": {"monday": [["08:00", "12:00"]]},
        "conceal_caller": True,
        "safe_to_text": False,
    }
    person = make("A", phone, email="a@example.org")
    row, other = person.phones.get(), make("B", "0733000111").phones.get()
    assert reach.may_reach(person, row, monday_nine, "call") == (True, "ok")
    assert reach.may_reach(person, row, monday_nine, "text") == (False, "not_safe_to_text")
    assert reach.may_reach(person, row, monday_nine, "message") == (False, "not_safe_to_leave_message")
    assert reach.may_reach(person, other, monday_nine, "call") == (False, "not_their_number")
    assert reach.may_reach(person, None, monday_nine, "email") == (True, "ok")
    evening = monday_nine + timedelta(hours=10)
    assert reach.may_reach(person, row, evening, "call") == (False, "outside_safe_hours")
    assert queries.may_reach(person.pk, "+254712345678", evening, "call") == (False, "outside_safe_hours")
    # In another zone the same instant is another hour.
    Contact.objects.filter(pk=person.pk).update(time_zone="America/New_York")
    elsewhere = Contact.objects.get(pk=person.pk)
    assert reach.may_reach(elsewhere, row, monday_nine, "call") == (False, "outside_safe_hours")
    Contact.objects.filter(pk=person.pk).update(time_zone="")
    client = api(make_user("agent"))
    where = f"{URL}{person.pk}/reachability/"
    shown = client.get(where, {"kind": "call", "at": evening.isoformat()}).json()
    (one,) = shown["data"]
    assert shown["time_zone"] == "Africa/Nairobi" and one["conceal_caller"]
    assert one["reason"] == "outside_safe_hours" and one["next_at"] == "2026-11-30T05:00:00Z"
    assert len(client.get(where).json()["data"]) == 4
    assert client.get(where, {"kind": "fax"}).status_code == 400
    assert client.get(where, {"at": "tomorrow"}).status_code == 400
    consents.consent_record(
        actor=ACTOR,
        contact=person,
        values={"purpose": "contact_by_call", "status": "withdrawn", "source": "call"},
    )
    assert reach.may_reach(person, row, timezone.now() + timedelta(days=7), "call")[1] == "no_consent"
    services.contact_delete(actor=ACTOR, contact=person)
    assert queries.may_reach(person.pk, "+254712345678", monday_nine, "call") == (False, "contact_gone")


def test_an_hour_that_is_skipped_is_not_safe_and_one_that_comes_twice_is():
    hours = {"sunday": [["02:00", "03:00"]]}
    # Berlin, 29 March 2026: 02:00 to 03:00 does not exist. 25 October: it comes twice.
    for hour in range(3):
        assert not safe_hours.open_at(hours, datetime(2026, 3, 29, hour, 30, tzinfo=UTC), "Europe/Berlin")
    safe = [
        hour
        for hour in range(4)
        if safe_hours.open_at(hours, datetime(2026, 10, 25, hour, 30, tzinfo=UTC), "Europe/Berlin")
    ]
    assert safe == [0, 1]
    assert safe_hours.next_opening({"monday": []}, datetime(2026, 1, 1, tzinfo=UTC), "UTC") is None
    assert safe_hours.intersect({"monday": [["08:00", "10:00"]]}, {"tuesday": [["08:00", "10:00"]]}) == {
        "monday": []
    }


def test_consents_are_records_and_the_newest_counts(tenant, make_user, api):
    client, person = api(make_user("agent")), make("A")
    where = f"{URL}{person.pk}/consents/"
    assert consents.holds(person.pk, "recording") is None
    soon = (timezone.now() + timedelta(minutes=1)).isoformat()
    given = client.post(
        where, {"purpose": "recording", "status": "given", "source": "call", "expires_at": soon}
    )
    assert given.status_code == 201, given.content
    assert consents.holds(person.pk, "recording") is True
    assert consents.holds(person.pk, "recording", timezone.now() + timedelta(hours=1)) is False
    client.post(where, {"purpose": "recording", "status": "withdrawn", "source": "paper"})
    old = (timezone.now() - timedelta(days=9)).isoformat()
    client.post(where, {"purpose": "recording", "status": "given", "source": "paper", "at": old})
    assert consents.holds(person.pk, "recording") is False
    shown = client.get(where).json()["data"]
    assert [one["status"] for one in shown] == ["withdrawn", "given", "given"]
    assert shown[0]["recorded_by"]
    future = (timezone.now() + timedelta(days=1)).isoformat()
    for wrong in (
        {"at": future},
        {"purpose": "nonsense"},
        {"expires_at": old},
        {"colour": "red"},
    ):
        body = {"purpose": "recording", "status": "given", "source": "call", **wrong}
        assert client.post(where, body).status_code == 422, wrong
    assert DomainEvent.objects.filter(type="contact.consent_recorded").count() == 3
    assert client.patch(where, {}).status_code == 405


# --- who sees what ----------------------------------------------------------------------------------------


def test_an_anonymous_caller_has_a_pseudonym_and_is_known_again(tenant, make_user, api):
    agent, worker = api(make_user("agent")), api(make_user("case_worker"))
    first = agent.post(f"{URL}anonymous/", {"number": "0712345678"})
    assert first.status_code == 201, first.content
    again = agent.post(f"{URL}anonymous/", {"number": "+254 712 345678"})
    assert again.status_code == 200 and again.json()["id"] == first.json()["id"]
    name = first.json()["name"]
    assert name.startswith("Caller ") and len(name) == 11
    assert agent.post(f"{URL}anonymous/", {"number": "0733000111"}).json()["name"] != name
    assert not ContactPhone.objects.exists()
    assert "712345678" not in str(list(AnonymousNumber.objects.values()))
    same = anonymity.same_caller("+254712345678")
    assert same is not None and str(same.pk) == first.json()["id"]
    assert [one["name"] for one in agent.get(f"{URL}?q={name[7:]}").json()["data"]] == [name]
    assert agent.post(f"{URL}anonymous/", {"number": "x"}).status_code == 422
    # One that has a number and a name: masked for those who may not see them, and not findable by them.
    body = {"first_name": "Zanele", "phone": "0722333444", "email": "z@example.org", "is_anonymous": True}
    made = worker.post(URL, body)
    assert made.status_code == 201, made.content
    where = f"{URL}{made.json()['id']}/"
    assert worker.get(where).json()["first_name"] == "Zanele"
    shown = agent.get(where)
    assert b"anele" not in shown.content and b"33344" not in shown.content and b"z@ex" not in shown.content
    assert shown.json()["phones"][0]["number"].endswith("•44")
    assert {"first_name", "phones", "date_of_birth"} <= set(shown.json()["redacted"])
    for query in ("q=zanele", "phone=0722333444", "email=z@example.org", "q=0722333444", "q=722333"):
        assert agent.get(f"{URL}?{query}").json()["data"] == [], query
    assert len(worker.get(f"{URL}?phone=0722333444").json()["data"]) == 1
    assert agent.get(f"{URL}duplicates/?phone=0722333444&name=zanele").json()["data"] == []
    changes: list[Any] = [{"phones": []}, {"first_name": "X"}, {"is_anonymous": False}]
    for change in changes:
        assert agent.patch(where, change, HTTP_IF_MATCH="*").status_code == 403
    assert agent.patch(where, {"tags": ["x"]}, HTTP_IF_MATCH="*").status_code == 200
    assert b"33344" not in agent.get(f"{where}reachability/").content


def test_sensitive_fields_need_their_code_and_reads_are_written_down(tenant, make_user, api):
    admin, agent = api(make_user("admin")), api(make_user("agent"))
    schema = {
        "type": "object",
        "properties": {"ward": {"type": "string"}, "hiv": {"type": "boolean", "x-sensitive": True}},
        "additionalProperties": False,
    }
    assert agent.put(f"{URL}field-schema/", {"schema": schema}).status_code == 403
    assert admin.put(f"{URL}field-schema/", {"schema": schema}).status_code == 200
    place = Location.objects.create(name="Kisumu", type="district")
    body = {
        "first_name": "A",
        "date_of_birth": "2010-05-01",
        "address": "Here",
        "addresses": [{"kind": "home", "locality": "Kisumu", "location": str(place.pk)}],
        "custom_fields": {"ward": "7", "hiv": True},
    }
    made = admin.post(URL, body)
    assert made.status_code == 201, made.content
    assert made.json()["addresses"][0]["location"] == str(place.pk)
    where = f"{URL}{made.json()['id']}/"
    shown = agent.get(where).json()
    assert shown["date_of_birth"] is None and shown["address"] is None and shown["addresses"] is None
    assert shown["custom_fields"] == {"ward": "7"}
    assert {"date_of_birth", "address", "addresses", "custom_fields.hiv"} <= set(shown["redacted"])
    changes: list[Any] = [{"date_of_birth": None}, {"addresses": []}, {"custom_fields": {"hiv": False}}]
    for change in changes:
        assert agent.patch(where, change, HTTP_IF_MATCH="*").status_code == 403, change
    done = agent.patch(where, {"custom_fields": {"ward": "8"}}, HTTP_IF_MATCH="*")
    assert done.status_code == 200, done.content
    assert admin.get(where).json()["custom_fields"] == {"ward": "8", "hiv": True}
    assert agent.get(f"{URL}?date_of_birth=2010-05-01").status_code == 403
    assert AuditEvent.objects.filter(action="view", object_id=made.json()["id"]).count() >= 2
    wrong = admin.post(URL, {"first_name": "A", "custom_fields": {"ward": 7, "x": 1}})
    assert wrong.status_code == 422
    assert {one["pointer"] for one in wrong.json()["errors"]} == {"/custom_fields", "/custom_fields/ward"}
    for bad in (
        {"type": "array"},
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/x"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}},
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        "x",
    ):
        assert admin.put(f"{URL}field-schema/", {"schema": bad}).status_code == 422, bad
    assert admin.delete(f"{URL}field-schema/").status_code == 204
    assert admin.get(f"{URL}field-schema/").status_code == 404


# --- finding ----------------------------------------------------------------------------------------------


def test_duplicates_are_scored_with_their_reasons(tenant, make_user, api):
    amina = make(
        "Amina", "0712345678", last_name="Otieno", email="amina@example.org", date_of_birth="2010-05-01"
    )
    make("Aminah", last_name="Otiend")
    make("Brian", "0733000111", last_name="Kamau")
    client = api(make_user("case_worker"))

    def found(**asked: str) -> list[Any]:
        answer = client.get(f"{URL}duplicates/", asked)
        assert answer.status_code == 200, answer.content
        return [(one["contact"]["first_name"], sorted(one["reasons"])) for one in answer.json()["data"]]

    assert found(phone="0712 345 678") == [("Amina", ["phone"])]
    assert found(phone="000254712345678") == [("Amina", ["phone"])]
    assert found(phone="+256712345678") == [("Amina", ["phone_ending"])]
    assert found(name="amina otieno") == [("Amina", ["name"]), ("Aminah", ["name"])]
    assert found(name="Ámina Otieno", date_of_birth="2010-05-01")[0] == ("Amina", ["date_of_birth", "name"])
    assert found(email="amina@example.org", phone="0712345678")[0][1] == ["email", "phone"]
    assert found(date_of_birth="2010-05-01") == [] and found(name="xy") == []
    assert found(phone="0712345678", **{"except": str(amina.pk)}) == []
    best = duplicates.find(name="amina otieno", phone="0712345678", email="amina@example.org", region="KE")[0]
    assert best.score == 1.0
    for wrong in ({"date_of_birth": "x"}, {"colour": "red"}, {"except": "x"}):
        assert client.get(f"{URL}duplicates/", wrong).status_code == 400


def test_search_uses_its_indexes_and_finds_as_people_type(tenant, make_user, api):
    make("Zoë", "0712345678", last_name="Müller", organization="Kituo cha Sheria")
    make("Li", "0733000111", last_name="Wu")
    client = api(make_user("agent"))

    def names(query: str) -> list[str]:
        rows = client.get(URL, {"q": query, "sort": "first_name"}).json()["data"]
        return [row["first_name"] for row in rows]

    assert names("zoe") == names("MULLER zoë") == names("sheria") == names("0712 345678") == ["Zoë"]
    assert names("+254712345678") == names("712345") == names("0712345") == ["Zoë"]
    assert names("li") == names("wu") == ["Li"] and names("%") == names("_oe") == []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexscan = off")
        for text in ("sheria", "li", "0712345678"):
            statement, params = searching.search(Contact.all_objects.all(), text).query.sql_with_params()
            cursor.execute(f"EXPLAIN {statement}", params)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert any(f"contact_by_{one}" in plan for one in ("text", "suffix", "likeness")), (text, plan)


def test_lists_ask_a_constant_number_of_queries(tenant, make_user, api):
    client, counts = api(make_user("supervisor")), []
    for round_ in range(2):
        for n in range(4):
            one = make(f"A{n}", f"07{round_}{n}345678", custom_fields={"a": 1})
            make("anonymous", f"07{round_}{n}999999", is_anonymous=True)
            ContactRelationship.objects.create(
                from_contact=one, to_contact=make(f"B{n}"), relationship_type="friend"
            )
        found = []
        for url in ("", "?q=a", "relationships/?expand=from_contact,to_contact", "groups/"):
            with CaptureQueriesContext(connection) as said:
                assert client.get(f"{URL}{url}").status_code == 200
            found.append(len(said))
        counts.append(found)
    assert counts[0] == counts[1]


def test_the_timeline_pages_through_what_happened(tenant, make_user, api):
    client, person = api(make_user("supervisor")), make("A")
    for n in range(5):
        services.contact_update(actor=ACTOR, contact=person, values={"title": str(n)}, region="KE")
    seen, cursor = [], ""
    for _ in range(10):
        page = client.get(
            f"{URL}{person.pk}/timeline/", {"limit": 2, **({"cursor": cursor} if cursor else {})}
        )
        assert page.status_code == 200, page.content
        seen += page.json()["data"]
        cursor = page.json()["next_cursor"]
        if not page.json()["has_more"]:
            break
    assert [one["kind"] for one in seen] == ["contact.update"] * 5 + ["contact.create"]
    assert len({one["id"] for one in seen}) == 6
    assert client.get(f"{URL}{person.pk}/timeline/?cursor=x").status_code == 400
