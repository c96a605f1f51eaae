"""The replica: what an audience was told adds up to what a fresh snapshot says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime.outbox import Outbox
from realtime.replica import Replica
from telephony.contract import facts as f
from telephony.contract.frames import Entry
from telephony.contract.view import View
from tests.realtime.mirror import Mirror
from tests.realtime.world import World

TENANT = "t_aaaaaaaaaaaa"


class Watcher:
    """One desk's mirror, fed synchronously."""

    def __init__(self, replica: Replica, agent: str) -> None:
        self.replica, self.mirror = replica, Mirror()
        self.frames: list[dict[str, Any]] = []
        self.desk = replica.desk(agent)  # type: ignore[arg-type]
        self.outbox = Outbox(lambda: replica.desk_snapshot(self.desk))
        self.desk.sockets.add(self.outbox)
        self.outbox.resync()

    def drain(self) -> list[dict[str, Any]]:
        new = []
        while (text := self.outbox._next()) is not None:
            new.append(self.mirror.take(text))
        self.frames += new
        return new

    def fresh(self) -> dict[str, Any]:
        other = Mirror()
        for text in self.replica.desk_snapshot(self.desk):
            other.take(text)
        return other.state


def feed(replica: Replica, entries: list[Entry]) -> None:
    replica.tell(replica.fold(entries))


def watched(seed: int) -> tuple[World, Replica, Watcher]:
    """A floor that is open, its replica, and its first agent looking at it."""
    world, replica = World(TENANT, seed), Replica(TENANT)
    watcher = Watcher(replica, world.agents[0])
    feed(replica, world.open())
    return world, replica, watcher


@pytest.fixture
async def loop():
    """Outboxes look at the running loop's clock."""


@pytest.mark.parametrize("seed", range(25))
async def test_snapshot_and_deltas_add_up_to_a_fresh_snapshot(seed):
    world = World(TENANT, seed)
    replica = Replica(TENANT)
    watchers = [Watcher(replica, each) for each in world.agents]
    feed(replica, world.open())
    for step in range(300):
        entries = world.step()
        if step % 3:  # batches are cut anywhere, also within one step
            feed(replica, entries)
        else:
            for entry in entries:
                feed(replica, [entry])
        if not step % 5:
            replica.flush_queues()
        for each in watchers:
            each.drain()
        if not step % 10:
            replica.flush_queues()
            for each in watchers:
                each.drain()
                assert each.mirror.state == each.fresh(), f"step {step}"
    replica.flush_queues()
    assert replica.view == world.view
    rebuilt = Replica(TENANT)
    rebuilt.replace(replica.view)
    for each in watchers:
        ours = Watcher(rebuilt, each.desk.agent)
        ours.drain(), each.drain()
        assert ours.mirror.state == each.mirror.state
    assert sum(len(each.mirror.withdrawn) for each in watchers) > 10


async def test_a_desk_hears_of_nobody_elses_call_or_state():
    world = World(TENANT, 1)
    replica = Replica(TENANT)
    first, second = (Watcher(replica, each) for each in world.agents[:2])
    feed(replica, world.open())
    for each in (first, second):
        each.drain()
        each.frames.clear()
    call = world.arrive(world.queues[0])
    world.answer(world.offer(call, world.agents[0]))
    feed(replica, world.entries[-6:])
    replica.flush_queues()
    first.drain(), second.drain()
    assert {each["type"] for each in first.frames} >= {"agent.state", "call.state", "queue.state"}
    assert {each["type"] for each in second.frames} == {"queue.state"}
    assert call.call not in json.dumps(second.frames)


async def test_what_does_not_change_is_not_said_again():
    world, replica, watcher = watched(1)
    replica.flush_queues()
    watcher.drain()
    feed(replica, world.entries)  # all of it again
    replica.flush_queues()
    assert watcher.drain() == []


async def test_a_gap_is_refused():
    world = World(TENANT, 1)
    replica = Replica(TENANT)
    world.open()
    with pytest.raises(ValueError, match="cannot follow"):
        replica.fold(world.entries[:2] + world.entries[3:])


