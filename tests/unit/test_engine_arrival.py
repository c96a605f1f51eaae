# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""Arriving and waiting: every caller gets a place, a phone that rings, or an ending with a name."""

from telephony.contract import facts as f
from telephony.contract.clock import SECOND
from telephony.contract.hours import Calendar, next_opening
from telephony.contract.view import CallState
from telephony.engine import commands as c
from telephony.engine import events as e
from tests.fakes.floor_story import START, Story, call_id, make_policy


def test_a_caller_is_queued_answered_and_hears_music():
    story = Story(help={"music": "jazz", "priority": 7})
    call = story.enters(at=START - 5 * SECOND)
    assert story.names() == ["CallArrived", "CallQueued"]
    assert story.orders() == ["SetTimeout", "AnswerCaller", "StartMusic"]
    queued = story.facts(f.CallQueued)[0]
    assert queued.key == START - 5 * SECOND - 7 * SECOND
    assert queued.deadline == START + 300 * SECOND
    assert story.order(c.StartMusic).music == "jazz"
    assert story.order(c.SetTimeout).seconds == 90
    assert story.call(call).state is CallState.WAITING


def test_the_ring_leaves_before_what_the_caller_hears():
    story = Story()
    story.ready("ann")
    story.enters()
    assert story.orders() == ["RingAgent", "SetTimeout", "AnswerCaller", "StartMusic"]
    ring, made = story.order(c.RingAgent), story.facts(f.OfferMade)[0]
    assert ring.leg == made.offer == f"{call_id(1)}.2"
    assert ring.party == "party-1"
    assert ring.seconds > 20
    assert made.deadline == START + 20 * SECOND


def test_a_number_that_nobody_serves_ends_the_call():
    story = Story()
    story.enters("nowhere")
    assert story.names() == ["CallArrived", "CallEnded"]
    assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.FAILED
    assert story.orders() == ["HangUpCaller"]
    assert not story.floor.view.calls


def test_the_same_channel_twice_is_one_caller_whose_music_is_renewed():
    story = Story()
    story.enters(channel="one")
    story.enters(channel="one")
    assert story.last.ignored
    assert not story.last.entries
    assert story.orders() == ["SetTimeout", "StartMusic"]
    assert len(story.floor.view.calls) == 1


def test_the_same_channel_while_talking_changes_nothing():
    story = Story()
    story.talks()
    story.enters(channel="channel-1")
    assert story.last.ignored == "the caller is known"
    assert not story.last.commands


def test_a_diverted_channel_that_comes_again_is_a_new_caller():
    story = Story()
    old = story.enters(channel="one")
    story.later(300)
    new = story.enters(channel="one")
    assert old not in story.floor.view.calls
    assert story.call(new).state is CallState.WAITING


def test_first_arrivals_from_the_future_or_from_nowhere_count_as_now():
    story = Story()
    assert story.call(story.enters(at=START + 60 * SECOND)).arrived == START
    assert story.call(story.enters(at=0)).arrived == START


def test_an_adopted_caller_keeps_the_old_place():
    story = Story()
    younger = story.enters()
    older = story.enters(at=START - 60 * SECOND, adopted=True)
    assert story.facts(f.CallArrived)[0].adopted
    story.ready("ann")
    assert story.rung(older) and not story.rung(younger)


def test_a_caller_who_waited_as_long_as_the_queue_allows_goes_to_the_fallback():
    story = Story(help={"max_wait_seconds": 60})
    call = story.enters()
    story.later(60)
    assert story.names() == ["QueueLeft", "CallDiverted"]
    assert story.facts(f.QueueLeft)[0].outcome is f.VisitOutcome.TIMEOUT
    assert story.orders() == ["Divert"]
    story.tell(e.CallerGone(call=call, diverted=True))
    assert story.names() == ["CallEnded"]
    assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.DIVERTED
    assert call not in story.floor.view.calls


WEDNESDAY_MORNING = Calendar("UTC", tuple(((540, 600),) if day == 2 else () for day in range(7)))


def test_who_calls_a_closed_queue_hears_that_it_is_closed_and_is_counted():
    opens = next_opening(WEDNESDAY_MORNING, START)
    story = Story(help={"hours": WEDNESDAY_MORNING})
    story.ready("ann")
    call = story.enters()
    assert story.names() == ["CallArrived", "CallQueued", "QueueLeft", "CallDiverted"]
    assert story.facts(f.QueueLeft)[0].outcome is f.VisitOutcome.CLOSED
    assert story.orders() == ["TurnAway"]
    story.tell(e.CallerGone(call=call, diverted=True))
    assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.DIVERTED
    story.later((opens - START) / SECOND)
    assert story.rung(story.enters())


