"""Merging cases and undoing it: whatever the two cases hold, undo puts back what was there."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web import kit_cases as kit
from web.tenant.cases.models import Case, CaseLink, CaseMerge, CaseNote, CaseParty, CaseWatcher
from web.tenant.cases.problems import CannotUndo, MergedAway
from web.tenant.cases.services import cases, linking, merging, notes, parties, watching

pytestmark = [pytest.mark.django_db, pytest.mark.database]
URL = "/api/v1/cases/"


def state(*rows: Case) -> list[Any]:
    """Everything that a merge may touch."""
    found: list[Any] = []
    for row in rows:
        case = Case.objects.get(pk=row.pk)
        found.append(
            (
                case.status,
                case.merged_into_id,
                case.confidentiality,
                case.tags,
                case.closed_at,
                case.resolved_at,
            )
        )
        for model, fields in (
            (CaseParty, ("contact_id", "role", "is_primary")),
            (CaseNote, ("content",)),
            (CaseWatcher, ("user_id",)),
        ):
            found.append(sorted(map(str, model.objects.filter(case=case).values_list("pk", *fields))))
    links = CaseLink.objects.values_list("pk", "from_case_id", "to_case_id", "link_type")
    found.append(sorted(map(str, links)))
    return found


@st.composite
def content(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "parties": draw(
            st.lists(
                st.tuples(st.integers(0, 2), st.sampled_from(["client", "witness"])), max_size=4, unique=True
            )
        ),
        "tags": draw(st.lists(st.sampled_from("abcd"), max_size=3, unique=True)),
        "watchers": draw(st.sets(st.integers(0, 2))),
        "notes": draw(st.integers(0, 2)),
        "links": draw(
            st.sets(
                st.tuples(st.integers(0, 2), st.sampled_from(["related", "parent", "child", "duplicate"]))
            )
        ),
        "confidentiality": draw(st.sampled_from(["normal", "restricted"])),
        "status": draw(st.sampled_from(["open", "pending", "resolved", "closed"])),
    }


class _Undone(Exception):
    pass


def build(what: dict[str, Any], world: dict[str, Any]) -> Case:
    case = kit.case(tags=what["tags"], case_type=world["type"], confidentiality=what["confidentiality"])
    for who, role in what["parties"]:
        values = {"contact_id": world["contacts"][who].pk, "role": role}
        parties.party_add(actor=kit.ACTOR, case=case, values=values)
    for who in what["watchers"]:
        watching.watch(actor=kit.ACTOR, case=case, user_id=world["users"][who].pk)
    for number in range(what["notes"]):
        notes.note_add(actor=kit.ACTOR, case=case, values={"content": f"note {number}"})
    for which, kind in what["links"]:
        try:
            linking.link_add(actor=kit.ACTOR, case=case, other=world["others"][which], link_type=kind)
        except Exception as error:
            assert type(error).__name__ in ("Invalid", "ValidationError")
    if what["status"] != "open":
        case = cases.case_transition(actor=kit.ACTOR, case=case, status=what["status"])
    return case


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(one=content(), two=content(), three=content())
def test_undo_puts_back_what_was_there(tenant, make_user, one, two, three):
    users = [make_user("agent") for _ in range(3)]
    try:
        with transaction.atomic():
            kind = kit.category()
            world = {
                "type": kind,
                "users": users,
                "contacts": [kit.contact(str(number)) for number in range(3)],
                "others": [kit.case(case_type=kind) for _ in range(3)],
            }
            a, b, c = (build(what, world) for what in (one, two, three))
            before = state(a, b, c)
            first = merging.case_merge(actor=kit.ACTOR, loser=a, winner=b)
            assert Case.objects.get(pk=a.pk).merged_into_id == b.pk
            closed = "restricted" in (one["confidentiality"], two["confidentiality"])
            assert (Case.objects.get(pk=b.pk).confidentiality == "restricted") is closed
            between = state(a, b, c)
            for winner, loser in ((c, b), (b, c)):
                second = merging.case_merge(actor=kit.ACTOR, loser=loser, winner=winner)
                with pytest.raises(CannotUndo):
                    merging.merge_undo(actor=kit.ACTOR, merge=first)
                merging.merge_undo(actor=kit.ACTOR, merge=second)
                assert state(a, b, c) == between
            merging.merge_undo(actor=kit.ACTOR, merge=first)
            assert state(a, b, c) == before
            raise _Undone
    except _Undone:
        pass


def test_a_merged_case_is_read_only_and_what_came_later_stays_with_the_winner(tenant, make_user, api):
    client = api(make_user("case_worker"))
    person = kit.contact()
    loser, winner = kit.case("loser", contact=person.pk), kit.case("winner")
    notes.note_add(actor=kit.ACTOR, case=loser, values={"content": "moves"})
    made = client.post(f"{URL}{loser.pk}/merge/", {"into": str(winner.pk), "reason": "Same child"})
    assert made.status_code == 201 and client.get(made["Location"]).json()["loser"] == str(loser.pk)
    refused = client.patch(f"{URL}{loser.pk}/", {"title": "x"}, HTTP_IF_MATCH="*")
    assert refused.status_code == 409 and refused.json()["merged_into"] == str(winner.pk)
    for part, body in (
        ("notes", {"content": "x"}),
        ("parties", {"name": "x"}),
        ("transition", {"status": "open"}),
        ("merge", {"into": str(winner.pk)}),
    ):
        assert client.post(f"{URL}{loser.pk}/{part}/", body).json()["code"] == "merged_away", part
    assert client.post(f"{URL}{winner.pk}/merge/", {"into": str(winner.pk)}).status_code == 422
    assert client.get(f"{URL}{winner.pk}/").json()["contact"] == str(person.pk)
    kinds = [one["data"].get("content") for one in client.get(f"{URL}{winner.pk}/timeline/").json()["data"]]
    assert "moves" in kinds
    client.post(f"{URL}{winner.pk}/notes/", {"content": "stays"})
    url = f"{URL}merges/{made.json()['id']}/undo/"
    assert client.post(url).json()["undone_at"] and client.post(url).json()["code"] == "cannot_undo"
    assert [row.content for row in CaseNote.objects.filter(case=winner)] == ["stays"]
    assert client.get(f"{URL}{loser.pk}/").json()["status"] == "open"
    viewer = api(make_user("viewer"))
    assert viewer.post(url).status_code == 403
    assert CaseMerge.objects.count() == 1


def test_the_service_says_which_case_took_its_place(tenant):
    a, b = kit.case(), kit.case()
    merging.case_merge(actor=kit.ACTOR, loser=a, winner=b)
    with pytest.raises(MergedAway):
        cases.case_transition(actor=kit.ACTOR, case=a, status="open")
