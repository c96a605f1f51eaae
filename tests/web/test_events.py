"""Domain events: written with the change, handed on in order, and no consumer in another's way."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu import pools
from kombu.exceptions import OperationalError

from tests.web.kit_events import in_thread
from web.shared.core import event_tasks, events, tasks
from web.shared.core.actor import system
from web.shared.records.models import DomainEvent, EventPosition, ParkedEvent
from web.shared.tenants.context import tenant_context

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.redis]
ACTOR = system("tests")
WAKE = event_tasks.wake_worker


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """No consumer but the test's; two types of event; no worker is asked."""
    monkeypatch.setattr(events, "consumers", {})
    monkeypatch.setattr(events, "catalogue", {})
    events.declare("thing.happened", "It happened", n=int, who=uuid.UUID)
    monkeypatch.setattr(event_tasks, "wake_worker", lambda tenant_id: None)


class Reader:
    """Notes what it is given; fails on the numbers of `bad`."""

    def __init__(self, name, bad=(), wants=None):
        self.seen, self.tries, self.bad = [], [], set(bad)
        events.consumer(name, self.take, wants=wants)

    def take(self, batch):
        numbers = [one.data["n"] for one in batch]
        self.tries.append(numbers)
        if self.bad & set(numbers):
            raise RuntimeError("bad")
        self.seen += numbers


def happen(*numbers, kind="thing.happened"):
    for n in numbers:
        events.emit(kind, actor=ACTOR, object_id=uuid.uuid4(), data={"n": n})


def test_each_consumer_gets_every_event_once_in_order(tenant):
    first, second = Reader("first"), Reader("second")
    happen(1, 2, 3)
    assert events.drain(tenant.pk) == 6
    happen(4)
    assert events.drain(tenant.pk) == 2 and events.drain(tenant.pk) == 0
    assert first.seen == second.seen == [1, 2, 3, 4]


@pytest.mark.parametrize("window", [1, 2, 3, 100])
def test_a_consumer_is_handed_only_the_types_that_it_wants_and_passes_the_others(tenant, monkeypatch, window):
    monkeypatch.setattr(events, "WINDOW", window)
    monkeypatch.setattr(events, "BATCH", 2)
    events.declare("thing.ignored", "Nobody minds", n=int)
    asked: list[set[str]] = []

    def wants(kinds):
        asked.append(kinds)
        return kinds & {"thing.happened"}

    picky, every = Reader("picky", wants=wants), Reader("every")
    nobody = Reader("nobody", wants=lambda kinds: set())
    for n in (1, 4, 5, 6, 9):
        happen(n)
        happen(n + 1, n + 2, kind="thing.ignored")
    assert events.drain(tenant.pk) == 45 and asked[0] <= {"thing.happened", "thing.ignored"}
    assert picky.seen == [1, 4, 5, 6, 9] and nobody.tries == []
    assert len(every.seen) == 15 and not event_tasks.lags(tenant.pk)
    happen(20, kind="thing.ignored")
    assert event_tasks.lags(tenant.pk) and events.drain(tenant.pk) == 3
    assert events.drain(tenant.pk) == 0 and not event_tasks.lags(tenant.pk)


def test_among_types_that_it_does_not_want_a_consumer_still_parks_the_event_that_it_cannot_take(tenant):
    events.declare("thing.ignored", "Nobody minds", n=int)
    picky = Reader("picky", bad=[3], wants=lambda kinds: kinds & {"thing.happened"})
    for n in (1, 3, 5, 7):
        happen(n)
        happen(n + 1, kind="thing.ignored")
    for _ in range(events.FAILURES):
        events.drain(tenant.pk, patient=False)
    assert picky.seen == [1, 5, 7] and picky.tries.count([3]) == events.FAILURES
    assert DomainEvent.objects.get(id=ParkedEvent.objects.get().event_id).data["n"] == 3
    assert not event_tasks.lags(tenant.pk)


def test_events_of_a_rolled_back_change_never_happened(tenant):
    reader = Reader("reader")
    with pytest.raises(RuntimeError), transaction.atomic():
        happen(1)
        raise RuntimeError
    with transaction.atomic():
        happen(2)
    events.drain(tenant.pk)
    assert reader.seen == [2]


def test_who_emits_early_and_commits_late_is_never_skipped(tenant):
    reader = Reader("reader")
    emitted, commit = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            happen(1)
            emitted.set()
            assert commit.wait(20)

    with in_thread(tenant.pk, slow):
        assert emitted.wait(20)
        happen(2)
        assert events.drain(tenant.pk) == 0, "the slow one may still come in front of it"
        assert events.unsettled() and event_tasks.lags(tenant.pk)
        commit.set()
    assert events.drain(tenant.pk) == 2
    assert reader.seen == [1, 2] and not event_tasks.lags(tenant.pk)


