# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""The tables: complete, drawn as they are, and every row does what it says.

For every state there is a story that leads to it; every transition of every table is fired from there, so
no row can be added that the suite does not fire.
"""

from enum import Enum
from typing import Any

import pytest

from telephony.contract import asks as a
from telephony.contract.facts import Intent
from telephony.engine import agent as agents
from telephony.engine import call as calls
from telephony.engine import draw, wrapup
from telephony.engine import events as e
from telephony.engine.agent import Work
from telephony.engine.call import Stage
from telephony.engine.machine import Go, Machine, go, ignore
from telephony.engine.wrapup import WrapUp
from tests.fakes.floor_story import START, Story, agent_id, call_id, endpoint, make_row

CALL, ANN = call_id(1), agent_id("ann")


def at_stage(stage: Stage) -> Story:
    """A story in which the first call is in a stage, with Ann on shift wherever that is possible."""
    story = Story(opened=stage is not Stage.ARRIVED, help={"max_wait_seconds": 60})
    if stage is Stage.ABSENT:
        return story
    if stage not in (Stage.ARRIVED, Stage.WAITING, Stage.DIVERTED):
        story.ready("ann", devices=2)
    story.enters()
    if stage is Stage.ARRIVED:
        story.log.pop()
        story.refold()
    if stage is Stage.DIVERTED:
        story.later(60)
    if stage in (Stage.TALKING, Stage.HELD, Stage.KEPT, Stage.RETURNING, Stage.ENDED):
        story.answers(CALL)
    if stage is Stage.HELD:
        story.ask(a.HoldCall(agent=ANN, call=CALL))
    if stage in (Stage.KEPT, Stage.RETURNING):
        story.tell(e.PhoneChanged(agent=ANN, endpoint=endpoint("ann"), reachable=False))
        story.tell(e.LegGone(call=CALL, leg=story.call(CALL).agent_leg))
    if stage is Stage.RETURNING:
        story.tell(e.PhoneChanged(agent=ANN, endpoint=endpoint("ann"), reachable=True))
    if stage is Stage.ENDED:
        story.tell(e.CallerGone(call=CALL))
    assert calls.Case(story.floor.view, CALL).state() is stage
    return story


def at_work(work: Work) -> Story:
    """A story in which Ann has that in hand."""
    stages = {
        Work.OFFERED: Stage.RINGING,
        Work.ON_CALL: Stage.TALKING,
        Work.KEEPING: Stage.KEPT,
        Work.WRAP_UP: Stage.ENDED,
    }
    if work in stages:
        story = at_stage(stages[work])
    else:
        story = Story()
        story.ready("ann", devices=2)
        if work is Work.OFF:
            story.ask(a.EndShift(agent=ANN))
    assert agents.Person(story.floor.view, ANN).state() is work
    return story


def fire(story: Story, machine: Machine[Any, Any], subject: Any, trigger: Enum, *arguments: Any) -> Any:
    """One row, alone; returns the state after it."""
    turn = story.floor._turn(story.now)
    turn.run(machine, subject, trigger, *arguments)
    assert story.floor.indexes_agree()
    return subject.state()


def rows(machine):
    return [
        pytest.param(state, trigger, row, id=f"{state.value}-{trigger.value}")
        for (state, trigger), row in machine.table.items()
        if isinstance(row, Go)
    ]


@pytest.mark.parametrize(("stage", "trigger", "row"), rows(calls.MACHINE))
def test_every_row_of_the_call(stage, trigger, row):
    story = at_stage(stage)
    if trigger is calls.Trigger.MATCHED:
        story.floor.step(e.OffersPaused(), story.now)
        story.ready("ann")
    if trigger is calls.Trigger.AGENT_BACK:
        turn = story.floor._turn(story.now)
        agents.run(turn, ANN, agents.Trigger.PHONE_ON, agents.What(endpoint=endpoint("ann")))
    entered = e.CallerEntered(
        call=CALL,
        party="party",
        node="a",
        channel="channel",
        trunk="trunk",
        number="n-help",
        first_arrival=START,
    )
    what = calls.What(agent=ANN, entered=entered, digits="1", muted=True)
    before = story.floor.view.seq
    after = fire(story, calls.MACHINE, calls.Case(story.floor.view, CALL), trigger, CALL, what)
    assert after in row.to
    changes = trigger is not calls.Trigger.DIGITS and not (
        trigger is calls.Trigger.OPENED and stage is not Stage.ARRIVED
    )
    assert (story.floor.view.seq > before) is changes


@pytest.mark.parametrize(("work", "trigger", "row"), rows(agents.MACHINE))
def test_every_row_of_the_agent(work, trigger, row):
    story = at_work(work)
    what = agents.What(
        endpoint=endpoint("ann", 0),
        intent=Intent.NOT_READY,
        reason="lunch",
        row=make_row("ann", {"help": 0}, version=9, devices=2),
    )
    subject = agents.Person(story.floor.view, ANN)
    assert fire(story, agents.MACHINE, subject, trigger, ANN, what) in row.to


@pytest.mark.parametrize(("state", "trigger", "row"), rows(wrapup.MACHINE))
def test_every_row_of_the_wrap_up(state, trigger, row):
    story = at_work(Work.WRAP_UP)
    agent = story.agent(ANN)
    after = fire(story, wrapup.MACHINE, wrapup.Writer(agent), trigger, agent, "OK")
    assert after in row.to


@pytest.mark.parametrize("machine", [calls.MACHINE, agents.MACHINE, wrapup.MACHINE], ids=lambda m: m.name)
def test_every_pair_has_exactly_one_row(machine):
    assert len(machine.table) == len(machine.states) * len(machine.triggers)


def test_a_table_with_a_gap_or_a_second_row_is_refused():
    one = ignore([WrapUp.NONE], wrapup.Trigger, "no")
    with pytest.raises(ValueError, match="no row"):
        Machine("gap", WrapUp, wrapup.Trigger, one)
    with pytest.raises(ValueError, match="two rows"):
        Machine("twice", WrapUp, wrapup.Trigger, one, go([WrapUp.NONE], wrapup.Trigger, print, WrapUp.NONE))


def test_the_readme_shows_the_tables_as_they_are():
    assert draw.main(["--check"]) == 0


def test_an_index_that_left_its_view_is_noticed():
    for spoil in (
        lambda index: index.lines["help"].pop(),
        lambda index: index.calls.due.clear(),
        lambda index: index.calls._heap.clear(),
        lambda index: index.agents._heap.clear(),
        lambda index: index.counts["help"].clear(),
    ):
        story = at_stage(Stage.ENDED)
        story.enters()
        assert story.floor.indexes_agree()
        spoil(story.floor.index)
        assert not story.floor.indexes_agree()
        story.floor.rebuild()
        assert story.floor.indexes_agree()


def test_each_fired_row_is_counted():
    story = Story()
    story.enters()
    assert story.floor.fired["call", "absent", "entered", "waiting"] == 1
