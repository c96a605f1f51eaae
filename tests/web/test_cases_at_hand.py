"""Whose cases an agent sees: their team's, and those of the caller on the line. What stays shut."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from telephony.contract import facts as f
from telephony.contract.clock import from_datetime
from telephony.sealing import Caller
from tests.web import kit_calls
from tests.web import kit_cases as kit
from tests.web.kit_calls import CallScript, Script
from web.shared.accounts.models import Team, TeamMember, TenantRole
from web.shared.core import at_hand, parties
from web.shared.core.viewer import Viewer
from web.shared.records.models import AuditEvent
from web.tenant.calls import intake
from web.tenant.calls.models import Call, CallQueue, Segment
from web.tenant.cases import permissions, queries
from web.tenant.cases.models import Case
from web.tenant.cases.services import cases, watching
from web.tenant.contacts import services as contacts

pytestmark = [pytest.mark.django_db, pytest.mark.database]
URL = "/api/v1/cases/"
NUMBER = "+254712345678"


@pytest.fixture
def ring(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CallScript]:
    """`ring(agent)` → a call of NUMBER that has rung this agent's phone for a minute."""
    monkeypatch.setattr(kit_calls, "START", from_datetime(timezone.now() - timedelta(minutes=1)))
    script, queue, minutes = Script(tenant.pk), CallQueue.objects.create(name="Line"), itertools.count()

    def make(agent: Any, number: str = NUMBER) -> CallScript:
        at = next(minutes)
        call = CallScript(script, queue=str(queue.pk), agent=str(agent.pk)).arrive(at).offer(at + 1)
        known[call.party] = Caller(number=number, name="")
        return taken(call)

    known: dict[str, Caller] = {}
    monkeypatch.setattr(
        parties, "read_many", lambda tenant, wanted: {one: known[one] for one in wanted if one in known}
    )
    return make


def taken(call: CallScript) -> CallScript:
    """As the intake does: the facts so far become rows."""
    fresh = call.script.entries
    assert intake.take(call.script.tenant, fresh).parked == 0
    call.script.entries = []
    return call


def caller(first: str = "Amina", number: str = NUMBER) -> Any:
    return contacts.contact_create(
        actor=kit.ACTOR, values={"first_name": first}, phones=[{"number": number}], region="KE"
    )


def listed(client: Any, query: str = "") -> set[str]:
    answer = client.get(f"{URL}{query}")
    assert answer.status_code == 200, answer.content
    return {one["title"] for one in answer.json()["data"]}


@pytest.fixture
def line(tenant: Any, make_user: Any) -> dict[str, Any]:
    """An agent in a team, a mate, and a worker of no team at all."""
    people = {"agent": make_user("agent"), "mate": make_user("agent"), "worker": make_user("case_worker")}
    team = Team.objects.create(tenant=tenant, name="Night")
    for name in ("agent", "mate"):
        TeamMember.objects.create(team=team, user=people[name])
    return people


def test_an_agent_finds_the_open_case_of_the_caller_whoever_works_on_it(tenant, line, ring, api):
    amina, client = caller(), api(line["agent"])
    other = kit.case("Another's", contact=kit.contact("Brian").pk, assigned_to=line["worker"].pk)
    hers = kit.case("Hers", contact=amina.pk, assigned_to=line["worker"].pk)
    kit.case("Of the team", assigned_to=line["mate"].pk)
    assert listed(client) == {"Of the team"}
    assert client.get(f"{URL}{hers.pk}/").status_code == 404
    ring(line["agent"])
    assert listed(client) == {"Of the team", "Hers"}
    assert listed(client, f"?contact={amina.pk}") == {"Hers"}
    assert listed(client, f"?q={hers.case_number}") == {"Hers"}
    assert client.get(f"{URL}{hers.pk}/").status_code == 200
    assert AuditEvent.objects.filter(action="view", object_id=str(hers.pk)).exists()
    assert client.get(f"{URL}{other.pk}/").status_code == 404
    assert listed(api(line["mate"])) == {"Of the team"}, "nobody else's phone rings"


