# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""Offers: one agent is rung for one caller, and every ending of that has its own consequence."""

import pytest

from telephony.contract import asks as a
from telephony.contract import facts as f
from telephony.contract.clock import SECOND
from telephony.contract.facts import Intent, OfferOutcome
from telephony.contract.roster import DeviceKind
from telephony.contract.view import CallState, Effective
from telephony.engine import events as e
from tests.fakes.floor_story import Story, endpoint


def ringing(**rest):
    story = Story()
    ann = story.ready("ann", **rest)
    call = story.enters()
    return story, ann, call, story.call(call).offer.offer


def outcome(story):
    return story.facts(f.OfferEnded)[0].outcome


def test_an_answer_connects_both():
    story, ann, call, leg = ringing()
    story.tell(e.LegAnswered(call=call, leg=leg))
    assert story.names() == ["OfferEnded", "QueueLeft", "CallConnected"]
    assert story.orders() == ["Bridge"]
    assert story.facts(f.QueueLeft)[0].outcome is f.VisitOutcome.ANSWERED
    assert story.agent(ann).effective is Effective.ON_CALL
    assert story.call(call).bridge == f"{call}.3"


def test_the_same_answer_twice_changes_nothing():
    story, _, call, leg = ringing()
    story.tell(e.LegAnswered(call=call, leg=leg))
    story.tell(e.LegAnswered(call=call, leg=leg))
    assert story.last.ignored and not story.last.commands


def test_nobody_answers_and_the_next_agent_is_rung_in_the_same_step():
    story, ann, call, _leg = ringing()
    bob = story.ready("bob")
    key = story.call(call).key
    told = story.later(20)
    assert story.names(told) == ["OfferEnded", "AgentSetAside", "OfferMade"]
    assert story.orders(told) == ["RingAgent", "HangUpLeg"]
    assert outcome(story) is OfferOutcome.MISSED
    assert story.rung(call) == bob
    assert story.call(call).key == key
    assert story.agent(ann).effective is Effective.NOT_RESPONDING
    assert story.call(call).offer.attempt == 2


def test_an_overdue_ring_ends_before_the_answer_that_came_after_it():
    story, _, call, leg = ringing()
    story.now += 20 * SECOND
    story.tell(e.LegAnswered(call=call, leg=leg))
    assert outcome(story) is OfferOutcome.MISSED
    assert story.orders() == ["HangUpLeg", "HangUpLeg"]
    assert story.call(call).state is CallState.WAITING


@pytest.mark.parametrize(
    ("cause", "refused", "expected", "aside"),
    [
        (17, False, OfferOutcome.BUSY, False),
        (21, False, OfferOutcome.DECLINED, False),
        (19, False, OfferOutcome.MISSED, True),
        (16, False, OfferOutcome.MISSED, True),
        (20, False, OfferOutcome.UNREACHABLE, True),
        (18, False, OfferOutcome.UNREACHABLE, True),
        (3, False, OfferOutcome.UNREACHABLE, True),
        (0, False, OfferOutcome.UNREACHABLE, True),
        (17, True, OfferOutcome.UNREACHABLE, True),
    ],
)
def test_a_ringing_leg_ends(cause, refused, expected, aside):
    story, ann, call, leg = ringing()
    story.tell(e.LegGone(call=call, leg=leg, cause=cause, refused=refused))
    assert outcome(story) is expected
    assert story.agent(ann).set_aside is aside
    assert "HangUpLeg" not in story.orders()
    assert story.call(call).state is CallState.WAITING
    assert story.rung(call) is None


def test_a_ring_that_is_found_missing_is_nobodys_miss_and_is_made_anew():
    story, ann, call, leg = ringing()
    story.tell(e.LegGone(call=call, leg=leg, missing=True))
    assert outcome(story) is OfferOutcome.WITHDRAWN
    assert not story.agent(ann).set_aside
    assert story.rung(call) == ann and story.call(call).offer.offer != leg


def test_a_busy_phone_is_left_alone_for_every_caller():
    story, ann, call, leg = ringing()
    story.enters()
    story.tell(e.LegGone(call=call, leg=leg, cause=17))
    assert story.names() == ["OfferEnded"]
    story.later(9)
    assert not story.last.entries
    story.later(1)
    assert story.names() == ["OfferMade"]
    assert story.facts(f.OfferMade)[0].agent == ann