async def test_a_missed_offer_is_said():
    world, replica, watcher = watched(1)
    watcher.drain()
    call = world.offer(world.arrive(), world.agents[0])
    world.end_offer(call, f.OfferOutcome.MISSED)
    for each in world.entries[-5:]:
        feed(replica, [each])
    watcher.drain()
    assert watcher.mirror.notices == ["missed"]
    assert watcher.mirror.withdrawn[0]["outcome"] == "missed"
    assert watcher.mirror.state["agent"]["effective"] == "not_responding"


async def test_an_offer_that_came_and_went_in_one_batch_never_rings():
    world, replica, watcher = watched(1)
    watcher.drain()
    world.abandon(world.offer(world.arrive(), world.agents[0]))
    feed(replica, world.entries[-6:])
    assert not {"offer.created", "offer.withdrawn"} & {each["type"] for each in watcher.drain()}


async def test_the_floor_sees_queues_agents_and_calls_without_parties():
    world = World(TENANT, 3)
    replica = Replica(TENANT)
    floor = replica.watch_floor()
    box = Outbox(replica.floor_snapshot)
    floor.sockets.add(box)
    box.resync()
    feed(replica, world.open())
    calls: dict[str, Any] = {}
    agents: dict[str, Any] = {}
    for _ in range(200):
        feed(replica, world.step())
        replica.flush_queues()
        while (text := box._next()) is not None:
            frame = json.loads(text)
            assert "party" not in text and "number" not in text
            if frame["type"] == "call.state":
                calls[frame["data"]["id"]] = frame["data"]
            elif frame["type"] == "agent.state":
                agents[frame["data"]["id"]] = frame["data"]
            elif frame["type"] == "snapshot":
                calls = {each["id"]: each for each in frame["data"]["calls"]}
                agents = {each["id"]: each for each in frame["data"]["agents"]}
    fresh = json.loads(replica.floor_snapshot()[0])["data"]
    living = {
        key: value for key, value in calls.items() if value["state"] != "ended" or key in world.view.calls
    }
    assert living == {each["id"]: each for each in fresh["calls"]}
    assert agents == {each["id"]: each for each in fresh["agents"]}


async def test_a_wall_gets_all_changed_queues_in_one_frame():
    world = World(TENANT, 3)
    replica = Replica(TENANT)
    box = Outbox(replica.wallboard_snapshot)
    replica.watch_wallboard().sockets.add(box)
    feed(replica, world.open())
    world.arrive(world.queues[0])
    world.arrive(world.queues[1])
    feed(replica, world.entries[-4:])
    replica.flush_queues()
    replica.flush_wallboard()
    frames = [json.loads(text) for text in iter(box._next, None)]
    assert [each["type"] for each in frames] == ["queue.states"]
    assert [each["waiting"] for each in frames[0]["data"]["queues"]] == [1, 1]


async def test_resume_repeats_the_last_position_and_knows_when_it_cannot():
    world, replica, watcher = watched(5)
    watcher.drain()
    assert watcher.desk.after(0) is None
    assert watcher.desk.after(replica.view.seq) is None  # nobody can say how much of it was seen elsewhere
    feed(replica, [world.say(f.StatusSet(agent=world.agents[0], intent=f.Intent.READY, reason="a"))])
    watcher.drain()
    seen = replica.view.seq
    before = json.dumps(watcher.mirror.state)
    call = world.offer(world.arrive(), world.agents[0])
    feed(replica, world.entries[-3:])
    replica.flush_queues()
    again = Mirror()
    again.state = json.loads(before)
    frames = watcher.desk.after(seen)
    assert frames is not None
    for text in frames:
        again.take(text)
    assert again.state == watcher.fresh()
    assert again.state["offer"]["call"] == call.call
    for _ in range(150):
        world.hang_up(world.answer(call), f.LegEnd.LOST)
        call = world.offer(world.queue(call), world.agents[0])
    for each in world.entries[-1200:]:
        feed(replica, [each])
    assert watcher.desk.after(seen) is None
    assert watcher.desk.after(replica.view.seq) is not None


async def test_another_view_resyncs_everybody():
    _, replica, watcher = watched(5)
    watcher.drain()
    other = World(TENANT, 6)
    other.open()
    other.offer(other.arrive(), other.agents[0])
    replica.replace(other.view)
    watcher.drain()
    assert watcher.mirror.snapshots == 2
    assert watcher.mirror.state == watcher.fresh()
    assert isinstance(replica.view, View)