def test_the_agent_adds_what_the_caller_says_and_gives_nothing_away(tenant, line, ring, api):
    client = api(line["agent"])
    hers = kit.case("Hers", contact=caller().pk, assigned_to=line["worker"].pk)
    at = f"{URL}{hers.pk}/"
    ring(line["agent"])
    noted = client.post(f"{at}notes/", {"content": "Rang again."})
    assert noted.status_code == 201, noted.content
    etag = {"HTTP_IF_MATCH": client.get(at)["ETag"]}
    assert client.patch(at, {"priority": "high"}, **etag).status_code == 200
    assert client.post(f"{at}transition/", {"status": "pending"}).status_code == 200
    mine = {"assigned_to": str(line["agent"].pk)}
    assert client.post(f"{at}assign/", mine).status_code == 404
    etag = {"HTTP_IF_MATCH": client.get(at)["ETag"]}
    taken_over = client.patch(at, mine, **etag)
    assert taken_over.status_code == 403 and taken_over.json()["permission"] == permissions.ASSIGN
    same = {"assigned_to": str(line["worker"].pk)}
    assert client.patch(at, same, **etag).status_code == 200, "who has it already may be named"
    assert client.delete(at, **etag).status_code == 403
    hers.refresh_from_db()
    assert (hers.assigned_to_id, hers.priority, hers.status) == (line["worker"].pk, "high", "pending")


def test_nobody_gives_a_case_by_changing_it_who_may_not_give_it(tenant, line, api):
    role = TenantRole.objects.get(tenant=tenant, name="case_worker")
    role.permissions = {code: scope for code, scope in role.permissions.items() if code != permissions.ASSIGN}
    role.save()
    client, case = api(line["worker"]), kit.case()
    at = f"{URL}{case.pk}/"
    given = {"assigned_to": str(line["worker"].pk)}
    refused = client.patch(at, given, HTTP_IF_MATCH=client.get(at)["ETag"])
    assert refused.status_code == 403, refused.content
    assert refused.json()["errors"][0]["pointer"] == "/assigned_to"
    body = {"title": "New", "case_type": str(case.case_type_id)}
    assert client.post(URL, {**body, **given}).status_code == 403
    assert client.post(URL, body).status_code == 201
    case.refresh_from_db()
    assert case.assigned_to is None and Case.objects.count() == 2


def test_what_is_restricted_finished_or_against_the_caller_stays_shut(tenant, line, ring, api):
    amina, client = caller(), api(line["agent"])
    worker = {"assigned_to": line["worker"].pk}
    kit.case("Restricted", contact=amina.pk, confidentiality="restricted", **worker)
    finished = kit.case("Finished", contact=amina.pk, **worker)
    cases.case_transition(actor=kit.ACTOR, case=finished, status="closed")
    kit.case("Against", party_values=[{"contact_id": amina.pk, "role": "perpetrator"}], **worker)
    kit.case("Reported", party_values=[{"contact_id": amina.pk, "role": "reporter"}], **worker)
    ring(line["agent"])
    assert listed(client) == {"Reported"}
    watching.watch(actor=kit.ACTOR, case=Case.objects.get(title="Restricted"), user_id=line["agent"].pk)
    assert listed(client) == {"Reported", "Restricted"}


@pytest.mark.parametrize(("minutes", "sees"), [(59, True), (61, False)])
def test_it_lasts_from_the_first_ring_until_an_hour_after_the_talk(tenant, line, ring, api, minutes, sees):
    client = api(line["agent"])
    kit.case("Hers", contact=caller().pk, assigned_to=line["worker"].pk)
    call = ring(line["agent"])
    taken(call.answer(3))
    assert listed(client) == {"Hers"}
    taken(call.leg_ended(30, f.LegEnd.CALLER).end(30, f.CallOutcome.COMPLETED))
    assert listed(client) == {"Hers"}
    ended = timezone.now() - timedelta(minutes=minutes)
    Segment.objects.filter(agent=line["agent"]).update(ended_at=ended)
    assert listed(client) == ({"Hers"} if sees else set())