def test_a_declined_caller_is_offered_to_others_first_and_after_a_pause_again():
    story, ann, call, leg = ringing()
    assert story.ask(a.DeclineOffer(agent=ann, offer=leg, reason="busy")).ok
    assert story.orders() == ["HangUpLeg", "Answer"]
    assert outcome(story) is OfferOutcome.DECLINED
    second = story.enters()
    assert story.rung(second) == ann
    story.tell(e.CallerGone(call=second))
    assert not story.rung(call)
    story.later(10)
    assert story.rung(call) == ann


def test_who_declined_is_not_asked_while_somebody_else_is_there():
    story, ann, call, leg = ringing()
    story.ask(a.DeclineOffer(agent=ann, offer=leg))
    story.later(11)
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, cause=21))
    story.later(5)
    bob = story.ready("bob")
    assert story.rung(call) == bob
    assert dict(story.facts(f.OfferMade)[0].excluded) == {"refused": 1}


def test_somebody_elses_offer_cannot_be_declined():
    story, _, call, leg = ringing()
    bob = story.ready("bob")
    answer = story.ask(a.DeclineOffer(agent=bob, offer=leg))
    assert (answer.ok, answer.code) == (False, "not_yours")
    assert story.rung(call)


def test_a_caller_who_hangs_up_stops_the_ringing_and_nobody_missed_anything():
    story, ann, call, _leg = ringing()
    since = story.agent(ann).idle_since
    story.later(5)
    story.tell(e.CallerGone(call=call, cause=16))
    assert story.names() == ["OfferEnded", "QueueLeft", "CallEnded"]
    assert story.orders() == ["HangUpLeg"]
    assert outcome(story) is OfferOutcome.WITHDRAWN
    assert story.agent(ann).effective is Effective.READY
    assert story.agent(ann).idle_since == since


def test_an_answer_after_the_hang_up_is_hung_up_again():
    story, ann, call, leg = ringing()
    story.tell(e.CallerGone(call=call))
    story.tell(e.LegAnswered(call=call, leg=leg))
    assert story.orders() == ["HangUpLeg"]
    assert story.last.ignored
    assert story.agent(ann).effective is Effective.READY
    story.tell(e.LegGone(call=call, leg=leg, cause=16))
    assert story.last.ignored and not story.last.commands


def test_a_hang_up_after_the_answer_completes_the_call():
    story, _ann, call, leg = ringing()
    story.tell(e.LegAnswered(call=call, leg=leg))
    story.tell(e.CallerGone(call=call))
    assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.COMPLETED


def test_an_answer_of_an_older_offer_is_hung_up_while_the_next_agent_rings():
    story, _, call, leg = ringing()
    bob = story.ready("bob")
    story.later(20)
    story.tell(e.LegAnswered(call=call, leg=leg))
    assert story.orders() == ["HangUpLeg"]
    assert story.rung(call) == bob


def test_the_end_of_an_older_leg_takes_nothing_from_the_next_agent():
    story, _, call, leg = ringing()
    bob = story.ready("bob")
    story.later(20)
    story.tell(e.LegGone(call=call, leg=leg, cause=16))
    assert story.last.ignored and not story.last.entries
    assert story.rung(call) == bob
    story.answers(call)
    story.tell(e.LegGone(call=call, leg=leg, cause=16))
    assert story.last.ignored and not story.last.entries
    assert story.call(call).state is CallState.TALKING


def test_a_closed_desk_withdraws_the_offer_from_a_browser():
    story, ann, call, _ = ringing()
    bob = story.ready("bob")
    story.ask(a.ReportDesktop(agent=ann, online=False))
    assert story.names() == ["DesktopSeen", "OfferEnded", "OfferMade"]
    assert outcome(story) is OfferOutcome.WITHDRAWN
    assert story.rung(call) == bob
    assert story.agent(ann).effective is Effective.UNREACHABLE


@pytest.mark.parametrize("rest", [{"kind": DeviceKind.SIP}, {"desk": False}])
def test_a_closed_desk_leaves_a_phone_that_does_not_need_it_ringing(rest):
    story, ann, call, _ = ringing(**rest)
    story.ask(a.ReportDesktop(agent=ann, online=False))
    assert story.names() == ["DesktopSeen"]
    assert story.rung(call) == ann


def test_a_phone_that_goes_away_while_ringing_needs_no_click_later():
    story, ann, call, _ = ringing()
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=False))
    assert story.names() == ["PhoneSeen", "OfferEnded"]
    assert outcome(story) is OfferOutcome.UNREACHABLE
    assert story.orders() == ["HangUpLeg"]
    assert story.agent(ann).effective is Effective.UNREACHABLE
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=True))
    assert story.rung(call) == ann


