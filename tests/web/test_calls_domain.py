"""Calls among the rest of the domain: their events, their case, their parts, their place in timelines."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest

from telephony.contract import facts as f
from tests.web.kit_calls import CallScript, whole_call
from tests.web.test_calls import CALLS, World, callers, sent  # noqa: F401 - fixtures
from web.shared.core import entities, timeline
from web.shared.core.viewer import Viewer, viewer_of
from web.shared.records.models import DomainEvent
from web.tenant.calls import intake, services

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def world(tenant: Any, make_user: Any, callers: Any) -> World:  # noqa: F811
    return World(tenant, make_user, callers)


def told(call: str) -> list[str]:
    rows = DomainEvent.objects.filter(object_id=call).order_by("sequence")
    return [row.type for row in rows]


def test_a_calls_life_is_told_once_however_the_log_is_cut(world: World) -> None:
    script = world.script
    queue, agent = str(world.queue.pk), str(world.agent.pk)
    ids = [str(whole_call(script, 100.0 * n, queue=queue, agent=agent).id) for n in range(3)]
    cuts = itertools.cycle((1, 2, 3, 5))
    at = 0
    while at < len(script.entries):
        size = next(cuts)
        intake.take(world.tenant.pk, script.entries[at : at + size])
        at += size
    for call in ids:
        assert told(call) == ["call.started", "call.answered", "call.ended"]
    ended = DomainEvent.objects.get(type="call.ended", object_id=ids[0])
    assert ended.data["agent"] == agent and ended.data["outcome"] == "completed"
    intake.take(world.tenant.pk, script.entries)
    assert DomainEvent.objects.filter(object_id=ids[0]).count() == 3


def test_a_call_that_nobody_answered_is_started_and_ended(world: World) -> None:
    call = CallScript(world.script, queue=str(world.queue.pk), agent=str(world.agent.pk)).arrive(1)
    call.left(9, f.VisitOutcome.ABANDONED).end(9, f.CallOutcome.ABANDONED)
    intake.take(world.tenant.pk, world.script.entries)
    assert told(call.id) == ["call.started", "call.ended"]


def test_events_hold_neither_numbers_nor_words(world: World) -> None:
    call = world.call(0, number="+254711222333", name="Wanjiku")
    services.wrap_up_finish(call, world.agent.pk, _disposition().code, note="She is at school")
    assert "call.written_up" in told(call)
    for row in DomainEvent.objects.all():
        text = str(row.data)
        assert "711222333" not in text and "Wanjiku" not in text and "school" not in text


def test_a_call_is_given_to_a_case_that_its_giver_may_see(world: World, api: Any) -> None:
    call, boss = world.call(0), api(world.boss)
    answer = boss.get(f"{CALLS}{call}/")
    assert answer.json()["case"] is None
    for field in ("case", "contact"):
        refused = boss.patch(f"{CALLS}{call}/", {field: str(uuid.uuid4())}, HTTP_IF_MATCH="*")
        assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == f"/{field}"
    case = _case(boss)
    done = boss.patch(f"{CALLS}{call}/", {"case": case}, HTTP_IF_MATCH=answer["ETag"])
    assert done.status_code == 200 and done.json()["case"] == case
    assert [one["id"] for one in boss.get(f"{CALLS}?case={case}").json()["data"]] == [call]
    assert boss.get(f"{CALLS}?case=null").json()["data"] == []
    viewer = _viewer(world.boss, world.tenant)
    entries = timeline.read("case", uuid.UUID(case), viewer)
    assert ("call", uuid.UUID(call)) in {(entry.kind, entry.id) for entry in entries}


def test_calls_are_found_by_digits_and_by_the_contacts_name(world: World, api: Any) -> None:
    boss = api(world.boss)
    contact = boss.post("/api/v1/contacts/", {"first_name": "Nyambura", "phone": "+254722000111"}).json()
    mine, other = world.call(0, number="+254722000111"), world.call(100, number="+254733999888")
    for text in ("0722000111", "+254 722 000 111", "Nyamb"):
        found = [one["id"] for one in boss.get(CALLS, {"q": text}).json()["data"]]
        assert found == [mine], text
    assert boss.get(CALLS, {"q": "2547339"}).json()["data"] == []
    assert [one["id"] for one in boss.get(CALLS, {"q": "733999888"}).json()["data"]] == [other]
    entries = timeline.read("contact", uuid.UUID(contact["id"]), _viewer(world.boss, world.tenant))
    assert uuid.UUID(mine) in {entry.id for entry in entries}


def test_a_calls_parts_are_lists_of_their_own(world: World, api: Any) -> None:
    call, boss = world.call(0), api(world.boss)
    visits = boss.get(f"{CALLS}{call}/visits/").json()["data"]
    assert len(visits) == 1 and visits[0]["queue"]["name"] == "Help" and visits[0]["outcome"] == "answered"
    legs = boss.get(f"{CALLS}{call}/segments/").json()["data"]
    assert {leg["kind"] for leg in legs} == {"caller", "agent"}
    assert boss.get(f"{CALLS}{call}/transfers/").json()["data"] == []
    stranger = api(world.other)
    for part in ("visits", "segments", "transfers", "events"):
        assert stranger.get(f"{CALLS}{call}/{part}/").status_code == 404


def test_a_reference_to_a_call_opens_only_to_who_may_see_it(world: World) -> None:
    call = world.call(0)
    assert entities.row("call", call, _viewer(world.agent, world.tenant)).pk == uuid.UUID(call)
    for viewer in (_viewer(world.other, world.tenant), Viewer(None, {})):
        with pytest.raises(entities.UnknownEntity):
            entities.row("call", call, viewer)


def _viewer(user: Any, tenant: Any) -> Viewer:
    return viewer_of(user.memberships.get(tenant=tenant))


def _disposition() -> Any:
    from web.shared.core.actor import system

    values = {"code": "HELPED", "name": "Helped", "category": "ok"}
    return services.disposition_create(actor=system("tests"), values=values)


def _case(client: Any) -> str:
    category = client.post(
        "/api/v1/reference-data/case-categories/", {"name": "Abuse", "code": "ABUSE"}
    ).json()["id"]
    answer = client.post("/api/v1/cases/", {"title": "A case", "description": "x", "case_type": category})
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])