def test_a_call_that_was_let_pass_opens_nothing_to_who_let_it_pass(tenant, line, ring, api):
    kit.case("Hers", contact=caller().pk, assigned_to=line["worker"].pk)
    call = ring(line["agent"])
    taken(call.offer_ended(9, f.OfferOutcome.MISSED))
    assert listed(api(line["agent"])) == set()
    taken(call.offer(10, agent=str(line["mate"].pk)))
    assert listed(api(line["mate"])) == {"Hers"} and listed(api(line["agent"])) == set()


def test_a_leg_whose_end_was_lost_closes_by_itself(tenant, line, ring, api):
    kit.case("Hers", contact=caller().pk, assigned_to=line["worker"].pk)
    ring(line["agent"])
    assert Segment.objects.filter(agent=line["agent"], ended_at=None).update(
        offered_at=timezone.now() - timedelta(hours=13)
    )
    assert listed(api(line["agent"])) == set()


def test_a_caller_whom_nobody_knows_is_found_by_asking_who_it_is(tenant, line, ring, api):
    amina, client = caller(), api(line["agent"])
    kit.case("Hers", contact=amina.pk, assigned_to=line["worker"].pk)
    call = ring(line["agent"], number="+254733999888")
    taken(call.answer(3))
    assert listed(client) == set()
    at = f"/api/v1/calls/{call.id}/"
    shown = client.get(at)
    linked = client.patch(at, {"contact": str(amina.pk)}, HTTP_IF_MATCH=shown["ETag"])
    assert linked.status_code == 200, linked.content
    assert listed(client) == {"Hers"}
    assert AuditEvent.objects.filter(action="update", object_id=str(call.id)).exists()
    # Only on a call of one's own.
    assert api(line["mate"]).get(at).status_code == 404


def test_a_call_in_one_organisation_opens_nothing_in_another(
    tenant, other_tenant, line, ring, api, make_user
):
    from web.shared.tenants.context import tenant_context

    with tenant_context(other_tenant.pk):
        kit.case("Theirs", contact=caller().pk)
    kit.case("Hers", contact=caller().pk, assigned_to=line["worker"].pk)
    ring(line["agent"])
    theirs = api(make_user("agent", tenant=other_tenant), tenant=other_tenant)
    assert listed(theirs) == set() and listed(api(line["agent"])) == {"Hers"}


def test_a_role_without_cases_gets_none_by_a_call(tenant, line, ring, api):
    role = TenantRole.objects.get(tenant=tenant, name="agent")
    role.permissions = {code: scope for code, scope in role.permissions.items() if code != permissions.VIEW}
    role.save()
    kit.case("Hers", contact=caller().pk, assigned_to=line["worker"].pk)
    ring(line["agent"])
    assert api(line["agent"]).get(URL).status_code == 403
    assert not queries.visible(Case.objects.all(), Viewer(line["agent"].pk, {})).exists()


def test_who_may_only_look_may_only_look_at_the_callers_case_too(tenant, line, ring, api):
    role = TenantRole.objects.get(tenant=tenant, name="agent")
    role.permissions = {**role.permissions, permissions.VIEW: "own"}
    del role.permissions[permissions.EDIT]
    role.save()
    hers = kit.case("Hers", contact=caller().pk, assigned_to=line["worker"].pk)
    ring(line["agent"])
    client = api(line["agent"])
    assert listed(client) == {"Hers"}
    assert client.post(f"{URL}{hers.pk}/notes/", {"content": "x"}).status_code == 403


def test_asking_for_the_line_costs_no_query_and_reads_by_index(tenant, line, ring, api):
    kit.case("Hers", contact=caller().pk, assigned_to=line["worker"].pk)
    kit.case("Mine", assigned_to=line["agent"].pk)
    client = api(line["agent"])
    counts = []
    for shown in ({"Mine"}, {"Mine", "Hers"}):
        with CaptureQueriesContext(connection) as said:
            assert listed(client) == shown
        counts.append(len([one for one in said if not one["sql"].startswith("SET")]))
        ring(line["agent"])
    assert counts[1] == counts[0]
    assert list(at_hand.providers) == ["calls"]
    with pytest.raises(ValueError, match="registered twice"):
        at_hand.provider("calls", lambda user_id: Call.objects.none())
