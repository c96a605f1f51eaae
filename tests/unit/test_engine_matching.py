# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""Matching: who is served next, by whom, and why nobody else."""

from telephony.contract import asks as a
from telephony.contract import facts as f
from telephony.contract.clock import SECOND
from telephony.contract.facts import Intent
from telephony.contract.policy import Strategy
from telephony.engine import events as e
from tests.fakes.floor_story import START, Story, agent_id, make_policy, make_row


def serve(story, call):
    """Answer, hang up, finish."""
    agent = story.rung(call)
    story.answers(call)
    story.later(1)
    story.tell(e.CallerGone(call=call))
    story.ask(a.FinishWrapUp(agent=agent, call=call, disposition="OK"))
    return agent


def test_callers_are_served_in_the_order_of_their_arrival():
    story = Story()
    calls = [story.enters(at=START - n * SECOND) for n in (3, 9, 5)]
    story.ready("ann")
    order = []
    for _ in calls:
        call = next(each for each in story.floor.view.calls if story.rung(each))
        order.append(call)
        serve(story, call)
    assert order == [calls[1], calls[2], calls[0]]


def test_a_freed_agent_takes_the_oldest_caller_of_all_queues_with_priority_as_a_head_start():
    story = Story(a={}, b={"priority": 10}, c={})
    first = story.enters("a")
    story.later(5)
    second = story.enters("b")
    third = story.enters("c")
    story.ready("ann", {"a": 0, "b": 0})
    assert story.rung(second) and not story.rung(first) and not story.rung(third)


def test_the_longest_idle_agent_is_asked_across_queues():
    story = Story(a={}, b={})
    ann = story.ready("ann", {"a": 0, "b": 0})
    story.later(1)
    bob = story.ready("bob", {"a": 0, "b": 0})
    assert serve(story, story.enters("a")) == ann
    story.later(1)
    assert serve(story, story.enters("b")) == bob
    story.later(1)
    assert story.rung(story.enters("b")) == ann


def test_least_recent_counts_only_the_queues_own_calls():
    story = Story(a={"strategy": Strategy.LEAST_RECENT}, b={})
    ann = story.ready("ann", {"a": 0, "b": 0})
    story.later(1)
    bob = story.ready("bob", {"a": 0})
    assert serve(story, story.enters("b")) == ann
    story.later(1)
    assert serve(story, story.enters("a")) == ann
    story.later(1)
    assert story.rung(story.enters("a")) == bob


def test_a_strategy_published_later_holds_at_once():
    story = Story(a={}, b={})
    ann = story.ready("ann", {"a": 0, "b": 0})
    bob = story.ready("bob", {"a": 0})
    assert serve(story, story.enters("b")) == ann
    story.policy = make_policy(2, a={"strategy": Strategy.LEAST_RECENT}, b={})
    story.tell(e.PolicyPublished(policy=story.policy))
    assert story.rung(story.enters("a")) == ann
    assert bob != ann


def test_a_lower_penalty_comes_before_a_longer_rest():
    story = Story()
    old = story.ready("ann", {"help": 1})
    story.later(60)
    new = story.ready("bob", {"help": 0})
    story.enters()
    offer = story.facts(f.OfferMade)[0]
    assert (offer.agent, offer.runner_up) == (new, old)


def test_equal_rest_is_decided_by_the_id():
    story = Story()
    for name in ("zoe", "ann"):
        story.ready(name)
    story.enters()
    offer = story.facts(f.OfferMade)[0]
    assert (offer.agent, offer.runner_up) == (agent_id("ann"), agent_id("zoe"))


def test_an_offer_says_why_nobody_else():
    story = Story()
    story.ready("ann")
    away = story.ready("bob")
    story.ask(a.SetStatus(agent=away, intent=Intent.NOT_READY))
    talker = story.ready("cat")
    story.ask(a.SetStatus(agent=agent_id("ann"), intent=Intent.NOT_READY))
    story.answers(story.enters())
    story.ask(a.SetStatus(agent=agent_id("ann"), intent=Intent.READY))
    story.enters()
    offer = story.facts(f.OfferMade)[0]
    assert offer.excluded == (("not_ready", 1), ("on_call", 1))
    assert offer.runner_up is None
    assert talker != offer.agent


def test_who_cools_is_counted_and_passed_over():
    story = Story()
    story.ready("ann")
    call = story.enters()
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, cause=17))
    bob = story.ready("bob")
    offer = story.facts(f.OfferMade)[0]
    assert offer.agent == bob and offer.excluded == (("cooling", 1),)


def test_who_cooled_is_asked_for_whichever_queue_has_callers_then():
    story = Story(a={}, b={})
    ann = story.ready("ann", {"a": 0, "b": 0})
    call = story.enters("a")
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, cause=17))
    story.tell(e.CallerGone(call=call))
    other = story.enters("b")
    assert not story.rung(other)
    story.later(10)
    assert story.rung(other) == ann


def test_who_became_ready_first_is_asked_first_and_a_new_row_changes_nothing_of_that():
    story = Story()
    zoe = story.ready("zoe")
    story.later(1)
    story.ready("ann")
    story.later(1)
    story.tell(e.RosterPublished(row=make_row("zoe", {"help": 0}, version=2)))
    assert story.rung(story.enters()) == zoe


def test_who_keeps_a_caller_is_counted_as_such():
    story = Story()
    call, ann = story.talks()
    story.tell(e.LegGone(call=call, leg=story.call(call).agent_leg))
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, refused=True))
    bob = story.ready("bob")
    story.enters()
    offer = story.facts(f.OfferMade)[0]
    assert (offer.agent, offer.excluded) == (bob, (("keeping", 1),))
    assert story.agent(ann).keeps == call


def test_a_caller_whom_everybody_declined_does_not_stop_the_next_one():
    story = Story()
    ann = story.ready("ann")
    first = story.enters()
    story.ask(a.DeclineOffer(agent=ann, offer=story.call(first).offer.offer))
    second = story.enters()
    assert story.rung(second) == ann and not story.rung(first)


def test_who_missed_comes_back_to_the_same_caller_when_nobody_else_is_there():
    story = Story()
    ann = story.ready("ann")
    call = story.enters()
    story.later(20)
    assert ann in story.call(call).refused
    story.ask(a.SetStatus(agent=ann, intent=Intent.READY))
    assert story.rung(call) == ann


def test_several_agents_and_callers_are_matched_in_one_step():
    story = Story(opened=False)
    calls = [story.enters() for _ in range(3)]
    for name in ("ann", "bob", "cat"):
        story.ready(name)
    story.tell(e.OffersOpened())
    assert story.names() == ["OfferMade"] * 3
    assert [story.rung(call) for call in calls] == [agent_id(n) for n in ("ann", "bob", "cat")]


def test_no_agent_is_rung_for_two_queues_at_once():
    story = Story(a={}, b={}, opened=False)
    first, second = story.enters("a"), story.enters("b")
    story.ready("ann", {"a": 0, "b": 0})
    story.tell(e.OffersOpened())
    assert story.rung(first) and not story.rung(second)


def test_a_restart_forgets_neither_who_cools_nor_whose_caller_is_kept():
    story = Story()
    ann = story.ready("ann")
    call = story.enters()
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, cause=17))
    story.restart()
    assert not story.rung(call)
    story.later(10)
    assert story.rung(call) == ann
    story.answers(call)
    story.tell(e.LegGone(call=call, leg=story.call(call).agent_leg))
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, refused=True))
    assert not story.rung(call)
    story.restart()
    assert story.rung(call) == ann
