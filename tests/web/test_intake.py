"""The intake: whatever the order of commits and restarts, the rows are those of the facts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.contract import facts as f
from telephony.contract.clock import to_datetime
from telephony.contract.ids import AgentId
from telephony.contract.policy import WRAPUP_TIMEOUT
from telephony.sealing import Caller
from tests.web.kit_calls import START, CallScript, Script, whole_call
from web.shared.core import asks, parties
from web.shared.core.actor import system
from web.shared.tenants.context import tenant_context
from web.tenant.calls import intake, outbox, rows, services
from web.tenant.calls.models import (
    Call,
    CallEvent,
    CallQueue,
    IntakePosition,
    OutboxAsk,
    ParkedCall,
    QueueVisit,
    Segment,
)
from web.tenant.contacts import services as contact_services

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Caller]:
    """Parties by id, without the log's tables; the real ones have tests of their own."""
    known: dict[str, Caller] = {}
    monkeypatch.setattr(
        parties, "read_many", lambda tenant, wanted: {each: known[each] for each in wanted if each in known}
    )
    return known


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the asks that left, without Redis."""
    ids: list[str] = []
    monkeypatch.setattr(asks, "send", lambda tenant, ask_id, *_: ids.append(ask_id))
    return ids


@pytest.fixture
def who(tenant: Any, make_user: Callable[..., Any]) -> dict[str, str]:
    queue = CallQueue.objects.create(name="Help")
    return {"queue": str(queue.pk), "agent": str(make_user("agent").pk)}


def test_a_call_becomes_rows(tenant, who, callers):
    contact = contact_services.contact_create(
        actor=ACTOR, values={"first_name": "Amina"}, phones=[{"number": "0712345678"}], region="KE"
    )
    script = Script(tenant.pk)
    call = whole_call(script, **who)
    callers[call.party] = Caller(number="0712345678", name="A. Hassan")
    assert intake.take(tenant.pk, script.entries) == intake.Turn(taken=len(script.entries))
    row = Call.objects.get(pk=call.id)
    assert (row.caller_number, row.caller_name, row.contact) == ("+254712345678", "A. Hassan", contact)
    assert (row.wait, row.talk, row.hold) == (
        timedelta(seconds=7), timedelta(seconds=20), timedelta(seconds=5),
    )  # fmt: skip
    assert row.wrap_up == timedelta(seconds=12.5)
    assert row.started_at == to_datetime(START)
    assert row.ended_at is not None and row.ended_at - row.started_at == timedelta(seconds=32)
    assert (str(row.queue_id), str(row.agent_id), row.outcome) == (who["queue"], who["agent"], "completed")
    assert [event.type for event in row.events.all()][:3] == ["CallArrived", "CallQueued", "OfferMade"]
    assert row.events.count() == len(script.entries)
    assert QueueVisit.objects.get().outcome == "answered"
    assert Segment.objects.count() == 2


def test_a_hostile_name_is_a_text_like_any_other(tenant, who, callers):
    script = Script(tenant.pk)
    call = whole_call(script, **who)
    name = "<img onerror=alert(1)>\x00\u202e'; DROP TABLE x" + "x" * 500
    callers[call.party] = Caller(number="not a number\x00", name=name)
    assert intake.take(tenant.pk, script.entries).parked == 0
    row = Call.objects.get()
    assert (row.caller_number, row.caller_name) == ("not a number", name.replace("\x00", "")[:200])


def everything() -> dict[str, list[Any]]:
    """All that the intake wrote, without times of writing and generated keys."""
    found: dict[str, list[Any]] = {}
    for model in (Call, CallEvent, QueueVisit, Segment, ParkedCall):
        skipped = {"created_at", "updated_at", "revision", "parked_at"}
        if model in (QueueVisit, Segment):
            skipped.add("id")
        manager = getattr(model, "all_objects", model.objects)
        found[model.__name__] = sorted(
            [sorted((k, str(v)) for k, v in row.items() if k not in skipped) for row in manager.values()]
        )
    return found


def busy_hour(tenant: str, who: dict[str, str], others: list[str]) -> Script:
    """Calls of every kind, interleaved."""
    scripts = []
    for n, agent in enumerate(others):
        alone = Script(tenant)
        one = {**who, "agent": agent}
        if n % 3 == 0:
            whole_call(alone, n * 3.25, **one)
        elif n % 3 == 1:
            call = CallScript(alone, **one).arrive(n * 3.25, first=n * 3.25 - 1).offer(n * 3.25 + 1)
            call.offer_ended(n * 3.25 + 4, f.OfferOutcome.WITHDRAWN)
            call.left(n * 3.25 + 4, f.VisitOutcome.ABANDONED).end(n * 3.25 + 4, f.CallOutcome.ABANDONED)
        else:
            call = CallScript(alone, **one).arrive(n * 3.25).offer(n * 3.25).answer(n * 3.25 + 2)
            call.leg_ended(n * 3.25 + 9, f.LegEnd.LOST).queued(n * 3.25 + 29)
        scripts.append(alone.entries)
    merged = sorted((entry for entries in scripts for entry in entries), key=lambda entry: entry.at)
    script = Script(tenant)
    for entry in merged:
        script.say((entry.at - START) / 1_000_000, entry.fact)
    return script


def written(tenant: str, plan: list[tuple[list[Any], bool]]) -> dict[str, list[Any]]:
    """The rows after these batches, some of which crash right before their commit; then nothing is left."""
    with transaction.atomic():
        for batch, crashes in plan:
            if crashes:
                with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
                    patch.setattr(IntakePosition, "save", crash)
                    intake.take(tenant, batch)
            else:
                intake.take(tenant, batch)
        found = everything()
        transaction.set_rollback(True)
    return found


class Crash(Exception):
    """The process died right before its commit."""


def crash(*_: Any, **__: Any) -> None:
    raise Crash


def test_any_order_of_commits_and_restarts_gives_the_same_rows(tenant, who, callers):
    entries = busy_hour(tenant.pk, who, [who["agent"]] * 6).entries
    whole = written(tenant.pk, [(entries, False)])
    assert len(whole["Call"]) == 6 and len(whole["CallEvent"]) == len(entries)

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(data=st.data())
    def whatever_happens(data: st.DataObject) -> None:
        plan, position = [], 0
        while position < len(entries):
            size, overlap = data.draw(st.integers(1, 12)), data.draw(st.integers(0, min(position, 4)))
            crashes = data.draw(st.booleans())
            plan.append((entries[position - overlap : position + size], crashes))
            position += 0 if crashes else size
        assert written(tenant.pk, plan) == whole

    whatever_happens()


def test_a_missing_entry_stops_the_turn_and_writes_nothing(tenant, who, callers):
    script = Script(tenant.pk)
    whole_call(script, **who)
    with pytest.raises(intake.Gap):
        intake.take(tenant.pk, script.entries[1:])
    intake.take(tenant.pk, script.entries[:2])
    with pytest.raises(intake.Gap):
        intake.take(tenant.pk, script.entries[3:])
    assert intake.position() == 2 and CallEvent.objects.count() == 2


@pytest.mark.parametrize("together", [True, False])
def test_a_call_that_cannot_be_applied_is_parked_alone(tenant, who, callers, together):
    script = Script(tenant.pk)
    bad = whole_call(script, 0, queue=str(uuid.uuid4()), agent=who["agent"])
    good = whole_call(script, 100, **who)
    if together:
        assert intake.take(tenant.pk, script.entries).parked == 1
    else:
        for entry in script.entries:
            intake.take(tenant.pk, [entry])
    assert intake.position() == script.seq
    parked = ParkedCall.objects.get()
    assert (str(parked.call_id), parked.error) == (bad.id, "IntegrityError")
    assert Call.objects.get(pk=good.id).talk == timedelta(seconds=20)
    assert Call.objects.filter(pk=bad.id).count() == (0 if together else 1)  # as far as it could be applied
    assert CallEvent.objects.filter(call=uuid.UUID(bad.id)).count() == len(script.entries) // 2
    CallQueue.objects.create(pk=bad.queue, name="It exists now")
    assert intake.retry_parked(tenant.pk) == (1, 0)
    assert Call.objects.get(pk=bad.id).talk == timedelta(seconds=20)
    assert not ParkedCall.objects.exists()


def test_a_call_whose_beginning_is_unknown_is_parked(tenant, who, callers):
    script = Script(tenant.pk)
    CallScript(script, **who).offer(1)
    assert intake.take(tenant.pk, script.entries).parked == 1
    assert ParkedCall.objects.get().error == "ValueError"


def test_a_lost_database_parks_nobody(tenant, who, callers, monkeypatch):
    script = Script(tenant.pk)
    whole_call(script, **who)

    def lost(*_: Any) -> None:
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(rows, "write", lost)
        with pytest.raises(OperationalError):
            intake.take(tenant.pk, script.entries)
    assert not ParkedCall.objects.exists() and intake.position() == 0
    intake.take(tenant.pk, script.entries)
    assert Call.objects.count() == 1


def test_what_an_agent_wrote_wins_whichever_comes_first(tenant, who, callers, sent):
    helped = services.disposition_create(actor=ACTOR, values={"code": "HELPED", "name": "Helped"})
    script = Script(tenant.pk)
    early, late = whole_call(script, 0, **who), whole_call(script, 100, **who)
    late_entries = [one for one in script.entries if one.fact.call == late.id]
    services.wrap_up_finish(early.id, who["agent"], "HELPED", "before the row")
    intake.take(tenant.pk, script.entries[: script.seq - 1])
    services.wrap_up_finish(late.id, who["agent"], "HELPED", "after the row")
    intake.take(tenant.pk, late_entries[-1:])
    for call, note in ((early, "before the row"), (late, "after the row")):
        row = Call.objects.get(pk=call.id)
        assert (row.disposition, row.note) == (helped, note)


def test_a_wrap_up_that_ran_out_of_time_has_the_reserved_disposition(tenant, who, callers):
    script = Script(tenant.pk)
    call = CallScript(script, **who).arrive(0).offer(0).answer(1).leg_ended(5, f.LegEnd.CALLER)
    call.end(5, f.CallOutcome.COMPLETED).wrap_up(5)
    call.wrapped_up(35, WRAPUP_TIMEOUT, f.WrapUpEnd.TIMEOUT)
    intake.take(tenant.pk, script.entries)
    row = Call.objects.get()
    assert row.disposition is not None and row.disposition.code == WRAPUP_TIMEOUT
    assert not row.disposition.is_active


def test_the_outbox_is_closed_by_the_fact_that_the_ask_caused(tenant, who, callers, sent):
    services.disposition_create(actor=ACTOR, values={"code": "HELPED", "name": "Helped"})
    script = Script(tenant.pk)
    call = CallScript(script, **who).arrive(0).offer(0).answer(1).leg_ended(5, f.LegEnd.CALLER)
    call.end(5, f.CallOutcome.COMPLETED).wrap_up(5)
    ask = services.wrap_up_finish(call.id, who["agent"], "HELPED")
    assert OutboxAsk.objects.get(done_at=None).id == ask
    call.wrapped_up(9, "HELPED", ask=ask)
    intake.take(tenant.pk, script.entries)
    assert OutboxAsk.objects.get().outcome == "acted"


def test_an_ask_is_sent_again_under_its_id_and_given_up_in_the_end(tenant, who, sent):
    services.disposition_create(actor=ACTOR, values={"code": "HELPED", "name": "Helped"})
    ask = services.wrap_up_finish(str(uuid.uuid4()), who["agent"], "HELPED")
    for _ in range(outbox.TRIES + 3):
        OutboxAsk.objects.update(next_at=to_datetime(START))
        outbox.sweep(tenant.pk)
    assert set(sent) == {ask} and len(sent) == outbox.TRIES - 1
    assert OutboxAsk.objects.get().outcome == "given_up"


def test_facts_about_agents_only_move_the_position(tenant, callers):
    script = Script(tenant.pk)
    script.say(0, f.OwnerStarted(build="x"))
    script.say(0, f.ShiftEnded(agent=AgentId(str(uuid.uuid4())), reason="agent"))
    assert intake.take(tenant.pk, script.entries).taken == 2
    assert intake.position() == 2 and not CallEvent.objects.exists()


def test_the_other_tenant_has_nothing_of_it(tenant, other_tenant, who, callers):
    script = Script(tenant.pk)
    whole_call(script, **who)
    intake.take(tenant.pk, script.entries)
    with tenant_context(other_tenant.pk):
        assert not Call.all_objects.exists() and not CallEvent.objects.exists()
        assert intake.position() == 0