def test_another_phone_of_the_agent_that_goes_away_takes_no_offer():
    story, ann, call, _ = ringing(devices=2)
    other = endpoint("ann", 1)
    story.tell(e.PhoneChanged(agent=ann, endpoint=other, reachable=True))
    story.tell(e.PhoneChanged(agent=ann, endpoint=other, reachable=False))
    assert story.names() == ["PhoneSeen"]
    assert story.rung(call) == ann


def test_a_phone_that_is_not_the_agents_is_ignored():
    story, ann, _, _ = ringing()
    for reachable in (True, False):
        story.tell(e.PhoneChanged(agent=ann, endpoint="dffffffffffff", reachable=reachable))
        assert story.last.ignored and not story.last.entries
    story.tell(e.PhoneChanged(agent="nobody", endpoint="dffffffffffff", reachable=False))
    assert story.last.ignored == "nobody on the roster"


def test_a_ring_that_cannot_be_ordered_is_an_unreachable_phone():
    story, ann, call, leg = ringing()
    story.tell(e.CommandFailed(call=call, part=leg, what="RingAgent", status=500))
    assert outcome(story) is OfferOutcome.UNREACHABLE
    assert story.agent(ann).set_aside


def test_a_ring_without_an_answer_from_the_switch_is_nobodys_fault_and_is_tried_again():
    story, ann, call, leg = ringing()
    told = story.tell(e.CommandFailed(call=call, part=leg, what="RingAgent", status=0))
    assert outcome(story) is OfferOutcome.WITHDRAWN
    assert not story.agent(ann).set_aside
    assert story.orders(told) == ["RingAgent", "HangUpLeg"]


def test_any_other_failure_changes_nothing():
    story, _, call, _leg = ringing()
    story.tell(e.CommandFailed(call=call, part=call, what="StartMusic", status=404))
    assert story.last.ignored
    story.tell(e.CommandFailed(call=call, part=f"{call}.9", what="RingAgent", status=404))
    assert story.last.ignored
    story.tell(e.CommandFailed(call="gone", part="gone.2", what="RingAgent", status=404))
    assert story.last.ignored


def test_the_next_status_comes_after_a_missed_offer():
    story, ann, _, _ = ringing()
    story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="lunch"))
    assert story.facts(f.StatusSet)[0].waits
    story.later(20)
    assert story.names() == ["OfferEnded", "AgentSetAside", "StatusSet"]
    assert story.agent(ann).effective is Effective.NOT_READY
    assert story.agent(ann).reason == "lunch"


def test_one_click_brings_back_who_did_not_respond():
    story, ann, call, _ = ringing()
    story.later(20)
    story.ask(a.SetStatus(agent=ann, intent=Intent.READY))
    assert story.names() == ["AgentReturned", "OfferMade"]
    assert story.rung(call) == ann


def test_who_did_not_respond_may_also_take_a_break():
    story, ann, _, _ = ringing()
    story.later(20)
    story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="lunch"))
    assert story.names() == ["StatusSet"]
    assert story.agent(ann).effective is Effective.NOT_READY


def test_no_offers_while_blind_and_no_judgement_either():
    story, ann, call, _leg = ringing()
    waiting = story.enters()
    story.tell(e.OffersPaused())
    assert story.floor.next_deadline() is None
    story.ready("bob")
    assert not story.rung(waiting)
    story.later(40)
    assert story.rung(call) == ann
    story.tell(e.OffersPaused())
    assert story.last.ignored
    story.tell(e.OffersOpened())
    assert story.names() == ["OfferEnded", "AgentSetAside", "OfferMade"]
    assert story.rung(call)
    story.tell(e.OffersOpened())
    assert story.last.ignored


def test_an_answer_given_while_blind_counts():
    story, ann, call, leg = ringing()
    story.tell(e.OffersPaused())
    story.later(40)
    story.tell(e.LegAnswered(call=call, leg=leg))
    assert story.call(call).agent == ann


def test_a_restarted_floor_holds_the_offer_and_judges_it_only_when_it_sees():
    story, ann, call, leg = ringing()
    story.later(5)
    story.restart(opened=False)
    assert story.names() == ["OwnerStarted"]
    story.later(30)
    assert story.rung(call) == ann
    story.tell(e.LegAnswered(call=call, leg=leg))
    story.tell(e.OffersOpened())
    assert story.call(call).state is CallState.TALKING
    assert story.last.entries == []
