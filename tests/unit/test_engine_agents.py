# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""Agents: shifts, intent, wrap-up, devices and roster; and asks that act once."""

import pytest

from telephony.contract import asks as a
from telephony.contract import facts as f
from telephony.contract.asks import Envelope
from telephony.contract.clock import SECOND
from telephony.contract.facts import Intent
from telephony.contract.policy import WRAPUP_TIMEOUT
from telephony.contract.view import Effective
from telephony.engine import events as e
from telephony.engine.asking import REMEMBERED
from telephony.engine.commands import Answer
from tests.fakes.floor_story import TENANT, Story, endpoint, make_row


def writing(**queue):
    story = Story(help=queue)
    call, ann = story.talks()
    story.tell(e.CallerGone(call=call))
    return story, ann, call


# --- shift and status -----------------------------------------------------------------------------------


def test_ready_is_refused_with_everything_that_is_missing():
    story = Story()
    row = make_row("ann", {"help": 0})
    story.tell(e.RosterPublished(row=row))
    ann = row.agent
    assert story.ask(a.SetStatus(agent=ann, intent=Intent.READY)).code == "wrong_state"
    story.ask(a.StartShift(agent=ann, endpoint=endpoint("ann")))
    answer = story.ask(a.SetStatus(agent=ann, intent=Intent.READY))
    assert (answer.ok, answer.code, answer.detail) == (False, "not_ready", "phone,desktop")
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=True))
    assert story.ask(a.SetStatus(agent=ann, intent=Intent.READY)).detail == "desktop"
    story.ask(a.ReportDesktop(agent=ann, online=True))
    assert story.ask(a.SetStatus(agent=ann, intent=Intent.READY)).ok
    assert story.agent(ann).effective is Effective.READY


def test_a_device_without_a_desk_needs_none():
    story = Story()
    row = make_row("gateway", {"help": 0}, desk=False)
    story.tell(e.RosterPublished(row=row))
    story.tell(e.PhoneChanged(agent=row.agent, endpoint=endpoint("gateway"), reachable=True))
    story.ask(a.StartShift(agent=row.agent, endpoint=endpoint("gateway")))
    assert story.ask(a.SetStatus(agent=row.agent, intent=Intent.READY)).ok


def test_a_shift_needs_a_device_of_ones_own():
    story = Story()
    row = make_row("ann", {"help": 0})
    story.tell(e.RosterPublished(row=row))
    answer = story.ask(a.StartShift(agent=row.agent, endpoint="dffffffffffff"))
    assert answer.code == "invalid"
    story.tell(e.RosterPublished(row=make_row("ann", {}, version=2, active=False)))
    answer = story.ask(a.StartShift(agent=row.agent, endpoint=endpoint("ann")))
    assert answer.code == "invalid"


def test_starting_the_running_shift_again_changes_nothing():
    story = Story()
    ann = story.ready("ann")
    assert story.ask(a.StartShift(agent=ann, endpoint=endpoint("ann"))).ok
    assert not story.last.entries


def test_the_device_cannot_change_during_a_call_or_an_offer():
    story = Story()
    ann = story.ready("ann", devices=2)
    other = endpoint("ann", 1)
    call = story.enters()
    assert story.ask(a.StartShift(agent=ann, endpoint=other)).code == "wrong_state"
    story.answers(call)
    assert story.ask(a.StartShift(agent=ann, endpoint=other)).code == "wrong_state"
    story.tell(e.CallerGone(call=call))
    assert story.ask(a.StartShift(agent=ann, endpoint=other)).ok
    assert story.agent(ann).endpoint == other


def test_a_shift_ends_when_idle_and_not_while_busy():
    story = Story()
    ann = story.ready("ann")
    call = story.enters()
    assert story.ask(a.EndShift(agent=ann)).code == "wrong_state"
    story.answers(call)
    assert story.ask(a.EndShift(agent=ann)).code == "wrong_state"
    story.tell(e.CallerGone(call=call))
    assert story.ask(a.EndShift(agent=ann)).ok
    assert story.names() == ["WrapUpEnded", "ShiftEnded"]
    assert story.facts(f.WrapUpEnded)[0].how is f.WrapUpEnd.SHIFT_ENDED
    assert story.agent(ann).effective is Effective.OFFLINE
    assert call not in story.floor.view.calls
    assert story.ask(a.EndShift(agent=ann)).code == "wrong_state"


def test_the_end_of_a_shift_says_whose_wish_it_was():
    for actor, reason in (("agent-ann", "agent"), ("boss", "supervisor")):
        story = Story()
        ann = story.ready("ann")
        body = a.EndShift(agent=ann)
        envelope = Envelope(id="x", tenant=TENANT, actor=actor, at=story.now, expires=story.now, body=body)
        story.tell(e.Asked(envelope=envelope))
        assert story.facts(f.ShiftEnded)[0].reason == reason


