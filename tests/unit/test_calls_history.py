"""A call's history is computed from its facts alone."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from telephony.contract import facts as f
from telephony.contract.clock import SECOND
from telephony.contract.frames import Unknown
from telephony.contract.view import CallState
from tests.web.kit_calls import START, CallScript, Script, whole_call
from web.tenant.calls.history import fold

TENANT = "t_abcdefghijkl"
WHO: dict[str, Any] = {"queue": str(uuid.uuid4()), "agent": str(uuid.uuid4())}


def test_every_instant_of_a_call_is_wait_talk_or_hold():
    script = Script(TENANT)
    whole_call(script, **WHO)
    history = fold(script.entries)
    assert (history.wait, history.talk, history.hold) == (7 * SECOND, 20 * SECOND, 5 * SECOND)
    assert history.ended is not None
    assert history.wait + history.talk + history.hold == history.ended - history.started
    assert history.wrap_up == 12_500_000
    assert (history.status, history.outcome) == (CallState.ENDED, "completed")
    assert (history.agent, history.queue, history.disposition) == (WHO["agent"], WHO["queue"], "HELPED")


def test_the_agents_leg_has_its_own_figures():
    script = Script(TENANT)
    whole_call(script, **WHO)
    history = fold(script.entries)
    caller, agent = history.segments.values()
    assert (agent.ring, agent.talk, agent.hold, agent.wrap_up) == (
        6 * SECOND, 20 * SECOND, 5 * SECOND, 12_500_000,
    )  # fmt: skip
    assert (agent.outcome, agent.end_reason) == ("accepted", "caller")
    assert (caller.kind, caller.talk, caller.hold) == ("caller", 20 * SECOND, 5 * SECOND)
    [visit] = history.visits.values()
    assert (visit.outcome, visit.agent, visit.offers) == ("answered", WHO["agent"], 1)


def test_a_caller_from_the_retry_loop_has_waited_since_the_dialplan_saw_them():
    script = Script(TENANT)
    CallScript(script, **WHO).arrive(10, first=2).offer(10).answer(12)
    history = fold(script.entries)
    assert history.started == START + 2 * SECOND
    assert history.wait == 10 * SECOND
    assert history.visits[1].entered == START + 2 * SECOND


def test_nobody_arrives_after_they_were_noticed():
    script = Script(TENANT)
    CallScript(script, **WHO).arrive(10, first=10.5)
    assert fold(script.entries).started == START + 10 * SECOND


def test_a_missed_offer_is_a_segment_and_not_the_calls_agent():
    script = Script(TENANT)
    other = str(uuid.uuid4())
    call = CallScript(script, **WHO).arrive(0).offer(0).offer_ended(20, f.OfferOutcome.MISSED)
    call.offer(20, agent=other).answer(25)
    history = fold(script.entries)
    missed, answered = [row for row in history.segments.values() if row.kind == "agent"]
    assert (missed.outcome, missed.ring, missed.connected) == ("missed", 20 * SECOND, None)
    assert (answered.agent, history.agent) == (other, other)
    assert history.visits[1].offers == 2


def test_an_abandoned_call_waits_to_its_end():
    script = Script(TENANT)
    call = CallScript(script, **WHO).arrive(0).offer(0)
    call.offer_ended(9, f.OfferOutcome.WITHDRAWN).left(9, f.VisitOutcome.ABANDONED)
    call.end(9, f.CallOutcome.ABANDONED)
    history = fold(script.entries)
    assert (history.wait, history.talk, history.agent, history.answered) == (9 * SECOND, 0, None, None)
    assert history.outcome == "abandoned"


def test_a_lost_agent_means_a_second_visit_and_time_in_between_is_wait():
    script = Script(TENANT)
    call = CallScript(script, **WHO).arrive(0).offer(0).answer(5).leg_ended(15, f.LegEnd.LOST)
    script.say(15, f.AgentLost(call=call.id, agent=call.agent, until=START + 35 * SECOND))
    assert fold(script.entries).status is CallState.KEPT
    call.queued(35).offer(35, agent=str(uuid.uuid4())).answer(40).leg_ended(50, f.LegEnd.AGENT)
    call.end(50, f.CallOutcome.COMPLETED)
    history = fold(script.entries)
    assert (history.wait, history.talk) == (30 * SECOND, 20 * SECOND)
    assert sorted(history.visits) == [1, 2]
    assert history.visits[2].entered == START + 35 * SECOND


def test_a_call_that_was_lost_closes_what_was_open():
    script = Script(TENANT)
    call = CallScript(script, **WHO).arrive(0).offer(0)
    call.end(60, f.CallOutcome.LOST)
    history = fold(script.entries)
    assert history.visits[1].outcome == "system"
    assert all(row.ended == START + 60 * SECOND for row in history.segments.values())


def test_a_fact_of_a_newer_release_changes_no_row():
    script = Script(TENANT)
    call = CallScript(script, **WHO).arrive(0)
    before = fold(script.entries)
    script.say(3, Unknown(type="CallWhispered"))
    call.offer(3)
    after = fold(script.entries)
    assert (before.status, len(after.segments)) == (CallState.WAITING, 2)


def test_a_history_needs_its_beginning():
    script = Script(TENANT)
    CallScript(script, **WHO).offer(1)
    with pytest.raises(ValueError, match="CallArrived"):
        fold(script.entries)
    with pytest.raises(ValueError, match="without facts"):
        fold([])
