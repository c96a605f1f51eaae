"""Merging contacts, and taking it back: nothing is lost, nothing dangerous becomes safe."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from web.shared.api.problems import Invalid
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent, DomainEvent
from web.tenant.calls.models import Call
from web.tenant.contacts import consents, links, merging, services
from web.tenant.contacts.models import (
    Contact,
    ContactConsent,
    ContactGroup,
    ContactMerge,
    ContactPhone,
    ContactRelationship,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
_ZERO = timedelta(0)
MOVING = {"revision", "updated_at", "updated_by_id"}


def make(first: str, *phones: Any, **values: Any) -> Contact:
    rows: Any = [{"number": one} if isinstance(one, str) else one for one in phones]
    return services.contact_create(
        actor=ACTOR, values={"first_name": first, **values}, phones=rows, region="KE"
    )


def merge(winner: Contact, loser: Contact, **fields: str) -> ContactMerge:
    return merging.merge(actor=ACTOR, winner_id=winner.pk, loser_id=loser.pk, fields=fields)


def consent(contact: Contact, status: str, purpose: str = "contact_by_call") -> None:
    consents.consent_record(
        actor=ACTOR, contact=contact, values={"purpose": purpose, "status": status, "source": "call"}
    )


def everything() -> dict[str, list[Any]]:
    """All rows of contacts, without what every save moves; merges aside."""
    found: dict[str, list[Any]] = {}
    for model in merging.TABLES.values():
        manager = getattr(model, "all_objects", model.objects)
        found[model.__name__] = sorted(
            sorted((name, str(value)) for name, value in row.items() if name not in MOVING)
            for row in manager.values()
        )
    found["Call"] = sorted(
        (str(pk), str(contact)) for pk, contact in Call.objects.values_list("pk", "contact")
    )
    return found


def test_the_winner_gets_everything_and_the_stricter_rule_wins(tenant):
    safe = {"number": "0712345678", "safe_hours": {"monday": [["08:00", "18:00"]]}}
    strict = {
        "number": "0712345678",
        "safe_to_text": False,
        "conceal_caller": True,
        "safe_hours": {"monday": [["12:00", "20:00"]]},
    }
    winner = make("Amina", safe, tags=["a"], email="amina@example.org")
    loser = make(
        "Aminah", strict, "0733000111", tags=["b"], organization="School", custom_fields={"ward": "7"}
    )
    child = make("Juma")
    links.relationship_create(
        actor=ACTOR, values={"from_contact": loser, "to_contact": child, "relationship_type": "parent"}
    )
    group = links.group_create(actor=ACTOR, values={"name": "Callers"})
    links.members_change(actor=ACTOR, group=group, add=[loser.pk])
    consent(winner, "withdrawn")
    consent(loser, "given")
    merge(winner, loser, first_name="other")
    winner = Contact.objects.get(pk=winner.pk)
    assert (winner.first_name, winner.organization, winner.email) == ("Aminah", "School", "amina@example.org")
    assert winner.tags == ["a", "b"] and winner.custom_fields == {"ward": "7"}
    phones = {row.number: row for row in winner.phones.all()}
    assert set(phones) == {"+254712345678", "+254733000111"}
    both = phones["+254712345678"]
    assert both.is_primary and both.conceal_caller and not both.safe_to_text and both.safe_to_call
    assert both.safe_hours == {"monday": [["12:00", "18:00"]]}
    assert winner.relationships_from.get().to_contact == child
    assert list(group.contacts.all()) == [winner]
    assert consents.holds(winner.pk, "contact_by_call") is False
    assert ContactConsent.objects.filter(contact=winner, source="merge").count() == 1
    gone = Contact.all_objects.get(pk=loser.pk)
    assert gone.merged_into == winner and gone.is_deleted and gone.first_name == "Aminah"
    assert "733000111" in winner.search_text


def test_a_relationship_between_the_two_ends_and_one_said_twice_is_said_once(tenant):
    winner, loser, child = make("A"), make("B"), make("C")
    for values in (
        {"from_contact": winner, "to_contact": loser, "relationship_type": "spouse"},
        {"from_contact": winner, "to_contact": child, "relationship_type": "parent"},
        {"from_contact": child, "to_contact": loser, "relationship_type": "child"},
    ):
        links.relationship_create(actor=ACTOR, values=values)
    before = everything()
    made = merge(winner, loser)
    assert ContactRelationship.objects.count() == 1
    merging.undo(actor=ACTOR, merge_id=made.pk)
    assert everything() == before


def test_over_rest_a_merged_contact_names_its_successor_and_comes_back(tenant, make_user, api):
    client = api(make_user("supervisor"))
    made = [
        client.post("/api/v1/contacts/", {"first_name": name, "phone": phone}).json()["id"]
        for name, phone in (("Amina", "0712345678"), ("Amina O.", "0733000111"), ("A", "0722000111"))
    ]
    first, second, third = made
    merged = client.post(f"/api/v1/contacts/{first}/merge/", {"other": second})
    assert merged.status_code == 200, merged.content
    answer = client.get(f"/api/v1/contacts/{second}/")
    assert answer.status_code == 404 and answer.json()["code"] == "merged"
    assert answer.json()["merged_into"] == first
    again = client.post(f"/api/v1/contacts/{third}/merge/", {"other": first})
    assert again.status_code == 200
    assert client.get(f"/api/v1/contacts/{second}/").json()["merged_into"] == third
    undo = f"/api/v1/contacts/merges/{merged.json()['id']}/undo/"
    refused = client.post(undo)
    assert refused.status_code == 409 and refused.json()["code"] == "merge_cannot_be_undone"
    assert {one["object"] for one in refused.json()["in_the_way"]} >= {"phone"}
    later = f"/api/v1/contacts/merges/{again.json()['id']}/undo/"
    assert client.post(later).status_code == 200
    assert client.post(undo).status_code == 200
    assert client.post(undo).status_code == 409
    assert client.get(f"/api/v1/contacts/{second}/").json()["phone"] == "+254733000111"
    listed = client.get(f"/api/v1/contacts/merges/?contact={first}").json()["data"]
    assert [one["can_be_undone"] for one in listed] == [False, False]
    assert AuditEvent.objects.filter(action="merge").count() == 2
    assert DomainEvent.objects.filter(type="contact.unmerged").count() == 2
    assert client.post(f"/api/v1/contacts/{first}/merge/", {"other": first}).status_code == 422
    strange = client.post(f"/api/v1/contacts/{first}/merge/", {"other": str(uuid.uuid4())})
    assert strange.status_code == 422 and strange.json()["errors"][0]["code"] == "does_not_exist"
    wrong = client.post(f"/api/v1/contacts/{first}/merge/", {"other": second, "fields": {"id": "other"}})
    assert wrong.status_code == 422
    assert (
        api(make_user("agent")).post(f"/api/v1/contacts/{first}/merge/", {"other": second}).status_code == 403
    )


def test_another_tenants_contact_cannot_be_merged(tenant, other_tenant, make_user, api):
    stranger = api(make_user("admin", tenant=other_tenant), tenant=other_tenant)
    theirs = stranger.post("/api/v1/contacts/", {"first_name": "Theirs"}).json()["id"]
    mine = make("Mine")
    client = api(make_user("admin"))
    answer = client.post(f"/api/v1/contacts/{mine.pk}/merge/", {"other": theirs})
    unknown = client.post(f"/api/v1/contacts/{mine.pk}/merge/", {"other": str(uuid.uuid4())})
    assert answer.status_code == unknown.status_code == 422
    assert answer.json()["errors"] == unknown.json()["errors"]
    assert client.post(f"/api/v1/contacts/{theirs}/merge/", {"other": str(mine.pk)}).status_code == 404
    assert stranger.get(f"/api/v1/contacts/{theirs}/").status_code == 200


def test_later_changes_of_what_the_merge_wrote_refuse_the_undo_and_others_do_not(tenant):
    winner, loser = make("Amina", "0712345678"), make("B", "0733000111", organization="School")
    made = merge(winner, loser)
    row = Contact.objects.get(pk=winner.pk)
    services.contact_update(actor=ACTOR, contact=row, values={"last_name": "Otieno"}, region="KE")
    services.contact_update(actor=ACTOR, contact=row, values={"organization": "Clinic"}, region="KE")
    with pytest.raises(merging.CannotUndo) as refused:
        merging.undo(actor=ACTOR, merge_id=made.pk)
    (one,) = refused.value.extra["in_the_way"]
    assert (one["object"], one["id"], one["fields"]) == ("contact", str(winner.pk), ["organization"])
    services.contact_update(actor=ACTOR, contact=row, values={"organization": "School"}, region="KE")
    merging.undo(actor=ACTOR, merge_id=made.pk)
    row = Contact.objects.get(pk=winner.pk)
    assert (row.last_name, row.organization) == ("Otieno", "")
    assert Contact.objects.get(pk=loser.pk).phones.get().number == "+254733000111"


def test_a_number_that_came_after_the_merge_is_the_primary_one_when_it_is_left_alone(tenant):
    winner, loser = make("Amina"), make("B", "0733000111")
    made = merge(winner, loser)
    row = Contact.objects.get(pk=winner.pk)
    phones: Any = [{"number": "+254733000111", "is_primary": True}, {"number": "0712345678"}]
    services.contact_update(actor=ACTOR, contact=row, values={}, phones=phones, region="KE")
    merging.undo(actor=ACTOR, merge_id=made.pk)
    assert winner.phones.get().is_primary and loser.phones.get().is_primary


NUMBERS = ["0712345678", "0733000111", "0722000222", "0700333444"]
people = st.lists(
    st.tuples(
        st.sampled_from(["Amina", "Brian", "Chebet"]),
        st.lists(st.sampled_from(NUMBERS), unique=True, max_size=3),
        st.booleans(),
        st.sampled_from(["", "a@example.org"]),
    ),
    min_size=3,
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=people,
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5),
    said=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["given", "withdrawn"])), max_size=5),
)
def test_merges_undone_in_reverse_order_give_back_the_same_rows(tenant, people, pairs, said):
    with transaction.atomic():
        contacts = [
            make(
                name,
                *[
                    {"number": n, "safe_to_text": flag, "safe_hours": {"monday": []} if flag else {}}
                    for n in phones
                ],
                email=email,
                tags=[name],
                custom_fields={name: 1},
            )
            for name, phones, flag, email in people
        ]
        group = ContactGroup.objects.create(name="G")
        links.members_change(actor=ACTOR, group=group, add=[one.pk for one in contacts[::2]])
        for one, other in itertools.pairwise(contacts):
            links.relationship_create(
                actor=ACTOR, values={"from_contact": one, "to_contact": other, "relationship_type": "parent"}
            )
        for number, status in said:
            consent(contacts[number % len(contacts)], status)
        for one in contacts:
            Call.objects.create(
                contact=one, started_at=timezone.now(), wait=_ZERO, talk=_ZERO, hold=_ZERO, wrap_up=_ZERO
            )
        states = []
        for one, other in pairs:
            winner, loser = contacts[one % len(contacts)], contacts[other % len(contacts)]
            before = everything()
            try:
                with transaction.atomic():
                    states.append((merge(winner, loser).pk, before))
            except (Contact.DoesNotExist, Invalid):
                assert everything() == before
        alive = Contact.objects.count()
        assert alive == len(contacts) - len(states)
        for contact in Contact.objects.all():
            assert contact.phones.filter(is_primary=True).count() == min(1, contact.phones.count())
        assert ContactPhone.objects.filter(contact__is_deleted=True).count() == 0
        for pk, before in reversed(states):
            merging.undo(actor=ACTOR, merge_id=pk)
            assert everything() == before
        transaction.set_rollback(True)
