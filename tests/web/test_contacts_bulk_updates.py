"""An import laid over contacts that are there: what the ordinary service makes of them, by the thousand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from web.shared.core import copying, jobs, transfer
from web.shared.core.actor import system
from web.shared.core.transfer import Row
from web.shared.records.models import AuditEvent, DomainEvent
from web.tenant.contacts import bulk, custom_fields, services
from web.tenant.contacts.models import AnonymousNumber, Contact, ContactPhone
from web.tenant.contacts.services import MAX_PHONES

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
_OWN = {"id", "contact_id", "created_at", "updated_at", "at", "object_id", "salt", "content_hash", "sequence"}


def person(number: str, **values: Any) -> Contact:
    """A contact as the ordinary service makes it."""
    phones: Any = [{"number": one} for one in values.pop("phones", [number])]
    first = {"first_name": "Amina", "email": "", **values}
    return services.contact_create(actor=ACTOR, values=first, phones=phones, region="KE")


def laid(*rows: dict[str, Any], on_conflict: str = "update") -> transfer.Written:
    checked = [Row(n, bulk.ContactRow().run_validation(row)) for n, row in enumerate(rows, 1)]
    return bulk.write(checked, ACTOR, on_conflict)


def statements(made: CaptureQueriesContext) -> list[str]:
    return [one["sql"] for one in made]


def state(contact: Contact) -> dict[str, Any]:
    """All that is stored of a contact, but for ids and times."""
    row: Any = Contact.objects.filter(pk=contact.pk)
    phones: Any = ContactPhone.objects.filter(contact=contact)
    return {
        "contact": {name: value for name, value in row.values().get().items() if name not in _OWN},
        "phones": [{k: v for k, v in one.items() if k not in _OWN} for one in phones.values()],
    }


def told(contact: Contact) -> tuple[list[Any], list[Any]]:
    """The audit rows and the events of its changes: which fields they name."""
    rows = AuditEvent.objects.filter(object_id=str(contact.pk), action="update").order_by("at")
    said = DomainEvent.objects.filter(object_id=contact.pk, type="contact.updated").order_by("sequence")
    return [row.changes["fields"] for row in rows], [row.data["fields"] for row in said]


@pytest.mark.parametrize(
    ("values", "row", "changed"),
    [
        ({}, {"first_name": "Amina"}, []),
        ({}, {"first_name": "Ámina", "last_name": "Otieno"}, ["first_name", "last_name"]),
        ({"organization": "Was"}, {"first_name": "Amina", "organization": ""}, []),
        ({}, {"first_name": "Amina", "address": "a\\b\"c'{d},\n\tNULL%s"}, ["address"]),
        ({}, {"first_name": "Amina", "date_of_birth": "2001-02-03", "time_zone": "Africa/Nairobi"},
         ["date_of_birth", "time_zone"]),
        ({"tags": ["a"]}, {"first_name": "Amina", "tags": ["b", "a"]}, ["tags"]),
        ({"tags": ["a"]}, {"first_name": "Amina", "tags": ["a"]}, []),
        ({"tags": [f"t{n}" for n in range(50)]}, {"first_name": "Amina", "tags": ["z"]}, []),
        ({"custom_fields": {"a": 1, "b": None}}, {"first_name": "Amina", "custom_fields": {"a": "'2"}},
         ["custom_fields"]),
        ({}, {"first_name": "Amina", "phones": ["0733000111", "0733000112"]}, ["phones"]),
        ({}, {"first_name": "Asha", "phones": ["0733000111"]}, ["first_name", "phones"]),
        ({"phones": [], "email": "a@example.org"}, {"first_name": "Asha", "email": "a@example.org"},
         ["first_name", "phones"]),
        ({"preferred_language": "sw"}, {"first_name": "Amina"}, []),
    ],
)  # fmt: skip
def test_a_slice_makes_of_a_contact_what_the_service_makes_of_it(tenant, values, row, changed):
    mine, other = "+254712345678", "+254712345679"
    contact = person(mine, **values)
    before = contact.revision
    found = laid({**row, "phone": mine})
    assert (found.updated, found.created, found.errors) == (1, 0, [])
    audited, said = told(contact)
    assert audited == said == ([changed] if changed else [])
    contact.refresh_from_db()
    assert contact.revision == before + bool(changed) and contact.updated_by_id == ACTOR.user_id

    twin = person(other, **values)
    checked = bulk.ContactRow().run_validation(row)
    given = {k: v for k, v in checked.items() if k not in ("phone", "phones") and v not in ("", None)}
    given["tags"] = list(dict.fromkeys([*twin.tags, *checked["tags"]]))[:50]
    given["custom_fields"] = {**twin.custom_fields, **checked["custom_fields"]}
    numbers = [one.number for one in twin.phones.all()]
    added = [one for one in (other, *checked["phones"]) if one not in numbers]
    phones: Any = [{"number": one, "is_primary": n == 0} for n, one in enumerate([*numbers, *added])]
    services.contact_update(actor=ACTOR, contact=twin, values=given, phones=phones, region="KE")
    one, same = state(contact), state(twin)
    for found_state, number in ((one, mine), (same, other)):
        found_state["contact"].pop("revision")
        # Numbers of one millisecond stand in any order, there and in the text to search by.
        words = found_state["contact"]["search_text"].replace(number[1:], "#").split(" ")
        found_state["contact"]["search_text"] = sorted(words)
        for phone in found_state["phones"]:
            phone["number"] = phone["number"].replace(number, "#")
        found_state["phones"].sort(key=lambda phone: phone["number"])
    assert one == same


def test_who_is_odd_goes_through_the_service_and_who_is_wrong_spoils_nobody(tenant):
    hidden = person("0711000001", is_anonymous=True, first_name="Hidden")
    headless = person("0711000002")
    headless.phones.update(is_primary=False)
    crowded = person("0711000003", phones=[f"0711100{n:03d}" for n in range(MAX_PHONES)])
    nameless = person("0711000004", time_zone="Africa/Nairobi")
    Contact.objects.filter(pk=nameless.pk).update(time_zone="Nowhere/Atall")
    plain = person("0711000005")
    found = laid(
        {"first_name": "H", "phone": "0711000001", "phones": ["0711000099"]},
        {"first_name": "B", "phone": "0711000002"},
        {"first_name": "C", "phone": "0711100001", "phones": ["0711000098"]},
        {"first_name": "D", "phone": "0711000004"},
        {"first_name": "E", "phone": "0711000005"},
        {"first_name": "New", "phone": "0711000006"},
    )
    assert (found.updated, found.created) == (3, 1)
    assert [(one.number, one.pointer, one.code) for one in found.errors] == [
        (3, "/phones", "invalid"),
        (4, "/time_zone", "invalid"),
    ]
    for row in (headless, crowded, nameless, plain):
        row.refresh_from_db()
    assert (headless.first_name, plain.first_name) == ("B", "E")
    assert headless.phones.get(is_primary=True).number == "+254711000002"
    assert (crowded.first_name, crowded.phones.count()) == ("Amina", MAX_PHONES)
    assert nameless.first_name == "Amina" and told(nameless) == ([], [])
    hidden.refresh_from_db()
    assert hidden.search_text == f" {hidden.name.lower()}" and hidden.first_name == "H"
    assert AnonymousNumber.objects.filter(contact=hidden).count() == 2


def test_rows_of_one_person_in_a_slice_come_together_in_one_change(tenant):
    contact = person("0712345678")
    found = laid(
        {"first_name": "One", "phone": "0712345678", "phones": ["0733000111"]},
        {"first_name": "Two", "phone": "0733000111", "organization": "Here"},
        {"first_name": "Three", "phone": "0733000111", "phones": ["0733000112"]},
    )
    assert (found.updated, found.created, found.errors) == (3, 0, [])
    contact.refresh_from_db()
    assert (contact.first_name, contact.organization, contact.revision) == ("Three", "Here", 2)
    assert told(contact) == ([["first_name", "organization", "phones"]],) * 2
    assert contact.phones.count() == 3 and Contact.objects.count() == 1


def test_fields_that_no_longer_fit_the_schema_refuse_their_row_and_no_other(tenant, make_user, api):
    person("0712345678", custom_fields={"old": 1})
    person("0712345679")
    schema = {"type": "object", "properties": {"ward": {"type": "string"}}, "additionalProperties": False}
    custom_fields.schema_set(actor=ACTOR, schema=schema)
    client = api(make_user("supervisor"))
    text = "first_name,phone,custom_fields\n" + "".join(
        f'{name},{number},"{{""ward"": ""7""}}"\n'
        for name, number in (("A", "0712345678"), ("B", "0712345679"), ("C", "+49999999999999999"))
    )
    answer = client.generic(
        "POST", "/api/v1/contacts/imports/?on_conflict=update", text, content_type="text/csv"
    )
    pk = answer.json()["id"]
    assert jobs.run(pk) == "done"
    result = client.get(f"/api/v1/jobs/{pk}/").json()["result"]
    assert (result["updated"], result["refused"]) == (1, 2)
    errors = client.get(f"/api/v1/jobs/{pk}/errors/").json()
    content = b"".join(client.get(errors["url"]).streaming_content).decode()
    assert [(one["row"], one["pointer"]) for one in map(json.loads, content.splitlines())] == [
        (1, "/custom_fields"),
        (3, "/phone"),
    ]


def test_a_thousand_updates_take_as_many_statements_as_ten(tenant):
    counts = []
    for size in (10, 300):
        numbers = [f"07{20_000_000 + 1000 * size + n:08d}" for n in range(size)]
        laid(*({"first_name": "A", "phone": number} for number in numbers))
        with CaptureQueriesContext(connection) as made:
            found = laid(
                *({"first_name": "B", "phone": number, "phones": [f"073{number[3:]}"]} for number in numbers)
            )
        assert found.updated == size
        counts.append(len(statements(made)))
    assert counts[0] == counts[1]
    assert Contact.objects.filter(first_name="B", revision=2).count() == 310


def test_a_value_goes_to_the_database_as_its_field_would_send_it(tenant):
    contact = person("0712345678", date_of_birth="2001-02-03", tags=["x"])
    contact.refresh_from_db()
    rows: list[Any] = [
        contact,
        *contact.phones.all(),
        AuditEvent.objects.all()[0],
        DomainEvent.objects.all()[0],
    ]
    link: Any = connection
    compared = 0
    for row in rows:
        for field in row._meta.concrete_fields:
            if not (getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)):
                sent, wanted = (
                    copying._reader(field, link)(row),
                    field.get_db_prep_save(field.pre_save(row, False), link),
                )
                assert type(sent) is type(wanted) and repr(sent) == repr(wanted), field.name
                compared += type(field) in copying._STORED
    assert compared > 30


def test_many_rows_are_changed_by_one_statement_and_what_does_not_fit_is_refused(tenant):
    one, other = person("0712345678"), person("0712345679")
    one.organization, one.date_of_birth, one.custom_fields = (
        "x" * 200,
        timezone.now().date(),
        {"a": ["'\\{}\""]},
    )
    other.organization, other.date_of_birth, other.custom_fields = "\\N", None, {}
    names = ["organization", "date_of_birth", "custom_fields"]
    with CaptureQueriesContext(connection) as made:
        assert copying.update([one, other], names) == 2 and copying.update([], names) == 0
    assert len(statements(made)) == 1
    for row in (one, other):
        stored = Contact.objects.get(pk=row.pk)
        assert [getattr(stored, name) for name in names] == [getattr(row, name) for name in names]
    one.organization = "x" * 201
    with pytest.raises(DataError), transaction.atomic():
        copying.update([one, other], names)


@pytest.mark.parametrize(
    "text", ["", "plain", "ünï 😀", "\ud7ff\ue000", "a\ud800", "\udfff", "😀\udc00b", 7, None]
)
def test_the_quick_check_for_surrogates_says_what_rest_frameworks_says(text):
    said: list[Any] = []
    for check in (ProhibitSurrogateCharactersValidator(), transfer._NoSurrogates()):
        try:
            check(text)
            said.append(None)
        except ValidationError as refusal:
            said.append(refusal.detail)
    assert said[0] == said[1]


def test_every_text_of_a_row_has_the_quick_check_and_no_other_check_went():
    slow: Any = bulk.ContactRow()
    quick = transfer._quick(bulk.ContactRow())
    for field in (*slow.fields.values(), slow.fields["tags"].child):
        twin = (
            quick.fields["tags"].child
            if field is slow.fields["tags"].child
            else quick.fields[field.field_name]
        )
        kinds = [type(one) for one in field.validators]
        exchanged = [
            transfer._NoSurrogates if one is ProhibitSurrogateCharactersValidator else one for one in kinds
        ]
        assert [type(one) for one in twin.validators] == exchanged
        assert (transfer._NoSurrogates in exchanged) == hasattr(field, "trim_whitespace")
