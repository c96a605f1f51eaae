"""Calls over REST: who sees what, drafts, wrap-up, and that every write to the routing is published."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from telephony.contract import facts as f
from telephony.sealing import Caller
from tests.web.kit_calls import CallScript, Script, whole_call
from web.shared.core import asks, parties
from web.shared.core.actor import system
from web.shared.tenants.context import tenant_context
from web.tenant.calls import intake, queries, services
from web.tenant.calls.models import CallDraft, CallQueue
from web.tenant.contacts import services as contact_services

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
CALLS = "/api/v1/calls/"


@pytest.fixture(autouse=True)
def callers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Caller]:
    known: dict[str, Caller] = {}
    monkeypatch.setattr(
        parties, "read_many", lambda tenant, wanted: {each: known[each] for each in wanted if each in known}
    )
    return known


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the daemon, without Redis."""
    asked: list[Any] = []
    monkeypatch.setattr(asks, "send", lambda tenant, ask_id, actor, body: asked.append(body))
    return asked


class World:
    """One tenant with a queue, two agents and a supervisor; `call` writes a whole call of an agent."""

    def __init__(self, tenant: Any, make_user: Callable[..., Any], callers: dict[str, Caller]) -> None:
        self.tenant, self.callers = tenant, callers
        self.queue = CallQueue.objects.create(name="Help")
        self.agent, self.other = make_user("agent", name="Achieng"), make_user("agent", name="Baraka")
        self.boss = make_user("supervisor")
        self.script = Script(tenant.pk)

    def call(self, start: float, agent: Any = None, number: str = "+254712345678", name: str = "") -> str:
        who = {"queue": str(self.queue.pk), "agent": str((agent or self.agent).pk)}
        party = str(uuid.uuid4())
        self.callers[party] = Caller(number=number, name=name)
        call = whole_call(self.script, start, party=party, **who)
        intake.take(self.tenant.pk, self.script.entries)
        return str(call.id)


@pytest.fixture
def world(tenant: Any, make_user: Callable[..., Any], callers: dict[str, Caller]) -> World:
    services.disposition_create(actor=ACTOR, values={"code": "HELPED", "name": "Helped"})
    return World(tenant, make_user, callers)


def test_a_call_reads_as_the_surface_promises(world, api):
    contact = contact_services.contact_create(
        actor=ACTOR, values={"first_name": "Amina"}, phones=[{"number": "0712345678"}], region="KE"
    )
    call = world.call(0, name="Caller")
    body = api(world.boss).get(f"{CALLS}{call}/").json()
    assert body["tenant"] == world.tenant.pk and body["direction"] == "inbound"
    assert body["status"] == "completed" and body["outcome"] == "completed"
    assert body["caller_number"] == "+254712345678" and body["caller_name"] == "Caller"
    assert body["contact"] == {"id": str(contact.pk), "name": "Amina"}
    assert body["queue"] == {"id": str(world.queue.pk), "name": "Help"}
    assert body["agent"] == {"id": str(world.agent.pk), "name": "Achieng"}
    assert body["disposition"] == {"code": "HELPED", "name": "Helped"}
    assert (body["wait_seconds"], body["talk_seconds"], body["hold_seconds"]) == (7.0, 20.0, 5.0)
    assert body["wrap_up_seconds"] == 12.5 and body["recordings"] == []
    assert body["started_at"].endswith("Z") and body["ended_at"].endswith("Z")
    assert body["asterisk_ids"]["caller"] == "1790000000.1"


def test_events_tell_the_whole_call_in_order(world, api):
    call = world.call(0)
    answer = api(world.agent).get(f"{CALLS}{call}/events/").json()
    events = answer["data"]
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    assert [event["type"] for event in events] == [
        "call.arrived", "call.queued", "offer.made", "offer.ended", "queue.left", "call.connected",
        "call.held", "call.resumed", "agent_leg.ended", "call.ended", "wrap_up.started", "wrap_up.ended",
    ]  # fmt: skip
    made = events[2]
    assert made["actor"] == str(world.agent.pk) and made["actor_name"] == "Achieng"
    assert made["details"]["attempt"] == 1 and events[0]["actor"] is None
    assert "+254712345678" not in str(events)