def test_the_same_status_again_is_no_fact():
    story = Story()
    ann = story.ready("ann")
    assert story.ask(a.SetStatus(agent=ann, intent=Intent.READY)).ok
    assert not story.last.entries
    assert story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="lunch")).ok
    assert story.names() == ["StatusSet"]
    assert story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="training")).ok
    assert story.agent(ann).reason == "training"
    for text in ("tea break", "x" * 65, "pausa_café"):
        answer = story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason=text))
        assert answer.code == "invalid"


def test_the_next_status_can_be_replaced_until_the_work_is_done():
    story = Story()
    call, ann = story.talks()
    story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="lunch"))
    story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="lunch"))
    assert not story.last.entries
    story.tell(e.CallerGone(call=call))
    story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="training"))
    assert story.agent(ann).wrap_up is not None
    story.ask(a.FinishWrapUp(agent=ann, call=call, disposition="OK"))
    assert story.names() == ["WrapUpEnded", "StatusSet"]
    assert story.agent(ann).reason == "training"


def test_a_not_ready_agent_is_not_offered_anything():
    story = Story()
    ann = story.ready("ann")
    story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY))
    call = story.enters()
    assert not story.rung(call)


# --- wrap-up --------------------------------------------------------------------------------------------


def test_a_wrap_up_ends_with_its_disposition_and_the_next_caller_is_offered():
    story, ann, call = writing()
    waiting = story.enters()
    assert not story.rung(waiting)
    assert story.ask(a.FinishWrapUp(agent=ann, call=call, disposition="RESOLVED")).ok
    assert story.names() == ["WrapUpEnded", "OfferMade"]
    assert story.facts(f.WrapUpEnded)[0].disposition == "RESOLVED"
    assert call not in story.floor.view.calls


def test_a_wrap_up_ends_at_its_deadline_with_the_reserved_code():
    story, ann, call = writing(wrap_up_seconds=30)
    assert call in story.floor.view.calls
    story.later(30)
    ended = story.facts(f.WrapUpEnded)[0]
    assert (ended.how, ended.disposition) == (f.WrapUpEnd.TIMEOUT, WRAPUP_TIMEOUT)
    assert story.agent(ann).effective is Effective.READY


def test_a_wrap_up_ends_also_while_blind():
    story, _ann, _ = writing()
    story.tell(e.OffersPaused())
    assert story.floor.next_deadline() is not None
    story.later(30)
    assert story.names() == ["WrapUpEnded"]


def test_a_wrap_up_is_extended_as_often_as_the_queue_allows():
    story, ann, call = writing(wrap_up_seconds=30, wrap_up_extend_seconds=15, wrap_up_extensions=2)
    first = story.agent(ann).wrap_up.deadline
    assert story.ask(a.ExtendWrapUp(agent=ann, call=call)).ok
    assert story.ask(a.ExtendWrapUp(agent=ann, call=call)).ok
    assert story.agent(ann).wrap_up.deadline == first + 30 * SECOND
    assert story.ask(a.ExtendWrapUp(agent=ann, call=call)).code == "wrong_state"
    story.later(59)
    assert not story.last.entries
    story.later(1)
    assert story.names() == ["WrapUpEnded"]


@pytest.mark.parametrize("code", ["", "free text", "x" * 65, WRAPUP_TIMEOUT, "a\n"])
def test_a_disposition_is_a_code(code):
    story, ann, call = writing()
    assert story.ask(a.FinishWrapUp(agent=ann, call=call, disposition=code)).code == "invalid"


def test_only_the_call_that_is_written_up_can_be_finished():
    story, ann, call = writing()
    assert story.ask(a.FinishWrapUp(agent=ann, call="other", disposition="OK")).code == "not_yours"
    story.ask(a.FinishWrapUp(agent=ann, call=call, disposition="OK"))
    assert story.ask(a.FinishWrapUp(agent=ann, call=call, disposition="OK")).code == "wrong_state"
    assert story.ask(a.ExtendWrapUp(agent=ann, call=call)).code == "wrong_state"


def test_a_queue_without_wrap_up_frees_the_agent_at_once():
    story, ann, call = writing(wrap_up_seconds=0)
    assert story.names() == ["AgentLegEnded", "CallEnded"]
    assert story.agent(ann).effective is Effective.READY
    assert call not in story.floor.view.calls


# --- devices and roster ---------------------------------------------------------------------------------


def test_reports_that_change_nothing_are_no_facts():
    story = Story()
    ann = story.ready("ann")
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=True))
    assert story.last.ignored and not story.last.entries
    assert story.ask(a.ReportDesktop(agent=ann, online=True)).ok
    assert not story.last.entries
    story.ask(a.ReportDesktop(agent=ann, online=False))
    assert story.ask(a.ReportDesktop(agent=ann, online=False)).ok
    assert not story.last.entries


def test_an_agent_who_is_unreachable_becomes_ready_by_being_reachable():
    story = Story()
    ann = story.ready("ann")
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=False))
    call = story.enters()
    assert not story.rung(call)
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=True))
    assert story.rung(call) == ann


def test_an_old_row_of_the_roster_changes_nothing():
    story = Story()
    story.ready("ann", version=3)
    story.tell(e.RosterPublished(row=make_row("ann", {}, version=3)))
    assert story.last.ignored
    story.tell(e.RosterPublished(row=make_row("ann", {}, version=2)))
    assert story.last.ignored


