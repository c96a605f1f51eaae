"""SLA clocks: the fold, what the consumer writes, and what is said and done when time runs out."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.contract.hours import ALWAYS, DAY, MINUTE, calendar_from, open_between
from tests.web import kit_cases as kit
from web.shared.core import events
from web.shared.core.ids import uuid7
from web.shared.records.models import DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.cases.clocks import Moment, Terms, fold
from web.tenant.cases.models import BusinessCalendar, CaseMoment, CaseSla, SlaEscalation, SlaPolicy, SlaRefold
from web.tenant.cases.services import cases, escalating, merging, notes, sla
from web.tenant.cases.services import settings as configuring
from web.tenant.reference_data.models import Priority

URL = "/api/v1/cases/"
HOUR = 60 * MINUTE
ALL = {"first_response": HOUR, "next_response": 2 * HOUR, "resolution": 10 * HOUR}
OPEN = [Moment(0, "opened")]


def status(at, value):
    return Moment(at, "status", value)


# --- the fold -----------------------------------------------------------------------------------------------


def test_clocks_start_with_the_case_and_know_when_they_are_due():
    clocks = fold(OPEN, Terms(ALWAYS, ALL), now=MINUTE)
    assert set(clocks) == {"first_response", "resolution"}
    assert clocks["first_response"].due == HOUR and clocks["first_response"].warn == 45 * MINUTE
    assert clocks["resolution"].due == 10 * HOUR and clocks["resolution"].breached is None


def test_waiting_stops_the_clock_and_going_on_resumes_it():
    told = [*OPEN, status(HOUR, "pending"), status(6 * HOUR, "on_hold"), status(9 * HOUR, "open")]
    paused = fold(told[:2], Terms(ALWAYS, ALL), now=20 * HOUR)["resolution"]
    assert (paused.state, paused.elapsed, paused.due, paused.breached) == ("paused", HOUR, None, None)
    going = fold(told, Terms(ALWAYS, ALL), now=10 * HOUR)["resolution"]
    assert (going.state, going.due) == ("running", 18 * HOUR)


def test_resolving_ends_it_and_reopening_lets_it_go_on():
    told = [*OPEN, status(4 * HOUR, "resolved")]
    done = fold(told, Terms(ALWAYS, ALL), now=50 * HOUR)
    assert (done["resolution"].state, done["resolution"].elapsed) == ("met", 4 * HOUR)
    assert done["first_response"].state == "stopped" and done["first_response"].breached == HOUR
    again = fold([*told, status(50 * HOUR, "open")], Terms(ALWAYS, ALL), now=51 * HOUR)
    assert again["resolution"].due == 56 * HOUR and again["resolution"].breached is None


def test_each_question_after_the_first_answer_waits_for_its_own():
    told = [*OPEN, Moment(MINUTE, "asked"), Moment(2 * MINUTE, "responded"), Moment(HOUR, "asked")]
    clocks = fold(told, Terms(ALWAYS, ALL), now=HOUR)
    assert clocks["first_response"].state == "met" and clocks["next_response"].due == 3 * HOUR
    told += [Moment(2 * HOUR, "asked"), Moment(4 * HOUR, "responded"), Moment(5 * HOUR, "asked")]
    assert fold(told[:-1], Terms(ALWAYS, ALL), now=9 * HOUR)["next_response"].breached == 3 * HOUR
    second = fold(told, Terms(ALWAYS, ALL), now=5 * HOUR)["next_response"]
    assert (second.cycle, second.due, second.breached) == (2, 7 * HOUR, None)


def test_business_time_counts_open_hours_only():
    week = {day: [["08:00", "16:00"]] for day in ("thursday", "friday")}
    calendar = calendar_from({"zone": "UTC", "weekly": week})  # 1970-01-01 was a Thursday
    clock = fold(OPEN, Terms(calendar, {"resolution": 10 * HOUR}), now=0)["resolution"]
    assert clock.due == DAY + 10 * HOUR


def test_an_answer_from_before_the_opening_meets_the_first_response():
    clock = fold([Moment(5, "opened"), Moment(1, "responded")], Terms(ALWAYS, ALL), now=10)["first_response"]
    assert (clock.state, clock.ended) == ("met", 5)


STATUSES = ("open", "pending", "on_hold", "resolved", "closed")
moments = st.lists(
    st.one_of(
        st.builds(Moment, st.integers(1, 10 * DAY), st.just("status"), st.sampled_from(STATUSES)),
        st.builds(Moment, st.integers(1, 10 * DAY), st.sampled_from(("responded", "asked"))),
    ),
    max_size=15,
    unique_by=lambda moment: moment.at,
)
calendars = st.sampled_from(
    [
        ALWAYS,
        calendar_from(
            {
                "zone": "Europe/Berlin",
                "weekly": {"friday": [["08:00", "17:00"]], "sunday": [["00:00", "24:00"]]},
            }
        ),
        calendar_from({"zone": "America/New_York", "weekly": {"monday": [["09:00", "12:30"]]}}),
    ]
)


@settings(max_examples=200, deadline=None)
@given(moments, calendars, st.integers(1, 30), st.integers(0, 12 * DAY))
def test_the_resolution_clock_measures_open_time_spent_working(told, calendar, hours, now):
    """Against a second reckoning: cut the story into intervals, add up those in which work went on."""
    target = hours * HOUR
    clock = fold([*OPEN, *told], Terms(calendar, {"resolution": target}), now)["resolution"]
    used, since, state = 0, 0, "open"
    for moment in [
        *sorted((one for one in told if one.at <= now), key=lambda one: one.at),
        Moment(now, "end"),
    ]:
        if state == "open":
            used += open_between(calendar, since, moment.at)
        if moment.kind == "status":
            state = moment.status
        since = moment.at
    assert clock.state == {"open": "running", "pending": "paused", "on_hold": "paused"}.get(state, "met")
    running = 0 if clock.since is None else open_between(calendar, clock.since, now)
    assert clock.elapsed + running == used
    if used > target:
        assert clock.breached is not None and clock.breached <= now
    if used < target:
        assert clock.breached is None
    if clock.state == "running" and clock.breached is None and clock.due is not None:
        assert clock.due >= now and clock.warn is not None and clock.warn <= clock.due


@settings(max_examples=200, deadline=None)
@given(moments, calendars, st.permutations(range(16)), st.integers(0, 10 * DAY), st.integers(0, 5 * DAY))
def test_the_fold_minds_no_order_and_takes_no_breach_back(told, calendar, order, now, more):
    terms, story = Terms(calendar, ALL), [*OPEN, *told]
    shuffled = [story[place] for place in order if place < len(story)]
    now_clocks = fold(story, terms, now)
    assert fold(shuffled, terms, now) == now_clocks
    later = fold(story, terms, now + more)
    for kind, clock in now_clocks.items():
        if clock.breached is not None and later[kind].cycle == clock.cycle:
            assert later[kind].breached == clock.breached


# --- rows ---------------------------------------------------------------------------------------------------


pytestmark = [pytest.mark.django_db, pytest.mark.database]


def policy(**values):
    given = {"name": "P", "business_time": False, "first_response_minutes": 60, "resolution_minutes": 600}
    return configuring.policy_create(actor=kit.ACTOR, values={**given, **values})


def caught_up():
    """Everything that was told, given to the consumer as the drain would."""
    sla.consume(list(DomainEvent.objects.order_by("sequence")))


def clock(case, kind="resolution"):
    return CaseSla.objects.filter(case=case, kind=kind).first()


def happened(kind, about, **data):
    data.setdefault("case", str(about.pk))
    row: Any = SimpleNamespace(id=uuid7(), type=kind, object_id=uuid7(), at=timezone.now(), data=data)
    sla.consume([row])


def said(kind):
    return [one.data["clock"] for one in DomainEvent.objects.filter(type=kind).order_by("sequence")]


def test_events_become_moments_once_and_clocks_follow(tenant):
    policy()
    case = kit.case()
    caught_up()
    caught_up()
    assert CaseMoment.objects.filter(case=case).count() == 1
    assert clock(case).due_at - clock(case).started_at == timedelta(hours=10)
    cases.case_transition(actor=kit.ACTOR, case=case, status="pending")
    caught_up()
    assert clock(case).state == "paused" and clock(case).due_at is None
    notes.note_add(actor=kit.ACTOR, case=case, values={"content": "internal"})
    caught_up()
    assert clock(case, "first_response").state == "paused"
    notes.note_add(actor=kit.ACTOR, case=case, values={"content": "To you", "is_internal": False})
    caught_up()
    assert clock(case, "first_response").state == "met" and said("sla.met") == ["first_response"]


@pytest.mark.parametrize(
    ("kind", "data", "answers"),
    [
        ("interaction.sent", {}, True),
        ("interaction.received", {}, False),
        ("call.answered", {"direction": "inbound"}, True),
        ("call.ended", {"direction": "outbound", "outcome": "no_answer"}, True),
        ("call.ended", {"direction": "inbound", "outcome": "abandoned"}, False),
        ("document.created", {}, False),
        ("made.up", {"case": "nonsense"}, False),
    ],
)
def test_what_counts_as_a_first_response(tenant, kind, data, answers):
    policy()
    case = kit.case()
    caught_up()
    happened(kind, case, **data)
    assert (clock(case, "first_response").state == "met") is answers


def test_the_closest_policy_fits_and_without_one_the_priority_has_its_hours(tenant):
    Priority.objects.create(name="High", level=3, sla_hours=24)
    top = kit.category()
    below = kit.category(parent=top)
    case = kit.case(case_type=below, priority="high")
    caught_up()
    assert clock(case).target_seconds == 24 * 3600 and clock(case).policy is None
    for minutes, fit in (
        (600, {}),
        (500, {"priority": "high"}),
        (400, {"case_type": top}),
        (300, {"case_type": top, "priority": "high"}),
    ):
        policy(name=str(minutes), resolution_minutes=minutes, **fit)
        assert SlaRefold.objects.count() == 1
        assert sla.refold_some() == 1 and sla.refold_some() == 0
        assert clock(case).target_seconds == minutes * 60
    cases.case_update(actor=kit.ACTOR, case=case, values={"priority": "low"})
    caught_up()
    assert clock(case).target_seconds == 400 * 60


def test_another_promise_is_reckoned_from_the_same_moments(tenant):
    row = policy(resolution_minutes=60)
    case = kit.case()
    caught_up()
    now = timezone.now() + timedelta(hours=2)
    assert escalating.tell_due(now) >= 1 and clock(case).breached_at
    configuring.policy_update(actor=kit.ACTOR, policy=row, values={"resolution_minutes": 6000})
    sla.refold_some()
    assert clock(case).breached_at is None and clock(case).told_at is None
    calendar = BusinessCalendar.objects.create(name="C", zone="UTC", weekly={"monday": [["08:00", "09:00"]]})
    configuring.policy_update(
        actor=kit.ACTOR, policy=SlaPolicy.objects.get(), values={"business_time": True, "calendar": calendar}
    )
    sla.refold_some()
    assert clock(case).due_at - clock(case).started_at > timedelta(days=600)


def test_warnings_and_breaches_are_said_once_and_steps_are_taken_once(tenant, make_user):
    lead, gone = make_user("supervisor"), make_user("telephony_admin")
    steps = [
        {"at": "warning", "do": "notify", "user": str(lead.pk)},
        {"at": "breach", "do": "raise_priority"},
        {"at": "breach", "after_minutes": 30, "do": "reassign", "user": str(lead.pk)},
    ]
    policy(first_response_minutes=None, escalations=steps)
    case = kit.case(priority="high")
    caught_up()
    start = clock(case).started_at
    for _ in range(2):
        assert escalating.tell_due(start + timedelta(hours=7)) == 0
    for after, expected in (
        (7.6, (1, 0, 1)),
        (7.7, (1, 0, 1)),
        (10.1, (1, 1, 2)),
        (10.2, (1, 1, 2)),
        (10.7, (1, 1, 3)),
    ):
        escalating.tell_due(start + timedelta(hours=after))
        counts = (len(said("sla.warning")), len(said("sla.breached")), SlaEscalation.objects.count())
        assert counts == expected, after
    case.refresh_from_db()
    assert case.priority == "critical" and case.assigned_to_id == lead.pk and gone.pk
    assert list(SlaEscalation.objects.order_by("step").values_list("outcome", flat=True)) == ["done"] * 3
    # The raised priority folds again, and says nothing twice.
    sla.fold_cases([case.pk], start + timedelta(hours=10.75))
    escalating.tell_due(start + timedelta(hours=10.8))
    assert len(said("sla.breached")) == 1


def test_a_merge_keeps_the_earliest_answer_and_undoing_it_takes_it_away(tenant):
    policy()
    loser, winner = kit.case("loser"), kit.case("winner")
    notes.note_add(actor=kit.ACTOR, case=loser, values={"content": "x", "is_internal": False})
    caught_up()
    assert clock(winner, "first_response").state == "running"
    merge = merging.case_merge(actor=kit.ACTOR, loser=loser, winner=winner)
    caught_up()
    assert clock(winner, "first_response").state == "met" and clock(loser) is None
    merging.merge_undo(actor=kit.ACTOR, merge=merge)
    caught_up()
    assert clock(winner, "first_response").state == "running"
    assert clock(loser, "first_response").state == "met" and clock(loser).state == "running"


def test_a_list_shows_and_narrows_by_the_clocks(tenant, make_user, api):
    policy()
    case, client = kit.case(), api(make_user("case_worker"))
    caught_up()

    def state():
        shown = client.get(f"{URL}{case.pk}/").json()["sla_state"]
        assert [one["id"] for one in client.get(f"{URL}?sla_state={shown}").json()["data"]] == [str(case.pk)]
        for other in {"ok", "warning", "breached", "paused", "none"} - {shown}:
            assert client.get(f"{URL}?sla_state={other}").json()["data"] == []
        return shown

    assert state() == "ok"
    now = timezone.now()
    CaseSla.objects.filter(kind="resolution").update(warn_at=now - timedelta(hours=1))
    assert state() == "warning"
    CaseSla.objects.filter(kind="resolution").update(due_at=now - timedelta(minutes=1))
    assert state() == "breached"
    CaseSla.objects.update(state="paused", due_at=None, breached_at=None)
    assert state() == "paused"
    assert len(client.get(f"{URL}{case.pk}/sla/").json()["data"]) == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"business_time": True}, "/calendar"),
        ({"resolution_minutes": None}, "/resolution_minutes"),
        ({"escalations": [{"at": "noon", "do": "notify"}]}, "/escalations/0"),
        ({"escalations": [{"at": "breach", "do": "shout"}]}, "/escalations/0/do"),
        ({"escalations": [{"at": "breach", "do": "notify"}]}, "/escalations/0/user"),
        (
            {
                "escalations": [
                    {"at": "breach", "do": "notify", "user": "01890000-0000-7000-8000-000000000000"}
                ]
            },
            "/escalations/0/user",
        ),
        (
            {"escalations": [{"at": "breach", "do": "raise_priority", "after_minutes": -1}]},
            "/escalations/0/after_minutes",
        ),
        ({"escalations": "x"}, "/escalations"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(tenant, make_user, api, body, pointer):
    given = {"name": "P", "business_time": False, "resolution_minutes": 10, **body}
    answer = api(make_user("supervisor")).post(f"{URL}sla-policies/", given)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.django_db(transaction=True)
def test_the_drain_hands_the_events_on(tenants):
    with tenant_context(tenants[0].pk):
        policy()
        case = kit.case()
    events.drain(tenants[0].pk)
    with tenant_context(tenants[0].pk):
        assert clock(case) is not None
