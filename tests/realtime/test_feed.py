"""One tenant followed on a real Redis: cold start, holes, epochs, heartbeats, Redis gone and back."""

from __future__ import annotations

import asyncio

import pytest

from realtime.outbox import LIMIT
from telephony.contract.facts import OfferOutcome
from telephony.contract.frames import Ack, Party
from telephony.contract.ids import AskId, PartyId
from telephony.contract.view import apply
from tests.realtime.conftest import TENANT, DeskProbe, eventually
from tests.realtime.world import World

pytestmark = pytest.mark.redis


@pytest.fixture
def world():
    return World(TENANT, 7)


def caught_up(feed, world):
    return lambda: feed.loaded and feed.replica.view.seq == world.view.seq


async def test_cold_start_is_the_log_and_then_the_stream(feed, daemon, source, world):
    source.stored = world.open()
    for _ in range(60):
        world.step()
    source.stored = world.entries[:40]
    await daemon.say(world.entries[30:])  # the stream overlaps, and is ahead
    feed.start()
    probe = DeskProbe(feed, world.agents[0])
    await eventually(caught_up(feed, world))
    assert feed.replica.view == world.view
    for _ in range(60):
        await daemon.say(world.step())
    await eventually(caught_up(feed, world))
    feed.replica.flush_queues()
    await eventually(lambda: not probe.outbox._frames)
    assert probe.mirror.state == probe.fresh()
    assert source.loads == 1


async def test_the_same_frames_twice_change_nothing(feed, daemon, source, world):
    world.open()
    source.stored = []
    await daemon.say(world.entries)
    feed.start()
    await eventually(caught_up(feed, world))
    await daemon.say(world.entries)
    await daemon.say(world.step())
    await eventually(caught_up(feed, world))
    assert feed.replica.view == world.view
    assert source.loads == 1


async def test_a_hole_is_read_from_the_log_once_it_is_there(feed, daemon, source, world):
    world.open()
    await daemon.say(world.entries[:5])
    feed.start()
    await eventually(lambda: feed.replica.view.seq == 5)
    source.stored = world.entries[:7]
    await daemon.say(world.entries[9:])  # 6..9 never come on the stream
    await eventually(lambda: source.reads >= 2)
    source.stored = list(world.entries)
    await eventually(caught_up(feed, world))
    assert feed.replica.view == world.view


async def test_a_hole_that_stays_leads_to_a_reload(feed, daemon, source, world):
    world.open()
    await daemon.say(world.entries[:5])
    feed.start()
    await eventually(lambda: feed.replica.view.seq == 5)
    await daemon.say(world.entries[9:])
    await eventually(lambda: source.loads >= 2, 30)
    source.stored = list(world.entries)
    await eventually(caught_up(feed, world), 30)
    assert feed.replica.view == world.view


async def test_a_heartbeat_shows_what_the_stream_never_brought(feed, daemon, source, world):
    world.open()
    await daemon.say(world.entries[:5])
    feed.start()
    await eventually(lambda: feed.replica.view.seq == 5)
    source.stored = list(world.entries)
    await daemon.beat(seq=world.view.seq)
    await eventually(caught_up(feed, world))
    assert source.loads == 1


async def test_a_writer_whose_last_entries_were_lost_is_forgotten(feed, daemon, source, world):
    world.open()
    await daemon.say(world.entries)
    feed.start()
    probe = DeskProbe(feed, world.agents[0])
    await eventually(caught_up(feed, world))
    kept = world.entries[:-3]
    other = World(TENANT, 8)
    for entry in kept:
        apply(other.view, entry)
    other.entries, other.epoch = list(kept), 2
    other.offer(other.arrive(), other.agents[0])
    source.stored = list(other.entries)
    await daemon.say(other.entries[len(kept) :])
    await eventually(lambda: feed.replica.view == other.view)
    await eventually(lambda: probe.mirror.epoch == 2 and probe.mirror.state["offer"])
    assert probe.mirror.state == probe.fresh()


async def test_a_new_epoch_that_continues_resyncs_and_loses_nothing(feed, daemon, source, world):
    world.open()
    await daemon.say(world.entries)
    feed.start()
    probe = DeskProbe(feed, world.agents[0])
    await eventually(lambda: probe.mirror.snapshots >= 1)
    before = probe.mirror.snapshots
    world.epoch = 2
    await daemon.say(world.step())
    await eventually(lambda: probe.mirror.epoch == 2)
    assert probe.mirror.snapshots > before
    assert source.loads == 1


async def test_entries_of_a_fenced_writer_are_dropped(feed, daemon, source, world):
    world.open()
    world.epoch = 3
    world.step()
    await daemon.say(world.entries)
    feed.start()
    await eventually(caught_up(feed, world))
    stale = World(TENANT, 9)
    stale.view.seq, stale.epoch = world.view.seq, 2
    stale.arrive()
    await daemon.say(stale.entries)
    await daemon.say(world.step())
    await eventually(caught_up(feed, world))
    assert feed.replica.view == world.view


async def test_live_stale_and_live_again(feed, daemon, source, world, monkeypatch):
    monkeypatch.setattr("realtime.feed.STALE_SECONDS", 1.0)
    source.stored = world.open()
    await daemon.beat(seq=world.view.seq)
    feed.start()
    probe = DeskProbe(feed, world.agents[0])
    await eventually(lambda: "stale" in probe.mirror.notices)
    await daemon.beat(seq=world.view.seq)
    await eventually(lambda: probe.mirror.notices[-1:] == ["live"])
    assert feed.replica.live == "live"