def test_who_came_while_it_was_open_is_served_after_closing():
    opens = next_opening(WEDNESDAY_MORNING, START)
    story = Story(help={"hours": WEDNESDAY_MORNING})
    story.later((opens - START) / SECOND + 3599)
    call = story.enters()
    story.later(5)
    assert story.call(call).state is CallState.WAITING
    story.ready("ann")
    assert story.rung(call)


def test_nobody_is_diverted_from_a_ringing_phone_and_everybody_right_after_it():
    story = Story(help={"max_wait_seconds": 30})
    call = story.enters()
    story.later(25)
    story.ready("ann")
    story.later(6)
    assert story.rung(call)
    story.later(14)
    assert story.names() == ["OfferEnded", "AgentSetAside", "QueueLeft", "CallDiverted"]


def test_a_ring_and_a_wait_that_end_at_the_same_instant_both_end():
    story = Story(help={"max_wait_seconds": 20})
    story.ready("ann")
    story.enters()
    story.later(20)
    assert story.names() == ["OfferEnded", "AgentSetAside", "QueueLeft", "CallDiverted"]


def test_a_queue_without_a_limit_diverts_nobody():
    story = Story(help={"max_wait_seconds": 0})
    call = story.enters()
    story.later(86_400)
    assert story.call(call).state is CallState.WAITING


def test_a_caller_who_hangs_up_in_line_has_abandoned():
    story = Story()
    call = story.enters()
    story.tell(e.CallerGone(call=call, cause=16))
    assert story.names() == ["QueueLeft", "CallEnded"]
    assert story.facts(f.QueueLeft)[0].outcome is f.VisitOutcome.ABANDONED
    assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.ABANDONED
    story.tell(e.CallerGone(call=call, cause=16))
    assert story.last.ignored == "the call is over"


def test_a_caller_who_left_on_the_dead_mans_time_out_was_diverted():
    story = Story()
    call = story.enters()
    story.tell(e.CallerGone(call=call, diverted=True))
    assert story.names() == ["QueueLeft", "CallDiverted", "CallEnded"]
    assert story.facts(f.QueueLeft)[0].outcome is f.VisitOutcome.SYSTEM


def test_a_caller_found_missing_is_lost():
    story = Story()
    call = story.enters()
    story.tell(e.CallerGone(call=call, missing=True))
    assert story.facts(f.CallEnded)[0].outcome is f.CallOutcome.LOST


def test_a_waiting_call_keeps_the_policy_it_came_under():
    story = Story(help={"ring_seconds": 11})
    old = story.enters()
    story.policy = make_policy(2, help={"ring_seconds": 33}, more={})
    story.tell(e.PolicyPublished(policy=story.policy))
    assert story.names() == ["PolicyAdopted"]
    story.ready("ann")
    assert story.call(old).offer.deadline == story.now + 11 * SECOND
    story.ready("bob")
    new = story.enters()
    assert story.call(new).offer.deadline == story.now + 33 * SECOND


def test_an_older_policy_changes_nothing_and_the_same_one_only_fills_the_book():
    story = Story()
    story.tell(e.PolicyPublished(policy=make_policy(1, other={})))
    assert story.last.ignored == "a later policy is in force"
    story.tell(e.PolicyPublished(policy=story.policy))
    assert story.last.ignored == "that policy is in force"
    story.policy = make_policy(2, other={})
    story.tell(e.PolicyPublished(policy=story.policy))
    story.enters("help")
    assert "CallEnded" in story.names()


def torn():
    """A floor whose writer died between a caller's arrival and the line."""
    story = Story(opened=False)
    call = story.enters()
    story.log.pop()
    story.refold()
    assert story.call(call).state is CallState.ARRIVED
    return story, call


def test_a_caller_whose_arrival_was_torn_from_the_line_is_queued_when_offers_open():
    story, _ = torn()
    story.tell(e.OffersOpened())
    assert story.names() == ["CallQueued"]
    assert story.orders() == ["SetTimeout", "AnswerCaller", "StartMusic"]


def test_a_torn_caller_may_go_before_that():
    for gone, outcome in (({}, "abandoned"), ({"diverted": True}, "diverted"), ({"missing": True}, "lost")):
        story, call = torn()
        story.tell(e.CallerGone(call=call, **gone))
        assert story.facts(f.CallEnded)[0].outcome == outcome
        assert not story.floor.view.calls


def test_the_clock_never_goes_back():
    story = Story()
    story.now += 5 * SECOND
    story.enters()
    story.now -= 5 * SECOND
    story.enters()
    assert story.last.entries[-1].at == START + 5 * SECOND