def test_a_new_membership_is_served_at_once_and_a_lost_one_no_more():
    story = Story(help={}, other={})
    ann = story.ready("ann", {"help": 0})
    call = story.enters("other")
    story.tell(e.RosterPublished(row=make_row("ann", {"other": 0}, version=2)))
    assert story.rung(call) == ann
    story.tell(e.CallerGone(call=call))
    assert not story.rung(story.enters("help"))


def test_who_leaves_the_roster_ends_the_shift_when_the_work_is_done():
    story = Story()
    call, ann = story.talks()
    story.tell(e.RosterPublished(row=make_row("ann", {"help": 0}, version=2, active=False)))
    assert story.names() == ["RosterAdopted"]
    story.tell(e.CallerGone(call=call))
    assert story.agent(ann).effective is Effective.WRAP_UP
    story.ask(a.FinishWrapUp(agent=ann, call=call, disposition="OK"))
    assert story.names() == ["WrapUpEnded", "ShiftEnded"]
    assert story.facts(f.ShiftEnded)[0].reason == "roster"


def test_who_leaves_the_roster_idle_or_loses_the_device_is_off_shift_at_once():
    story = Story()
    ann, bob = story.ready("ann"), story.ready("bob")
    story.tell(e.RosterPublished(row=make_row("ann", {}, version=2, active=False)))
    assert story.names() == ["RosterAdopted", "ShiftEnded"]
    story.tell(e.RosterPublished(row=make_row("bob", {"help": 0}, version=2, devices=0)))
    assert story.names() == ["RosterAdopted", "ShiftEnded"]
    assert story.agent(ann).effective is story.agent(bob).effective is Effective.OFFLINE


def test_who_leaves_the_roster_while_rung_may_still_answer():
    story = Story()
    ann = story.ready("ann")
    call = story.enters()
    story.tell(e.RosterPublished(row=make_row("ann", {}, version=2, active=False)))
    assert story.rung(call) == ann
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=False))
    assert story.names() == ["PhoneSeen", "OfferEnded", "ShiftEnded"]


def test_a_kept_caller_does_not_wait_for_who_left_the_roster():
    story = Story()
    call, _ann = story.talks()
    story.tell(e.RosterPublished(row=make_row("ann", {}, version=2, active=False)))
    story.tell(e.LegGone(call=call, leg=story.call(call).agent_leg))
    assert not story.rung(call)
    story.later(20)
    assert story.names() == ["CallQueued", "ShiftEnded"]


# --- asks -----------------------------------------------------------------------------------------------


def test_an_ask_acts_once_also_after_a_restart():
    story = Story()
    ann = story.ready("ann")
    body = a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="lunch")
    assert story.ask(body, name="one").ok
    story.ask(a.SetStatus(agent=ann, intent=Intent.READY))
    assert story.ask(body, name="one").ok
    assert not story.last.entries
    story.restart()
    assert story.ask(body, name="one").ok
    assert not story.last.entries
    assert story.agent(ann).intent is Intent.READY


def test_a_refused_ask_stays_refused():
    story = Story()
    ann = story.ready("ann")
    call = story.enters()
    assert story.ask(a.EndShift(agent=ann), name="no").code == "wrong_state"
    story.tell(e.CallerGone(call=call))
    assert story.ask(a.EndShift(agent=ann), name="no").code == "wrong_state"
    assert story.agent(ann).endpoint


def test_a_late_ask_is_refused_and_an_expired_repetition_is_not():
    story = Story()
    ann = story.ready("ann")
    answer = story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY), expires=-1)
    assert (answer.ok, answer.code) == (False, "expired")
    assert story.agent(ann).effective is Effective.READY
    body = a.SetStatus(agent=ann, intent=Intent.NOT_READY)
    assert story.ask(body, name="x").ok
    assert story.ask(body, name="x", expires=-1).ok


def test_facts_that_follow_from_an_ask_carry_its_id_and_no_others():
    story = Story()
    story.enters()
    story.ready("ann")
    by_kind = {type(entry.fact).__name__: entry.ask for entry in story.last.entries}
    assert by_kind["StatusSet"] == f"ask-{story.asked}"
    assert by_kind["OfferMade"] is None


def test_an_unknown_kind_of_ask_is_invalid():
    story = Story()
    ann = story.ready("ann")

    class Odd:
        agent = ann

    envelope = Envelope(id="x", tenant=TENANT, actor=ann, at=story.now, expires=story.now, body=Odd())
    story.tell(e.Asked(envelope=envelope))
    assert story.order(Answer).code == "invalid"


def test_answers_are_forgotten_in_the_end():
    story = Story()
    ann = story.ready("ann")
    for n in range(REMEMBERED + 10):
        envelope = Envelope(
            id=f"many-{n}",
            tenant=TENANT,
            actor=ann,
            at=story.now,
            expires=story.now,
            body=a.SetStatus(agent=ann, intent=Intent.READY),
        )
        story.floor.step(e.Asked(envelope=envelope), story.now)
    assert len(story.floor._asking._answers) == REMEMBERED