async def test_an_old_heartbeat_in_the_stream_is_not_taken_for_life(feed, daemon, source, world, monkeypatch):
    monkeypatch.setattr("realtime.feed.STALE_SECONDS", 0.5)
    source.stored = world.open()
    await daemon.beat(seq=world.view.seq)
    await asyncio.sleep(0.7)
    feed.start()
    await eventually(lambda: feed.loaded)
    assert feed.replica.live == "stale"


async def test_redis_gone_is_offline_and_back_is_a_resync(feed, daemon, source, world, stack):
    source.stored = world.open()
    feed.start()
    daemon.start()
    probe = DeskProbe(feed, world.agents[0])
    await eventually(lambda: feed.replica.live == "live")
    before = probe.mirror.snapshots
    try:
        await asyncio.to_thread(stack.keeper.hold, "redis")
        await eventually(lambda: "offline" in probe.mirror.notices)
        world.offer(world.arrive(), world.agents[0])  # the daemon goes on; its facts reach the log alone
        source.stored = list(world.entries)
        daemon.seq = world.view.seq
    finally:
        await asyncio.to_thread(stack.keeper.release, "redis")
    await eventually(lambda: feed.replica.live == "live", 30)
    await eventually(lambda: probe.mirror.snapshots > before)
    await eventually(lambda: probe.mirror.state["offer"])
    await eventually(lambda: probe.mirror.state == probe.fresh())
    assert source.loads == 1


async def test_a_database_away_at_the_start_shows_nothing_false(feed, daemon, source, world):
    world.open()
    source.stored = list(world.entries)
    source.away = True
    feed.start()
    probe = DeskProbe(feed, world.agents[0])
    await eventually(lambda: probe.kinds() == ["notice"])
    assert probe.mirror.notices == ["offline"]
    source.away = False
    await eventually(lambda: probe.mirror.snapshots == 1)
    assert probe.mirror.state["agent"]["effective"] == "ready"


async def test_a_slow_socket_is_resynced_and_the_second_time_closed(feed, daemon, source, world):
    source.stored = world.open()
    feed.start()
    await eventually(lambda: feed.loaded)
    slow, quick = DeskProbe(feed, world.agents[0]), DeskProbe(feed, world.agents[0])
    await eventually(lambda: slow.mirror.snapshots == 1 and quick.mirror.snapshots == 1)

    async def much():
        call = world.arrive()
        for _ in range(LIMIT // 2):
            world.end_offer(world.offer(call, world.agents[0]), OfferOutcome.DECLINED)
        for entry in world.entries[-LIMIT - 2 :]:
            feed._apply([entry], False)
            await asyncio.sleep(0)

    slow.blocked.clear()
    await much()
    slow.blocked.set()
    await eventually(lambda: slow.mirror.snapshots == 2)
    assert slow.mirror.state == slow.fresh()
    await eventually(lambda: not quick.outbox._frames)
    assert quick.mirror.snapshots == 1
    assert quick.mirror.state == quick.fresh()
    slow.blocked.clear()
    await much()
    slow.blocked.set()
    assert await asyncio.wait_for(slow.task, 5) == 1013


async def test_the_offer_does_not_wait_for_the_pop(feed, daemon, source, world):
    source.stored = world.open()
    feed.start()
    await eventually(lambda: feed.loaded)
    probe = DeskProbe(feed, world.agents[0])
    await eventually(lambda: probe.mirror.snapshots == 1)
    source.away = True
    call = world.arrive()
    world.offer(call, world.agents[0])
    party = Party(tenant=world.tenant, party=call.party, key=1, sealed=b"+254700000001", digest=b"")
    await daemon.say([party, *world.entries[-3:]])
    await eventually(lambda: probe.mirror.state["offer"])
    assert probe.mirror.state["offer"]["party"] == {"number": "+254700000001", "name": "Sealed"}
    assert probe.mirror.pops == []
    source.away = False
    world.end_offer(call, OfferOutcome.DECLINED)
    world.offer(call, world.agents[0])
    await daemon.say(world.entries[-2:])
    await eventually(lambda: probe.mirror.pops)
    assert probe.mirror.pops[0]["offer"] == world.view.calls[call.call].offer.offer


async def test_malformed_frames_are_counted_and_passed_over(feed, daemon, source, world):
    from realtime import meters

    source.stored = world.open()
    feed.start()
    await eventually(lambda: feed.loaded)
    before = meters.MALFORMED._value.get()
    for fields in (
        {"x": b"1"},
        {"k": b"fact", "d": b"{"},
        {"k": b"fact", "d": b'{"tenant":"t_aaaaaaaaaaaa","epoch":"x"}'},
        {"k": b"party", "d": b'{"tenant":"t","party":"p","key":1,"sealed":"%%","digest":"zz"}'},
        {"k": b"\xff", "d": b""},
    ):
        await daemon.raw(fields)
    await daemon.raw({"k": b"novelty", "d": b"{}"})
    await daemon.say(world.step())
    await eventually(caught_up(feed, world))
    assert meters.MALFORMED._value.get() == before + 5
    assert source.loads == 1


async def test_an_ack_finds_who_waits_for_it(feed, daemon, source, world):
    source.stored = world.open()
    feed.start()
    with feed.expect(AskId("a")) as answer:
        await daemon.say([Ack(tenant=world.tenant, ask=AskId("b"), ok=True)])
        await daemon.say([Ack(tenant=world.tenant, ask=AskId("a"), ok=False, code="wrong_state")])
        assert (await asyncio.wait_for(answer, 10)).code == "wrong_state"
    with feed.expect(AskId("b")) as answer:  # it came a moment before anybody asked
        assert answer.done()
    assert PartyId("x") not in feed.replica.names.parties