def test_an_agent_sees_own_calls_and_the_history_of_whom_they_served(world, api):
    contact_services.contact_create(
        actor=ACTOR, values={"first_name": "Amina"}, phones=[{"number": "0712345678"}], region="KE"
    )
    mine, history = world.call(0), world.call(100, world.other)
    strangers = world.call(200, world.other, number="+254799000111")

    def listed(user: Any, query: str = "") -> set[str]:
        return {row["id"] for row in api(user).get(f"{CALLS}{query}").json()["data"]}

    assert listed(world.agent) == {mine, history}
    assert listed(world.boss) == {mine, history, strangers}
    assert api(world.agent).get(f"{CALLS}{strangers}/").status_code == 404
    assert api(world.agent).get(f"{CALLS}{strangers}/events/").status_code == 404
    assert listed(world.boss, f"?agent={world.agent.pk}") == {mine}
    assert listed(world.boss, "?started_at[gte]=2100-01-01T00:00:00Z") == set()
    either = f"?queue={world.queue.pk}&status=completed,answered"
    assert listed(world.boss, either) == {mine, history, strangers}
    assert api(world.boss).get(f"{CALLS}?colour=red").status_code == 400
    assert api().get(CALLS).status_code == 401


def test_a_missed_call_shows_an_agent_nothing(world, api):
    who = {"queue": str(world.queue.pk), "agent": str(world.agent.pk)}
    call = CallScript(world.script, **who).arrive(0).offer(0).offer_ended(20, f.OfferOutcome.MISSED)
    call.offer(20, agent=str(world.other.pk)).answer(25)
    intake.take(world.tenant.pk, world.script.entries)
    assert api(world.agent).get(f"{CALLS}{call.id}/").status_code == 404
    assert api(world.other).get(f"{CALLS}{call.id}/").json()["status"] == "answered"


def test_a_draft_is_kept_from_the_first_key_and_never_lost_in_silence(world, api):
    client, where = api(world.agent), f"{CALLS}{uuid.uuid4()}/draft/"
    assert client.get(where).json() == {"note": "", "disposition": None, "revision": 0}
    first = client.put(where, {"note": "A", "disposition": None, "revision": 0})
    assert first.status_code == 200 and first.json()["revision"] == 1
    again = client.put(where, {"note": "A", "disposition": None, "revision": 0})
    assert (again.status_code, again.json()) == (200, first.json())
    second = client.put(where, {"note": "A b ", "disposition": "HELPED", "revision": 1}).json()
    assert second == {"note": "A b ", "disposition": "HELPED", "revision": 2}
    stale = client.put(where, {"note": "other tab", "disposition": None, "revision": 0})
    assert stale.status_code == 409 and stale.json()["code"] == "stale_draft"
    assert stale.json()["draft"] == second
    assert api(world.other).get(where).json()["revision"] == 0
    known = f"{CALLS}{world.call(0)}/draft/"
    assert api(world.other).put(known, {"note": "x", "revision": 0}).status_code == 404


def test_finishing_stores_asks_and_removes_the_draft(world, api, sent):
    call = world.call(0)
    services.draft_write(
        call_id=uuid.UUID(call), user_id=world.agent.pk, note="draft", disposition="", revision=0
    )
    with pytest.MonkeyPatch.context():
        ask = services.wrap_up_finish(call, world.agent.pk, "HELPED", "All well", ask_id="their-own-id")
    assert ask == "their-own-id" and not CallDraft.objects.exists()
    body = api(world.agent).get(f"{CALLS}{call}/").json()
    assert body["note"] == "All well" and body["disposition"]["code"] == "HELPED"


@pytest.mark.django_db(transaction=True)
def test_the_ask_leaves_after_the_commit(tenants, make_user, sent):
    with tenant_context(tenants[0].pk):
        services.disposition_create(actor=ACTOR, values={"code": "HELPED", "name": "Helped"})
        user, call = make_user("agent"), str(uuid.uuid4())
        services.wrap_up_finish(call, user.pk, "HELPED", "")
    [body] = sent
    assert (body.agent, body.call, body.disposition) == (str(user.pk), call, "HELPED")


def test_nobody_writes_up_anothers_call(world, api, sent):
    from django.core.exceptions import ValidationError

    over = world.call(0)
    with pytest.raises(ValidationError):
        services.wrap_up_finish(over, world.other.pk, "HELPED", "mine now")
    who = {"queue": str(world.queue.pk), "agent": str(world.agent.pk)}
    live = CallScript(world.script, **who).arrive(200).offer(200).answer(201)
    intake.take(world.tenant.pk, world.script.entries)
    services.wrap_up_finish(live.id, world.other.pk, "HELPED", "mine now")
    live.leg_ended(205, f.LegEnd.CALLER).end(205, f.CallOutcome.COMPLETED)
    intake.take(world.tenant.pk, world.script.entries)
    for call in (over, live.id):
        assert api(world.boss).get(f"{CALLS}{call}/").json()["note"] == ""