def test_numbers_given_in_another_order_than_transactions_are_all_read(tenant):
    """The later transaction emits first: its event has the lower number and the higher transaction."""
    reader = Reader("reader")
    begun, go_on = threading.Event(), threading.Event()

    def older():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
            begun.set()
            assert go_on.wait(20)
            happen(2)

    with in_thread(tenant.pk, older):
        assert begun.wait(20)
        happen(1)
        assert events.drain(tenant.pk) == 0
        go_on.set()
    rows = list(DomainEvent.objects.order_by("sequence"))
    assert [row.data["n"] for row in rows] == [1, 2]
    assert rows[0].transaction_id > rows[1].transaction_id
    assert event_tasks.lags(tenant.pk)
    events.drain(tenant.pk)
    assert sorted(reader.seen) == [1, 2] and not event_tasks.lags(tenant.pk)
    happen(3)
    assert event_tasks.lags(tenant.pk) and events.drain(tenant.pk) == 1


def test_many_writers_and_readers_at_once_lose_and_double_nothing(tenant):
    reader = Reader("reader")

    def write(base):
        for n in range(base, base + 25):
            with transaction.atomic():
                happen(n)

    def read():
        for _ in range(15):
            events.drain(tenant.pk)

    with (
        in_thread(tenant.pk, lambda: write(0)),
        in_thread(tenant.pk, lambda: write(100)),
        in_thread(tenant.pk, lambda: write(200)),
        in_thread(tenant.pk, read),
        in_thread(tenant.pk, read),
    ):
        pass
    events.drain(tenant.pk)
    assert sorted(reader.seen) == sorted([*range(25), *range(100, 125), *range(200, 225)])


def test_a_failing_consumer_parks_the_bad_event_after_five_tries_and_delays_nobody(tenant):
    broken, good = Reader("broken", bad=[3]), Reader("good")
    happen(1, 2, 3, 4)
    assert events.drain(tenant.pk) == 6
    assert good.seen == [1, 2, 3, 4], "the other consumer is not held up"
    assert broken.seen == [1, 2], "the good ones in front of the bad one pass at once"
    for _ in range(3):
        assert events.drain(tenant.pk, patient=False) == 0
        assert broken.seen == [1, 2], "order is kept: nothing passes the bad one"
    events.drain(tenant.pk, patient=False)
    assert broken.seen == [1, 2, 4] and broken.tries.count([3]) == events.FAILURES
    parked = ParkedEvent.objects.get()
    assert parked.consumer == "broken" and parked.error == "RuntimeError"
    assert DomainEvent.objects.get(id=parked.event_id).data["n"] == 3


def test_a_consumer_that_failed_is_left_alone_for_a_while(tenant):
    broken = Reader("broken", bad=[1])
    happen(1)
    events.drain(tenant.pk)
    events.drain(tenant.pk)
    assert len(broken.tries) == 1, "its pause is not over"
    broken.bad.clear()
    EventPosition.objects.filter(consumer="broken").update(updated_at=timezone.now() - timedelta(seconds=3))
    events.drain(tenant.pk)
    assert broken.seen == [1] and EventPosition.objects.get().failures == 0


def test_what_a_failing_consumer_wrote_is_undone(tenant):
    def write_and_fail(batch):
        EventPosition.objects.create(consumer="trace")
        raise RuntimeError

    events.consumer("broken", write_and_fail)
    happen(1)
    events.drain(tenant.pk)
    assert not EventPosition.objects.filter(consumer="trace").exists()


def test_draining_inside_a_longer_transaction_is_refused(tenant):
    Reader("reader")
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        happen(1)
        events.drain(tenant.pk)


def test_the_worker_is_woken_once_per_transaction_and_only_after_the_commit(tenant, monkeypatch):
    woken: list[str] = []
    monkeypatch.setattr(event_tasks, "wake_worker", woken.append)
    with transaction.atomic():
        happen(1, 2)
        with transaction.atomic():
            happen(3)
        assert woken == []
    assert woken == [tenant.pk]
    with pytest.raises(RuntimeError), transaction.atomic():
        happen(4)
        raise RuntimeError
    assert woken == [tenant.pk]
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            happen(5)
            raise RuntimeError
        happen(6)
    assert woken == [tenant.pk] * 2


def test_with_redis_away_the_request_goes_on_and_nobody_is_asked_again_soon(tenant, monkeypatch):
    tries = []

    def refuse(*args, **options):
        tries.append(options["retry"])
        raise ConnectionError

    monkeypatch.setattr(event_tasks, "wake_worker", WAKE)
    monkeypatch.setattr(tasks, "_not_before", 0.0)
    monkeypatch.setattr(event_tasks.drain_tenant, "apply_async", refuse)
    happen(1)
    happen(2)
    assert DomainEvent.objects.count() == 2 and tries == [False]


def test_a_broker_that_refuses_is_given_up_at_once(tenant, monkeypatch):
    from config.celery import app

    monkeypatch.setattr(event_tasks, "wake_worker", WAKE)
    monkeypatch.setattr(tasks, "_not_before", 0.0)
    away = app.connection_for_write("redis://127.0.0.1:1/0")
    monkeypatch.setattr(tasks, "_producers", lambda: pools.producers[away])
    happen(1)
    assert tasks._not_before > 0, "it was tried, and said to be away"


