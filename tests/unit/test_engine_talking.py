# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""Talking: hold, mute, digits, every way in which a leg ends, and the caller who is kept."""

import pytest

from telephony.contract import asks as a
from telephony.contract import facts as f
from telephony.contract.clock import SECOND
from telephony.contract.facts import Intent, OfferOutcome
from telephony.contract.roster import DeviceKind
from telephony.contract.view import CallState, Effective
from telephony.engine import commands as c
from telephony.engine import events as e
from tests.fakes.floor_story import Story, endpoint


def talking(**rest):
    story = Story()
    call, ann = story.talks(**rest)
    return story, ann, call, story.call(call).agent_leg


def lost(**rest):
    story, ann, call, leg = talking(**rest)
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=False))
    story.tell(e.LegGone(call=call, leg=leg, cause=0))
    return story, ann, call


def back(story, ann):
    return story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=True))


def test_hold_and_resume_by_ask():
    story, ann, call, _ = talking()
    assert story.ask(a.HoldCall(agent=ann, call=call)).ok
    assert (story.names(), story.orders()) == (["CallHeld"], ["HoldCaller", "Answer"])
    assert story.call(call).state is CallState.HELD
    assert story.ask(a.HoldCall(agent=ann, call=call)).code == "wrong_state"
    assert story.ask(a.ResumeCall(agent=ann, call=call)).ok
    assert (story.names(), story.orders()) == (["CallResumed"], ["ResumeCaller", "Answer"])
    assert story.ask(a.ResumeCall(agent=ann, call=call)).code == "wrong_state"


def test_a_held_caller_who_is_seen_again_is_held_again():
    story, ann, call, _ = talking()
    assert story.ask(a.HoldCall(agent=ann, call=call)).ok
    story.enters(channel=story.call(call).channel)
    assert story.last.ignored and not story.last.entries
    assert story.orders() == ["HoldCaller"]


def test_hold_and_resume_by_the_phone():
    story, _, call, leg = talking()
    story.tell(e.PhoneHeld(call=call, leg=leg, held=True))
    assert story.orders() == ["HoldCaller"]
    story.tell(e.PhoneHeld(call=call, leg=leg, held=True))
    assert story.last.ignored
    story.tell(e.PhoneHeld(call=call, leg=leg, held=False))
    assert story.orders() == ["ResumeCaller"]
    story.tell(e.PhoneHeld(call=call, leg=f"{call}.9", held=True))
    assert story.last.ignored
    story.tell(e.PhoneHeld(call="gone", leg="gone.2", held=True))
    assert story.last.ignored


def test_mute_is_one_fact_however_often_it_is_asked():
    story, ann, call, leg = talking()
    assert story.ask(a.MuteCall(agent=ann, call=call, muted=True)).ok
    assert story.order(c.MuteLeg).leg == leg
    assert story.ask(a.MuteCall(agent=ann, call=call, muted=True)).ok
    assert not story.last.entries and story.orders() == ["Answer"]
    story.ask(a.HoldCall(agent=ann, call=call))
    assert story.ask(a.MuteCall(agent=ann, call=call, muted=False)).ok
    assert not story.call(call).muted


def test_digits_leave_no_fact_and_go_out_once():
    story, ann, call, _ = talking()
    assert story.ask(a.SendDigits(agent=ann, call=call, digits="12#"), name="once").ok
    assert not story.last.entries
    assert story.order(c.SendDigits).digits == "12#"
    assert story.ask(a.SendDigits(agent=ann, call=call, digits="12#"), name="once").ok
    assert story.orders() == ["Answer"]
    for bad in ("", "1" * 33, "1w2", "1\n"):
        assert story.ask(a.SendDigits(agent=ann, call=call, digits=bad)).code == "invalid"
    story.ask(a.HoldCall(agent=ann, call=call))
    assert story.ask(a.SendDigits(agent=ann, call=call, digits="1")).code == "wrong_state"


def test_the_agent_hangs_up_at_the_desk():
    story, ann, call, leg = talking()
    assert story.ask(a.HangUpCall(agent=ann, call=call)).ok
    assert story.names() == ["AgentLegEnded", "WrapUpStarted", "CallEnded"]
    assert story.orders() == ["HangUpLeg", "DestroyBridge", "HangUpCaller", "Answer"]
    assert story.facts(f.AgentLegEnded)[0].reason is f.LegEnd.AGENT
    assert story.agent(ann).effective is Effective.WRAP_UP
    story.tell(e.LegGone(call=call, leg=leg, cause=16))
    assert story.last.ignored
    story.tell(e.CallerGone(call=call, cause=16))
    assert story.last.ignored == "the call is over"


