"""Contacts: found by number while a phone rings, changed by REST."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.web.api_cases import ResourceCases
from web.shared.core.actor import system
from web.tenant.contacts import queries, services
from web.tenant.contacts.models import Contact, ContactPhone

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")


def make(first: str, *numbers: str, last: str = "", **values: object) -> Contact:
    return services.contact_create(
        actor=ACTOR,
        values={"first_name": first, "last_name": last, **values},
        phones=[{"number": number} for number in numbers],
        region="KE",
    )


def found(number: str) -> list[str]:
    return [contact.first_name for contact in queries.find_by_number(number)]


def test_a_number_is_found_as_the_carrier_sends_it(tenant):
    make("Amina", "0712 345 678")
    make("Juma", "+254722000111")
    assert found("+254712345678") == ["Amina"]
    assert found("0712345678") == ["Amina"]
    assert found("254712345678") == ["Amina"]
    assert found("00254712345678") == ["Amina"]


def test_an_exact_number_wins_over_the_same_digits_abroad(tenant):
    make("Kenya", "+254712345678")
    make("Uganda", "+256712345678")
    assert found("+256712345678") == ["Uganda"]
    assert sorted(found("0712345678")) == ["Kenya", "Uganda"]


def test_short_and_withheld_numbers_match_nobody(tenant):
    make("Amina", "+254712345678")
    for number in ("", "345678", "anonymous", "12345678"):
        assert found(number) == []


def test_of_a_shared_phone_the_primary_owner_comes_first_and_the_deleted_do_not(tenant):
    household = "+254733111222"
    make("Child", "+254733999888", household)
    make("Mother", household)
    gone = make("Gone", household)
    services.contact_delete(actor=ACTOR, contact=gone)
    assert found(household) == ["Mother", "Child"]


def test_the_number_lookups_use_their_indexes(tenant):
    make("Amina", "+254712345678")
    with CaptureQueriesContext(connection) as said:
        queries.find_by_number("+254712345678")
    assert len(said) == 1
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT 1 FROM contacts_contactphone WHERE reverse(number) LIKE '876543217%%'")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "contact_by_suffix" in plan


def test_the_quick_look_uses_both_indexes(tenant):
    with CaptureQueriesContext(connection) as said:
        queries.perhaps_known(["+254712345678", "+254722000111", "+12345678"])
    (statement,) = [one["sql"] for one in said]
    with connection.cursor() as cursor:
        for kind in ("seqscan", "indexscan", "indexonlyscan"):
            cursor.execute(f"SET LOCAL enable_{kind} = off")
        cursor.execute("EXPLAIN " + statement.replace("%", "%%"))
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "contact_by_suffix" in plan and "contact_by_number" in plan and "Seq Scan" not in plan


def test_rest_life_of_a_contact(tenant, make_user, api):
    client = api(make_user("agent"))
    body = {
        "first_name": "Amina",
        "last_name": "Otieno",
        "phones": [{"number": "0712345678", "label": "mobile"}, {"number": "+254733000111", "label": "work"}],
        "tags": ["caregiver"],
    }
    made = client.post("/api/v1/contacts/", body)
    assert made.status_code == 201, made.content
    row = made.json()
    assert row["name"] == "Amina Otieno" and row["phone"] == "+254712345678"
    assert [phone["is_primary"] for phone in row["phones"]] == [True, False]
    where = f"/api/v1/contacts/{row['id']}/"
    changed = client.patch(where, {"last_name": "Achieng"}, HTTP_IF_MATCH=made["ETag"])
    assert changed.status_code == 200 and changed.json()["name"] == "Amina Achieng"
    assert len(changed.json()["phones"]) == 2
    assert client.patch(where, {"last_name": "X"}, HTTP_IF_MATCH=made["ETag"]).status_code == 412
    phones = client.patch(where, {"phone": "0799111222"}, HTTP_IF_MATCH=changed["ETag"])
    assert phones.status_code == 200, phones.content
    assert [phone["number"] for phone in phones.json()["phones"]] == ["+254799111222", "+254733000111"]
    assert phones["ETag"] != changed["ETag"]
    assert client.delete(where, HTTP_IF_MATCH=phones["ETag"]).status_code == 403
    boss = api(make_user("supervisor"))
    assert boss.delete(where, HTTP_IF_MATCH=phones["ETag"]).status_code == 204
    assert client.get(where).status_code == 404


def test_one_number_alone_is_enough(tenant, make_user, api):
    client = api(make_user("agent"))
    made = client.post("/api/v1/contacts/", {"first_name": "Amina", "phone": "0712345678"})
    assert made.status_code == 201, made.content
    (phone,) = made.json()["phones"]
    assert (phone["number"], phone["label"], phone["is_primary"]) == ("+254712345678", "mobile", True)
    assert phone["safe_to_call"] and phone["safe_hours"] == {}


@pytest.mark.parametrize(
    "phones",
    [
        [{"number": "nonsense"}],
        [{"number": "0712345678"}, {"number": "+254712345678"}],
        [{"number": "0712345678", "is_primary": True}, {"number": "0733000111", "is_primary": True}],
        [{"number": "0712345678", "colour": "red"}],
    ],
)
def test_refused_numbers_leave_nothing_behind(tenant, make_user, api, phones):
    answer = api(make_user("agent")).post("/api/v1/contacts/", {"first_name": "A", "phones": phones})
    assert answer.status_code == 422, answer.content
    assert answer["Content-Type"].startswith("application/problem+json")
    assert not Contact.all_objects.exists()


def test_search_finds_by_words_and_digits(tenant, make_user, api):
    make("Amina", "0712345678", last="Otieno")
    make("Brian", "0722000111", last="Otieno")
    client = api(make_user("agent"))

    def names(query: str) -> list[str]:
        rows = client.get(f"/api/v1/contacts/?q={query}&sort=first_name").json()["data"]
        return [row["first_name"] for row in rows]

    assert names("otieno") == ["Amina", "Brian"]
    assert names("ami otie") == ["Amina"]
    assert names("0712345") == ["Amina"]
    assert names("nobody") == []


def test_another_tenants_contact_is_not_there(tenant, other_tenant, make_user, api):
    mine = make("Amina", "0712345678")
    stranger = api(make_user("supervisor", tenant=other_tenant), tenant=other_tenant)
    where = f"/api/v1/contacts/{mine.pk}/"
    assert stranger.get(where).status_code == 404
    assert stranger.patch(where, {"last_name": "X"}, HTTP_IF_MATCH='"1"').status_code == 404
    assert stranger.get("/api/v1/contacts/").json()["data"] == []


class TestContactsResource(ResourceCases):
    url = "/api/v1/contacts/"
    created = {"first_name": "Amina"}
    updated = {"first_name": "Ashanti"}
    refused = {"first_name": ""}
    may_edit, may_view, may_delete, may_not = "agent", "viewer", "supervisor", "telephony_admin"
    sorts = ("created_at", "-updated_at", "last_name", "-first_name")


def test_the_quick_look_passes_over_no_number_that_somebody_has(tenant):
    owner = make("Amina", "+254712345678", "+4930123456")
    ContactPhone.objects.create(contact=owner, number="+12345678")
    stored = ["+254712345678", "+12345678", "+4930123456"]
    asked = [*stored, "0712345678", "+255712345678", "12345678", "+254799999999", "98765", "", "anonymous"]
    known = queries.perhaps_known(asked)
    assert {number for number in asked if queries.find_by_number(number)} <= known
    assert known == {*stored, "0712345678", "+255712345678"}
    assert queries.perhaps_known([]) == set()
