# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""What the engine and the fold would do wrong without a condition that no other story needs."""

from typing import Any

from telephony.contract import asks as a
from telephony.contract import facts as f
from telephony.contract.facts import Intent, LegEnd
from telephony.contract.frames import Entry
from telephony.contract.view import CallState, Effective, View, apply
from telephony.engine import events as e
from telephony.engine.line import Due
from tests.fakes.floor_story import TENANT, Story, call_id, make_policy

ANN: Any = "agent-ann"
ONE, TWO = call_id(1), call_id(2)


def test_a_channel_taken_for_missing_that_comes_again_is_a_new_caller():
    story = Story()
    call, ann = story.talks()
    story.tell(e.CallerGone(call=call, missing=True))
    assert story.agent(ann).wrap_up is not None
    again = story.enters(channel=story.call(call).channel)
    assert story.call(again).state is CallState.WAITING
    assert story.call(call).state is CallState.ENDED


def test_who_was_asked_in_vain_keeps_the_place_among_the_idle():
    story = Story()
    ann = story.ready("ann")
    story.later(10)
    story.ready("bob")
    story.later(10)
    call = story.enters()
    assert story.rung(call) == ann
    story.tell(e.CallerGone(call=call))
    assert story.rung(story.enters()) == ann


def test_a_status_that_waits_still_waits_while_a_caller_is_kept():
    story = Story()
    call, ann = story.talks()
    assert story.ask(a.SetStatus(agent=ann, intent=Intent.NOT_READY, reason="LUNCH")).ok
    story.tell(e.LegGone(call=call, leg=story.call(call).agent_leg))
    story.tell(e.LegGone(call=call, leg=story.call(call).offer.offer, refused=True))
    assert story.agent(ann).keeps == call
    assert (story.agent(ann).intent, story.agent(ann).next_intent) == (Intent.READY, Intent.NOT_READY)
    story.later(20)
    assert (story.agent(ann).intent, story.agent(ann).next_intent) == (Intent.NOT_READY, None)


def test_a_wrap_up_is_extended_by_the_policy_under_which_its_call_came():
    story = Story(help={"wrap_up_seconds": 30, "wrap_up_extend_seconds": 30})
    call, ann = story.talks()
    story.tell(e.CallerGone(call=call))
    story.tell(
        e.PolicyPublished(
            policy=make_policy(version=2, help={"wrap_up_seconds": 30, "wrap_up_extend_seconds": 90})
        )
    )
    before = story.agent(ann).wrap_up.deadline
    assert story.ask(a.ExtendWrapUp(agent=ann, call=call)).ok
    assert story.agent(ann).wrap_up.deadline == before + 30_000_000


# --- dead instants ------------------------------------------------------------------------------------


def test_trimming_takes_dead_instants_and_no_others():
    due = Due()
    due.set("lives", 1_000)
    due.also(900, "pauses")
    for instant in range(1, 100):
        due.set("moves", instant)
        due.set("moves", 0)
    assert len(due._heap) < 64
    assert due.covers()
    assert due.pop(2_000) == ("pauses", False)
    assert due.pop(2_000) == ("lives", True)
    assert due.pop(2_000) is None


# --- the fold, where no story goes: logs whose end was cut off -----------------------------------------


def folded(*facts: Any) -> View:
    view = View(tenant=TENANT)
    for seq, fact in enumerate(facts, 1):
        apply(view, Entry(tenant=TENANT, epoch=1, seq=seq, at=seq, fact=fact))
    return view


def arrives(call: Any) -> list[Any]:
    return [
        f.CallArrived(
            call=call,
            node="a",
            channel=f"channel-{call}",
            leg=f"{call}.1",
            trunk="trunk",
            number="n-help",
            party="party",
            first_arrival=1,
            policy="",
        ),
        f.CallQueued(call=call, visit=1, queue="help", flow="", demand="help", key=1, deadline=0),
    ]


def connects(call: Any, leg: int = 2) -> Any:
    return f.CallConnected(call=call, agent=ANN, leg=f"{call}.{leg}", bridge=f"{call}.{leg + 1}")


def hangs_up(call: Any) -> Any:
    return f.AgentLegEnded(call=call, agent=ANN, leg=f"{call}.2", reason=LegEnd.CALLER)


def test_what_is_missing_begins_with_the_shift():
    view = folded(f.DesktopSeen(agent=ANN, online=True))
    assert view.agents[ANN].missing() == ("shift",)


def test_who_left_the_roster_is_offline_before_the_shift_ends():
    left = f.RosterAdopted(agent=ANN, version=1, active=False, memberships=(), endpoints=())
    shift = f.ShiftStarted(agent=ANN, endpoint="d0", desktop_required=False)
    assert folded(shift).agents[ANN].effective is Effective.NOT_READY
    assert folded(shift, left).agents[ANN].effective is Effective.OFFLINE


def test_who_comes_back_to_a_caller_does_not_make_the_first_answer_later():
    lost = [
        f.AgentLegEnded(call=ONE, agent=ANN, leg=f"{ONE}.2", reason=LegEnd.LOST),
        f.AgentLost(call=ONE, agent=ANN, until=99),
    ]
    view = folded(*arrives(ONE), connects(ONE), *lost, connects(ONE, 4))
    assert view.calls[ONE].connected == 3


def test_the_late_end_of_an_older_call_keeps_the_caller_who_is_kept_now():
    lost = [
        f.AgentLegEnded(call=TWO, agent=ANN, leg=f"{TWO}.2", reason=LegEnd.LOST),
        f.AgentLost(call=TWO, agent=ANN, until=99),
    ]
    older = f.CallEnded(call=ONE, outcome=f.CallOutcome.COMPLETED)
    view = folded(*arrives(ONE), connects(ONE), hangs_up(ONE), *arrives(TWO), connects(TWO), *lost, older)
    assert view.agents[ANN].keeps == TWO


def test_an_ended_call_leaves_when_its_agent_writes_up_another():
    writes = f.WrapUpStarted(agent=ANN, call=TWO, queue="help", deadline=99, extensions=0)
    older = f.CallEnded(call=ONE, outcome=f.CallOutcome.COMPLETED)
    view = folded(
        *arrives(ONE),
        connects(ONE),
        hangs_up(ONE),
        *arrives(TWO),
        connects(TWO),
        hangs_up(TWO),
        writes,
        older,
    )
    assert list(view.calls) == [TWO]


def test_a_wrap_up_may_end_after_its_call_was_forgotten():
    writes = f.WrapUpStarted(agent=ANN, call=ONE, queue="help", deadline=99, extensions=0)
    done = f.WrapUpEnded(agent=ANN, call=ONE, how=f.WrapUpEnd.FINISHED, disposition="SOLD")
    assert folded(writes, done).agents[ANN].wrap_up is None