def test_the_caller_hangs_up():
    story, _ann, call, _leg = talking()
    story.tell(e.CallerGone(call=call, cause=16))
    assert story.names() == ["AgentLegEnded", "WrapUpStarted", "CallEnded"]
    assert story.orders() == ["HangUpLeg", "DestroyBridge"]
    assert story.facts(f.AgentLegEnded)[0].reason is f.LegEnd.CALLER
    assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.COMPLETED


@pytest.mark.parametrize("held", [False, True])
def test_a_talking_caller_who_leaves_for_the_dialplan_or_is_missing(held):
    for gone, outcome in (({"diverted": True}, "diverted"), ({"missing": True}, "lost")):
        story, ann, call, _ = talking()
        if held:
            story.ask(a.HoldCall(agent=ann, call=call))
        story.tell(e.CallerGone(call=call, **gone))
        assert story.facts(f.CallEnded)[0].outcome == outcome
        assert story.facts(f.AgentLegEnded)[0].reason is f.LegEnd.SYSTEM
        assert story.agent(ann).effective is Effective.WRAP_UP


@pytest.mark.parametrize(
    ("kind", "cause", "wilful"),
    [
        (DeviceKind.BROWSER, 31, True),
        (DeviceKind.BROWSER, 16, False),
        (DeviceKind.BROWSER, 0, False),
        (DeviceKind.SIP, 16, True),
        (DeviceKind.SIP, 31, True),
        (DeviceKind.SIP, 44, False),
    ],
)
@pytest.mark.parametrize("held", [False, True])
def test_only_an_end_on_purpose_ends_the_call(kind, cause, wilful, held):
    story, ann, call, leg = talking(kind=kind)
    if held:
        story.ask(a.HoldCall(agent=ann, call=call))
    story.tell(e.LegGone(call=call, leg=leg, cause=cause))
    if wilful:
        assert story.names() == ["AgentLegEnded", "WrapUpStarted", "CallEnded"]
        assert story.orders() == ["DestroyBridge", "HangUpCaller"]
    else:
        assert story.names() == ["AgentLegEnded", "AgentLost", "OfferMade"]
        assert story.facts(f.AgentLegEnded)[0].reason is f.LegEnd.LOST
        expected = ["RingAgent", "DestroyBridge"] if held else ["RingAgent", "HoldCaller", "DestroyBridge"]
        assert story.orders() == expected


def test_a_lost_agent_is_rung_when_the_phone_is_back():
    story, ann, call = lost()
    assert story.names() == ["AgentLegEnded", "AgentLost"]
    assert story.call(call).state is CallState.KEPT
    story.later(5)
    back(story, ann)
    assert story.names() == ["PhoneSeen", "OfferMade"]
    assert story.facts(f.OfferMade)[0].returning
    story.answers(call)
    assert story.names() == ["OfferEnded", "CallConnected"]
    assert story.call(call).agent == ann
    assert story.agent(ann).keeps is None
    story.tell(e.CallerGone(call=call))
    assert story.agent(ann).effective is Effective.WRAP_UP


def test_a_lost_agent_whose_desk_comes_back_last_is_rung_then():
    story, ann, call = lost()
    story.ask(a.ReportDesktop(agent=ann, online=False))
    back(story, ann)
    assert not story.rung(call)
    story.ask(a.ReportDesktop(agent=ann, online=True))
    assert story.rung(call) == ann


def test_a_lost_agent_may_come_back_on_another_device():
    story, ann, call = lost(devices=2)
    other = endpoint("ann", 1)
    story.tell(e.PhoneChanged(agent=ann, endpoint=other, reachable=True))
    assert not story.rung(call)
    assert story.ask(a.StartShift(agent=ann, endpoint=other)).ok
    assert story.call(call).offer.endpoint == other


def test_a_lost_agent_gets_no_other_caller_meanwhile():
    story, ann, call = lost()
    second = story.enters()
    back(story, ann)
    assert story.rung(call) == ann and not story.rung(second)


