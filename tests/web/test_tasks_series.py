"""Tasks that come again: rules, clocks that change, the next one made once, whoever makes it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.api_cases import ResourceCases
from tests.web.kit_events import at_once, raised
from web.shared.core.actor import system
from web.shared.tenants.context import tenant_context
from web.tenant.tasks import due, recurrence, services
from web.tenant.tasks import series as making
from web.tenant.tasks.models import Task, TaskDependency, TaskSeries

ACTOR = system("tests")
URL = "/api/v1/tasks/series/"
BERLIN = ZoneInfo("Europe/Berlin")


def soon(**ahead: float) -> datetime:
    return (timezone.now() + timedelta(**(ahead or {"days": 3}))).replace(microsecond=0)


class TestSeries(ResourceCases):
    url = URL
    created = {
        "title": "Weekly report",
        "recurrence": "FREQ=WEEKLY;BYDAY=MO,FR",
        "starts_at": soon().isoformat(),
        "time_zone": "Africa/Nairobi",
        "checklist": ["Count", "Write"],
    }
    updated = {"title": "Report of the week", "lead_hours": 48}
    refused = {"recurrence": "FREQ=SECONDLY"}


# --- rules --------------------------------------------------------------------------------------------------


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "FREQ=HOURLY",
        "BYDAY=MO",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=401",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY;BYDAY=MO;INTERVAL=7",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=MONTHLY;BYDAY=MO;BYMONTHDAY=13",
        "FREQ=MONTHLY;BYSETPOS=1",
        "FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=2",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=13",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;INTERVAL=4",
        "FREQ=MONTHLY;BYMONTHDAY=31;INTERVAL=12",
        "FREQ=YEARLY;BYMONTHDAY=1",
        "FREQ=DAILY;COUNT=3;UNTIL=20300101",
        "FREQ=DAILY;COUNT=99999",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=DAILY;BYEASTER=1",
        "FREQ=DAILY\nRDATE:20260101",
    ],
)
def test_rules_that_are_strange_endless_or_never_happen_are_refused(rule):
    with pytest.raises(recurrence.BadRule):
        recurrence.normal(rule)


def test_nine_stays_nine_when_the_clocks_change():
    start = utc("2026-03-27T08:00")  # nine in Berlin's winter
    found = list(recurrence.first("FREQ=DAILY", start, BERLIN, 4))
    assert [moment.astimezone(BERLIN).hour for moment in found] == [9, 9, 9, 9]
    assert found[2] - found[1] == timedelta(hours=23)


def test_a_time_that_is_skipped_moves_and_one_that_comes_twice_comes_once():
    skipped = list(recurrence.first("FREQ=DAILY", utc("2026-03-28T01:30"), BERLIN, 3))
    assert skipped == [utc("2026-03-28T01:30"), utc("2026-03-29T01:30"), utc("2026-03-30T00:30")]
    double = list(recurrence.first("FREQ=DAILY", utc("2026-10-24T00:30"), BERLIN, 3))
    assert double == [utc("2026-10-24T00:30"), utc("2026-10-25T00:30"), utc("2026-10-26T01:30")]


def test_until_is_a_whole_day_there_or_an_instant():
    start = utc("2026-06-01T21:00")  # eleven at night in Berlin
    assert len(list(recurrence.first("FREQ=DAILY;UNTIL=20260603", start, BERLIN, 9))) == 3
    assert len(list(recurrence.first("FREQ=DAILY;UNTIL=20260603T205959Z", start, BERLIN, 9))) == 2


@given(
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SU,MO", "FREQ=MONTHLY;BYDAY=SU;BYSETPOS=-1"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Africa/Nairobi", "Australia/Lord_Howe"]),
    st.integers(0, 365 * 24 * 60),
)
@settings(max_examples=60, deadline=None)
def test_walking_from_one_occurrence_to_the_next_is_the_list(rule, name, minutes):
    """What sweeps do, one at a time, makes neither doubles nor gaps, whatever the clocks do."""
    zone, start = ZoneInfo(name), utc("2026-01-01T00:00") + timedelta(minutes=minutes)
    walked: list[datetime] = []
    for _ in range(8):
        found = recurrence.occurrence_after(rule, start, zone, walked[-1] if walked else None)
        assert found is not None
        walked.append(found)
    assert walked == sorted(set(walked)) == list(recurrence.first(rule, start, zone, 8))
    assert recurrence.newest_until(rule, start, zone, walked[5]) == walked[5]


# --- making -------------------------------------------------------------------------------------------------


def make(**values: Any) -> TaskSeries:
    given = {
        "title": "Report",
        "recurrence": "FREQ=DAILY",
        "starts_at": soon(),
        "time_zone": "Africa/Nairobi",
        **values,
    }
    return making.series_create(actor=ACTOR, values=given)


def tasks() -> list[Task]:
    return list(Task.objects.order_by("occurrence"))


@pytest.mark.django_db
@pytest.mark.database
def test_the_first_is_made_at_once_with_its_checklist_the_next_when_it_is_done(tenant):
    series = make(checklist=["a", "b"])
    [first] = tasks()
    assert first.due_date == first.occurrence == series.starts_at
    assert list(first.checklist.order_by("position").values_list("text", flat=True)) == ["a", "b"]
    due.everything_due()
    assert len(tasks()) == 1
    services.task_update(actor=ACTOR, task=first, values={"status": "done"})
    assert [task.occurrence for task in tasks()] == [series.starts_at + n * timedelta(days=1) for n in (0, 1)]
    services.task_update(actor=ACTOR, task=first, values={"status": "in_progress"})
    services.task_update(actor=ACTOR, task=first, values={"status": "done"})
    assert len(tasks()) == 2


@pytest.mark.django_db
@pytest.mark.database
def test_the_next_is_made_in_time_although_the_first_is_open_and_missed_ones_collapse(tenant):
    series = make(starts_at=soon(hours=2), lead_hours=1)
    TaskSeries.objects.update(next_at=timezone.now())
    assert due.everything_due()["made"] == 1 and len(tasks()) == 2
    assert due.everything_due()["made"] == 0
    # Nobody ran for ten days.
    gone = timezone.now() - timedelta(days=10)
    TaskSeries.objects.update(
        starts_at=gone - timedelta(days=5), last_occurrence=gone, next_at=gone + timedelta(hours=1)
    )
    Task.objects.all().delete()
    assert due.everything_due()["made"] == 1
    [one] = tasks()
    assert one.occurrence is not None
    assert timedelta(0) <= timezone.now() - one.occurrence < timedelta(days=1)
    next_at = TaskSeries.objects.get(pk=series.pk).next_at
    assert next_at is not None and next_at > timezone.now() - timedelta(hours=1)


@pytest.mark.django_db
@pytest.mark.database
def test_a_series_ends_pauses_and_follows_a_new_rule(tenant, make_user, api):
    client = api(make_user("supervisor"))
    series = make(recurrence="FREQ=DAILY;COUNT=2")
    for n in range(2):
        services.task_update(actor=ACTOR, task=tasks()[n], values={"status": "done"})
    assert len(tasks()) == 2
    assert TaskSeries.objects.get().next_at is None
    at = f"{URL}{series.pk}/"
    body = {"recurrence": "RRULE:freq=weekly", "is_active": False}
    assert client.patch(at, body, HTTP_IF_MATCH="*").json()["recurrence"] == "FREQ=WEEKLY"
    TaskSeries.objects.update(next_at=timezone.now())
    assert due.everything_due()["made"] == 0


@pytest.mark.django_db
@pytest.mark.database
def test_a_preview_shows_ten_times_in_the_organisations_zone(tenant, make_user, api):
    client = api(make_user("supervisor"))
    body = {"recurrence": "FREQ=MONTHLY;BYMONTHDAY=31", "starts_at": soon().isoformat()}
    answer = client.post(f"{URL}preview/", body)
    assert answer.status_code == 200, answer.content
    assert len(answer.json()["occurrences"]) == 10 and not Task.objects.exists()
    bad = client.post(f"{URL}preview/", {**body, "recurrence": "FREQ=DAILY;UNTIL=20200101"})
    assert bad.status_code == 422 and bad.json()["errors"][0]["pointer"] == "/recurrence"
    assert client.post(f"{URL}preview/", {**body, "time_zone": "Mars"}).status_code == 422


# --- at once ------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_workers_and_people_at_once_make_one_task_per_occurrence(tenants):
    tenant = tenants[0]
    with tenant_context(tenant.pk):
        make(starts_at=soon(hours=1))
        TaskSeries.objects.update(next_at=timezone.now())
        first = Task.objects.get()

    def close() -> None:
        services.task_update(actor=ACTOR, task=first, values={"status": "done"})

    found = at_once(*[lambda: making.series_due(actor=ACTOR)] * 3, close, tenant_id=tenant.pk)
    assert raised(found) == [None] * 4
    with tenant_context(tenant.pk):
        found = tasks()
        assert len(found) == len({task.occurrence for task in found}) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_two_halves_of_a_circle_at_once_do_not_both_succeed(tenants):
    from web.tenant.tasks.dependencies import dependency_add

    tenant = tenants[0]
    with tenant_context(tenant.pk):
        first, second = (
            services.task_create(actor=ACTOR, values={"title": uuid.uuid4().hex}) for _ in range(2)
        )
    for _ in range(5):
        found = at_once(
            lambda: dependency_add(actor=ACTOR, task=first, values={"depends_on": second}),
            lambda: dependency_add(actor=ACTOR, task=second, values={"depends_on": first}),
            tenant_id=tenant.pk,
        )
        assert sum(error is None for error in raised(found)) == 1
        with tenant_context(tenant.pk):
            TaskDependency.all_objects.all().delete()