@pytest.mark.redis
def test_a_broker_that_does_not_answer_holds_a_request_up_less_than_a_worker(tenant, monkeypatch, stack):
    monkeypatch.setattr(tasks, "_not_before", 0.0)

    def ask() -> None:
        with contextlib.suppress(OperationalError):
            event_tasks.drain_tenant.apply_async((tenant.pk,), retry=False)

    patient = threading.Thread(target=ask)
    redis = int(str(stack.keeper.status()["redis"]["pid"]))
    os.kill(redis, signal.SIGSTOP)  # it takes connections and says nothing
    try:
        patient.start()
        WAKE(tenant.pk)
        assert tasks._not_before > 0 and patient.is_alive()
        WAKE(tenant.pk)
        assert patient.is_alive(), "in the pause nobody is asked"
    finally:
        os.kill(redis, signal.SIGCONT)
        patient.join(60)


def test_tasks_of_one_transaction_are_each_sent_once(tenant, monkeypatch):
    sent: list[str] = []
    with transaction.atomic():
        tasks.once_after_commit("a", lambda: sent.append("a"))
        tasks.once_after_commit("b", lambda: sent.append("b"))
        with transaction.atomic():
            tasks.once_after_commit("a", lambda: sent.append("a again"))
        with pytest.raises(RuntimeError), transaction.atomic():
            tasks.once_after_commit("c", lambda: sent.append("rolled back"))
            raise RuntimeError
        tasks.once_after_commit("c", lambda: sent.append("c"))
        assert sent == []
    assert sent == ["a", "b", "c"]


def test_the_sweep_finds_who_lags_and_survives_a_tenant_without_tables(tenants, monkeypatch):
    from web.shared.tenants.context import public_context
    from web.shared.tenants.models import Tenant

    Reader("reader")
    sent = []
    monkeypatch.setattr(event_tasks, "_send", lambda tenant_id, again=0: sent.append(tenant_id))
    with public_context():
        Tenant.objects.create(pk="t_unfertig0000", name="Unfertig")
    assert event_tasks.sweep() == 0
    with tenant_context(tenants[1].pk):
        happen(1)
    assert event_tasks.sweep() == 1 and sent == [tenants[1].pk]
    # Positions of consumers of an older release say nothing about today's.
    with tenant_context(tenants[1].pk):
        EventPosition.objects.create(consumer="gone", transaction_id=2**40, sequence=2**40)
    assert event_tasks.sweep() == 1
    events.drain(tenants[1].pk)
    assert event_tasks.sweep() == 0


def test_what_a_rule_does_names_its_cause_and_is_one_deeper(tenant):
    seen = []

    def rule(batch):
        for event in batch:
            seen.append((event.data["n"], event.depth, event.cause))
            if event.depth < 2:
                with events.caused_by(event):
                    happen(event.data["n"] + 1)

    events.consumer("rule", rule)
    happen(1)
    for _ in range(3):
        events.drain(tenant.pk)
    ids = {row.data["n"]: row.id for row in DomainEvent.objects.all()}
    assert seen == [(1, 0, None), (2, 1, ids[1]), (3, 2, ids[2])]
    happen(9)
    assert DomainEvent.objects.get(data__n=9).depth == 0


def test_an_event_says_only_what_it_was_declared_to_say(tenant):
    with pytest.raises(LookupError):
        events.emit("thing.unknown", actor=ACTOR)
    with pytest.raises(TypeError, match="note"):
        events.emit("thing.happened", actor=ACTOR, data={"note": "text"})
    who = uuid.uuid4()
    assert events.emit("thing.happened", actor=ACTOR, data={"who": who}).data == {"who": str(who)}
    with pytest.raises(ValueError, match="declared twice"):
        events.declare("thing.happened", "Otherwise")


def test_many_events_cost_no_more_statements_than_a_few(tenant):
    reader = Reader("reader")
    with CaptureQueriesContext(connection) as made:
        events.emit_many(
            "thing.happened", actor=ACTOR, objects=[(uuid.uuid4(), {"n": n}) for n in range(300)]
        )
    assert len(made) <= 5
    assert events.drain(tenant.pk) == 300 and reader.seen == list(range(300))


def test_old_events_go_once_everybody_has_had_them(tenant):
    from web.shared.tenants.ownership import owner_connection

    happen(1, 2)
    with owner_connection(), tenant_context(tenant.pk):
        DomainEvent.objects.filter(data__n=1).update(at=timezone.now() - events.KEPT - timedelta(minutes=1))
    reader = Reader("reader", bad=[1])
    assert event_tasks.forget_old() == 0
    events.drain(tenant.pk)
    assert event_tasks.forget_old() == 0, "it was not taken yet"
    reader.bad.clear()
    events.drain(tenant.pk, patient=False)
    assert event_tasks.forget_old() == 1
    assert [row.data["n"] for row in DomainEvent.objects.all()] == [2]


class TestRolledBack:
    pytestmark = pytest.mark.django_db(transaction=False)

    def test_a_test_that_is_rolled_back_may_drain_its_own_events(self, tenant):
        reader = Reader("reader")
        happen(1)
        assert events.drain(tenant.pk) == 1 and reader.seen == [1]