def test_a_kept_caller_goes_to_the_head_of_the_line():
    story, ann, call = lost()
    story.later(10)
    later = story.enters()
    key = story.call(call).key
    story.later(10)
    assert story.names() == ["CallQueued"]
    queued = story.facts(f.CallQueued)[0]
    assert (queued.visit, queued.key) == (2, key)
    assert queued.deadline == story.now + 300 * SECOND
    bob = story.ready("bob")
    assert story.rung(call) == bob and not story.rung(later)
    back(story, ann)
    assert story.rung(later) == ann


def test_a_lost_agent_who_says_no_gives_the_caller_back():
    for no in ("missed", "declined", "busy", "desk"):
        story, ann, call = lost()
        back(story, ann)
        offer = story.call(call).offer.offer
        if no == "missed":
            story.tell(e.LegGone(call=call, leg=offer, cause=19))
            assert story.agent(ann).set_aside
        elif no == "declined":
            story.tell(e.LegGone(call=call, leg=offer, cause=21))
        elif no == "busy":
            story.tell(e.LegGone(call=call, leg=offer, cause=17))
        else:
            assert story.ask(a.DeclineOffer(agent=ann, offer=offer)).ok
        assert story.call(call).state is CallState.WAITING
        assert story.agent(ann).keeps is None
        assert not story.rung(call)


def test_a_return_that_rings_too_long_is_a_miss():
    story, ann, call = lost()
    story.later(5)
    back(story, ann)
    story.later(20)
    assert story.names()[:3] == ["OfferEnded", "AgentSetAside", "CallQueued"]
    assert story.call(call).state is CallState.WAITING


@pytest.mark.parametrize("how", ["refused", "phone", "desk"])
def test_a_return_that_cannot_ring_keeps_the_caller_and_makes_no_loop(how):
    story, ann, call = lost()
    back(story, ann)
    offer = story.call(call).offer.offer
    if how == "refused":
        story.tell(e.LegGone(call=call, leg=offer, refused=True))
        expected = OfferOutcome.UNREACHABLE
    elif how == "phone":
        story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=False))
        expected = OfferOutcome.UNREACHABLE
    else:
        story.ask(a.ReportDesktop(agent=ann, online=False))
        expected = OfferOutcome.WITHDRAWN
    assert story.facts(f.OfferEnded)[0].outcome is expected
    assert story.call(call).state is CallState.KEPT
    assert not story.rung(call)
    assert not story.agent(ann).set_aside
    if how == "desk":
        story.ask(a.ReportDesktop(agent=ann, online=True))
    else:
        back(story, ann)
    assert story.rung(call) == ann


def test_a_return_that_is_found_missing_keeps_the_caller():
    story, ann, call = lost()
    back(story, ann)
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, missing=True))
    assert story.facts(f.OfferEnded)[0].outcome is OfferOutcome.WITHDRAWN
    assert story.call(call).state is CallState.KEPT
    assert not story.agent(ann).set_aside


def test_a_return_is_tried_again_only_for_the_phone_of_the_shift():
    story, ann, call = lost(devices=2)
    back(story, ann)
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, refused=True))
    for reachable in (True, True, False):
        story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann", 1), reachable=reachable))
        assert not story.rung(call)
    back(story, ann)
    assert story.facts(f.OfferMade)[0].returning


def test_ready_while_a_caller_is_kept_takes_the_next_status_back():
    story, ann, call, leg = talking()
    story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="lunch"))
    story.tell(e.LegGone(call=call, leg=leg))
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, refused=True))
    assert story.ask(a.SetStatus(agent=ann, intent=Intent.READY)).ok
    assert story.agent(ann).next_intent is None
    story.later(20)
    assert story.names() == ["CallQueued", "OfferMade"]


def test_a_kept_caller_who_hangs_up_leaves_a_wrap_up_behind():
    for returning in (False, True):
        story, ann, call = lost()
        if returning:
            back(story, ann)
        story.tell(e.CallerGone(call=call))
        assert story.names()[-2:] == ["WrapUpStarted", "CallEnded"]
        assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.COMPLETED
        assert ("HangUpLeg" in story.orders()) is returning
        assert story.agent(ann).effective is Effective.WRAP_UP


def test_a_kept_caller_may_be_diverted_or_found_missing():
    for gone in ({"diverted": True}, {"missing": True}):
        for returning in (False, True):
            story, ann, call = lost()
            if returning:
                back(story, ann)
            story.tell(e.CallerGone(call=call, **gone))
            assert story.agent(ann).effective is Effective.WRAP_UP


