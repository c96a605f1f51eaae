"""What cases keep of a person can be erased, exported, moved to another contact, and held."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection

from tests.web import kit_cases as kit
from web.shared.core import entities, erasure
from web.shared.core.viewer import everything
from web.tenant.cases.models import Case, CaseParty, CaseSearch
from web.tenant.cases.services import cases, merging, notes, parties

pytestmark = [pytest.mark.django_db, pytest.mark.database]
SECRET = "Wanjiku"


def case_about(person, title="a case", **values):
    case = kit.case(
        f"{SECRET} {title}", contact=person.pk, tags=[SECRET], description=f"About {SECRET}", **values
    )
    note = notes.note_add(
        actor=kit.ACTOR, case=case, values={"content": f"{SECRET} called", "is_internal": False}
    )
    notes.note_update(actor=kit.ACTOR, note=note, values={"content": f"{SECRET} called twice"})
    cases.case_update(
        actor=kit.ACTOR, case=case, values={"title": f"{SECRET} again"}, reason=f"{SECRET} asked"
    )
    parties.party_add(actor=kit.ACTOR, case=case, values={"name": f"{SECRET}'s uncle", "role": "perpetrator"})
    return case


def rows_with(text):
    """Tables of cases in which `text` stands anywhere."""
    found = set()
    for model in apps.get_app_config("cases").get_models():
        table = model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s", [f"%{text}%"])
            if cursor.fetchone()[0]:
                found.add(table)
    return found


def test_erasing_the_only_client_leaves_their_name_nowhere(tenant):
    person = kit.contact(SECRET)
    case, merged = case_about(person), case_about(person, "merged")
    merging.case_merge(actor=kit.ACTOR, loser=merged, winner=case, reason=f"{SECRET} twice")
    assert "cases_casehistory" in rows_with(SECRET)
    assert erasure.erasers["cases"](person.pk, kit.ACTOR) > 5
    assert rows_with(SECRET) == set()
    case.refresh_from_db()
    assert case.case_number and case.title == "[erased]" and CaseSearch.objects.filter(case=case).exists()


def test_a_case_with_another_client_keeps_its_words_but_not_the_persons_part(tenant):
    person, other = kit.contact(SECRET), kit.contact("Other")
    case = kit.case("Shared", contact=other.pk)
    parties.party_add(
        actor=kit.ACTOR,
        case=case,
        values={"contact_id": person.pk, "role": "client", "name": SECRET, "notes": SECRET},
    )
    witness = kit.case("Seen", contact=other.pk)
    parties.party_add(
        actor=kit.ACTOR, case=witness, values={"contact_id": person.pk, "role": "witness", "name": SECRET}
    )
    erasure.erasers["cases"](person.pk, kit.ACTOR)
    assert rows_with(SECRET) == set()
    assert set(Case.objects.values_list("title", flat=True)) == {"Shared", "Seen"}


def test_a_person_gets_their_cases_but_not_what_is_internal_or_others(tenant):
    person = kit.contact(SECRET)
    case = case_about(person)
    notes.note_add(actor=kit.ACTOR, case=case, values={"content": "suspicion"})
    other = kit.case("Not theirs", contact=kit.contact().pk)
    parties.party_add(actor=kit.ACTOR, case=other, values={"contact_id": person.pk, "role": "perpetrator"})
    found = {one["case_number"]: one for one in erasure.exporters["cases"](person.pk)}
    assert [one["content"] for one in found[case.case_number]["notes"]] == [f"{SECRET} called twice"]
    assert "title" not in found[other.case_number] and "suspicion" not in str(found)


def test_a_legal_hold_is_a_reason_against_erasure(tenant):
    person = kit.contact()
    case = kit.case(contact=person.pk)
    assert erasure.holds["cases"](person.pk) is None
    cases.case_update(actor=kit.ACTOR, case=case, values={"legal_hold": True})
    assert case.case_number in str(erasure.holds["cases"](person.pk))


def test_parts_move_with_a_merged_contact_and_back(tenant):
    one, two = kit.contact("one"), kit.contact("two")
    case = kit.case(contact=one.pk)
    parties.party_add(actor=kit.ACTOR, case=case, values={"contact_id": two.pk, "role": "client"})
    parties.party_add(actor=kit.ACTOR, case=case, values={"contact_id": one.pk, "role": "guardian"})
    alone = kit.case(contact=one.pk)

    def state():
        return sorted(
            map(str, CaseParty.objects.values_list("pk", "case_id", "contact_id", "role", "is_primary"))
        )

    before = state()
    move, undo = erasure.mergers["cases"]
    record = move(one.pk, two.pk)
    assert set(CaseParty.objects.values_list("contact_id", flat=True)) == {two.pk}
    assert CaseParty.objects.get(case=alone).is_primary
    assert CaseParty.objects.get(case=case, is_primary=True).contact_id == two.pk
    undo(record)
    assert state() == before


def test_what_conditions_may_ask_about_a_case(tenant):
    person = kit.contact()
    case = kit.case(contact=person.pk, tags=["x"], custom_fields={"county": "Kisumu"})
    facts = entities.facts_of("case", case)
    assert facts["case.priority"] == "medium" and facts["case.custom_fields.county"] == "Kisumu"
    assert facts["case.assigned"] is False and facts["case.case_type_code"]
    assert entities.get("case").contact(entities.row("case", case.pk, everything())) == person.pk