@pytest.mark.parametrize(
    ("code", "note", "field"),
    [
        ("NOBODY", "", "disposition"),
        ("OLD", "", "disposition"),
        ("CARE", " ", "note"),
        ("HELPED", "\x00", "note"),
    ],
)
def test_a_refused_wrap_up_asks_nothing(world, sent, code, note, field):
    from django.core.exceptions import ValidationError

    services.disposition_create(actor=ACTOR, values={"code": "OLD", "name": "Old", "is_active": False})
    services.disposition_create(actor=ACTOR, values={"code": "CARE", "name": "Care", "requires_note": True})
    with pytest.raises(ValidationError) as refused:
        services.wrap_up_finish(str(uuid.uuid4()), world.agent.pk, code, note)
    assert field in refused.value.message_dict and not sent


def test_a_supervisor_corrects_what_an_agent_chose(world, api):
    call = world.call(0)
    services.disposition_create(actor=ACTOR, values={"code": "PRANK", "name": "Prank"})
    client = api(world.boss)
    tag = client.get(f"{CALLS}{call}/")["ETag"]
    changed = client.patch(f"{CALLS}{call}/", {"disposition": "PRANK", "note": "n"}, HTTP_IF_MATCH=tag)
    assert changed.status_code == 200, changed.content
    assert changed.json()["disposition"]["code"] == "PRANK"
    assert client.patch(f"{CALLS}{call}/", {"status": "talking"}, HTTP_IF_MATCH="*").status_code in (400, 422)
    assert client.patch(f"{CALLS}{call}/", {"note": "m"}, HTTP_IF_MATCH=tag).status_code == 412


def test_the_pop_has_contact_and_history(world, django_assert_max_num_queries):
    contact = contact_services.contact_create(
        actor=ACTOR,
        values={"first_name": "Amina", "last_name": "Otieno", "tags": ["caregiver"]},
        phones=[{"number": "0712345678"}],
        region="KE",
    )
    calls = [world.call(100 * n) for n in range(3)]
    with django_assert_max_num_queries(8):
        (pop,) = queries.pops_for([("0712345678", calls[2])])
    assert pop["contact"] == {
        "id": str(contact.pk), "name": "Amina Otieno", "organization": "",
        "preferred_language": "en", "tags": ["caregiver"],
    }  # fmt: skip
    assert pop["matches"] == 1 and [row["id"] for row in pop["recent_calls"]] == [calls[1], calls[0]]
    assert pop["recent_calls"][0]["queue"] == "Help" and pop["recent_calls"][0]["outcome"] == "completed"
    nothing: dict[str, Any] = {"contact": None, "matches": 0, "recent_calls": []}
    assert queries.pops_for([]) == [] and queries.pops_for([("", None)]) == [nothing]
    asked = [("", None), ("0712345678", calls[2]), ("0799000111", None), ("0712345678", calls[0])]
    queries.pops_for(asked[2:3])  # a stranger is looked for by the tenant's keys, which are read once
    with django_assert_max_num_queries(10):
        told = queries.pops_for(asked)
    assert told[:3] == [nothing, pop, nothing]
    assert [row["id"] for row in told[3]["recent_calls"]] == [calls[2], calls[1]]


def test_the_pop_of_a_caller_whom_nobody_knows_has_the_numbers_calls(world):
    calls = [world.call(100 * n) for n in range(7)]
    (pop,) = queries.pops_for([("+254712345678", calls[6])])
    assert (pop["contact"], pop["matches"]) == (None, 0)
    assert [row["id"] for row in pop["recent_calls"]] == calls[5:0:-1]


def test_erasing_a_caller_empties_every_place(world, api, monkeypatch):
    call = world.call(0, name="Somebody")
    erased = []
    monkeypatch.setattr(parties, "erase", lambda tenant, party: erased.append(party))
    row = api(world.boss).get(f"{CALLS}{call}/").json()
    assert row["caller_name"] == "Somebody"
    from web.tenant.calls.models import Call

    party = Call.objects.get(pk=call).party
    assert party is not None and services.caller_erase(actor=ACTOR, party=party) == 1
    row = api(world.boss).get(f"{CALLS}{call}/").json()
    assert row["caller_number"] is None and row["caller_name"] is None and erased == [str(party)]


def test_another_tenants_calls_are_not_there(world, other_tenant, make_user, api):
    call = world.call(0)
    stranger = api(make_user("admin", tenant=other_tenant), tenant=other_tenant)
    for path in (f"{CALLS}{call}/", f"{CALLS}{call}/events/", f"{CALLS}queues/{world.queue.pk}/"):
        assert stranger.get(path).status_code == 404
    assert stranger.get(f"{CALLS}queues/{world.queue.pk}/members/").status_code == 404
    assert stranger.get(CALLS).json()["data"] == []