def test_a_requeued_caller_who_hangs_up_was_served_once():
    story, _ann, call = lost()
    story.later(20)
    story.tell(e.CallerGone(call=call))
    assert story.names() == ["QueueLeft", "CallEnded"]
    assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.COMPLETED


def test_the_end_of_the_shift_gives_the_kept_caller_back_at_once():
    story, ann, call = lost()
    bob = story.ready("bob")
    assert story.ask(a.EndShift(agent=ann)).ok
    assert story.names() == ["ShiftEnded", "CallQueued", "OfferMade"]
    assert story.rung(call) == bob


def test_the_next_status_comes_when_the_kept_caller_is_given_back():
    story, ann, call, leg = talking()
    story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="lunch"))
    story.tell(e.PhoneChanged(agent=ann, endpoint=endpoint("ann"), reachable=False))
    story.tell(e.LegGone(call=call, leg=leg))
    story.later(20)
    assert story.names() == ["CallQueued", "StatusSet"]


def test_a_bridge_that_fails_keeps_the_caller():
    story, _ann, call, _leg = talking()
    story.tell(e.CommandFailed(call=call, part=story.call(call).bridge, what="Bridge", status=500))
    assert story.names() == ["AgentLegEnded", "AgentLost", "OfferMade"]
    assert story.facts(f.AgentLegEnded)[0].reason is f.LegEnd.SYSTEM
    assert story.orders() == ["RingAgent", "HoldCaller", "HangUpLeg", "DestroyBridge"]


def test_a_resume_that_fails_keeps_the_caller():
    story, ann, call, _leg = talking()
    story.ask(a.HoldCall(agent=ann, call=call))
    story.tell(e.CommandFailed(call=call, part=story.call(call).bridge, what="ResumeCaller", status=500))
    assert story.names()[:2] == ["AgentLegEnded", "AgentLost"]


def test_only_the_failure_of_the_bridge_itself_keeps_the_caller():
    story, ann, call = lost()
    back(story, ann)
    story.tell(e.CommandFailed(call=call, part=story.call(call).offer.offer, what="HangUpLeg", status=500))
    assert story.last.ignored and not story.last.entries
    story.answers(call)
    made = story.call(call).bridge
    for part, what in ((made, "DestroyBridge"), (made, "HoldCaller"), (f"{call}.3", "Bridge")):
        story.tell(e.CommandFailed(call=call, part=part, what=what, status=500))
        assert story.last.ignored and not story.last.entries


def test_torn_endings_are_mended_when_offers_open():
    for writing in (False, True):
        story, ann, call, leg = talking()
        mark = story.floor.view.seq
        if writing:
            story.ask(a.HangUpCall(agent=ann, call=call))
        else:
            story.tell(e.LegGone(call=call, leg=leg))
        kept = 2 if writing else 1
        story.log = [entry for entry in story.log if entry.seq <= mark + kept]
        story.refold()
        story.restart()
        if writing:
            assert story.names() == ["CallEnded"]
            assert story.orders() == ["HangUpCaller"]
        else:
            assert story.names() == ["AgentLost", "OfferMade"]
            assert story.orders() == ["RingAgent"]


def test_a_wrap_up_that_ends_before_a_torn_ending_is_mended_takes_no_live_call_along():
    story, ann, call, _ = talking()
    mark = story.floor.view.seq
    story.ask(a.HangUpCall(agent=ann, call=call))
    story.log = [entry for entry in story.log if entry.seq <= mark + 2]
    story.refold()
    story.restart(opened=False)
    story.later(31)
    assert story.names() == ["WrapUpEnded"]
    story.tell(e.OffersOpened())
    assert story.names()[0] == "AgentLost"
    assert story.call(call).state is CallState.KEPT


def test_opening_again_mends_nothing_that_is_whole():
    story, ann, call, _leg = talking()
    story.ask(a.HoldCall(agent=ann, call=call))
    story.restart()
    assert not story.last.entries
    assert story.call(call).state is CallState.HELD


def test_asks_about_calls_of_others_or_of_nobody():
    story, ann, call, _ = talking()
    bob = story.ready("bob")
    assert story.ask(a.HoldCall(agent=bob, call=call)).code == "not_yours"
    assert story.ask(a.HangUpCall(agent=ann, call="gone")).code == "unknown_call"
    assert story.ask(a.HangUpCall(agent="nobody", call=call)).code == "unknown_agent"
    assert story.call(call).state is CallState.TALKING
