"""Callers on the stream open under keys that come and go; what is gone opens nowhere."""

from __future__ import annotations

import pytest

from realtime.follower import Follower
from realtime.sources import Sources
from telephony.contract.frames import Party
from tests.realtime import log_table
from tests.realtime.conftest import TENANT, eventually
from tests.realtime.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.redis]
NUMBER = "+254700000001"


def opened(sources: Sources, party: Party) -> tuple[str | None, str | None]:
    found = sources.open_party(party)
    assert found is not None
    return found.number, found.name


async def test_a_process_knows_the_next_key_before_it_is_used(clean_log, tenants):
    one, two = tenants[0].pk, tenants[1].pk
    current, spare = log_table.make_transit_key(1), log_table.make_transit_key(2)
    sources = Sources()
    await sources.cold(one)
    under_current = log_table.seal_in_transit(current, one, "p", NUMBER, "Juma")
    under_spare = log_table.seal_in_transit(spare, one, "q", NUMBER, "Juma")
    assert opened(sources, under_current)[0] == NUMBER
    assert not sources.keys_wanted(under_current)
    assert opened(sources, under_spare)[1] == "Juma"
    sources._transit_read -= 60
    assert not sources.keys_wanted(under_current), "its spare is known"
    assert sources.keys_wanted(under_spare), "its spare is not"
    log_table.destroy_transit_key(1)
    log_table.make_transit_key(3)
    await sources.learn_keys(one)
    assert not sources.keys_wanted(under_spare)
    assert sources.open_party(under_current) is None, "destroyed"
    assert opened(sources, under_spare)[0] == NUMBER
    theirs = log_table.seal_in_transit(spare, two, "q", NUMBER, "Juma")
    swapped = type(theirs)(tenant=one, party=theirs.party, key=2, sealed=theirs.sealed, digest=b"", shard="0")
    assert sources.open_party(swapped) is None, "another tenant's seal under the same key"


async def test_a_row_still_opens_under_the_tenants_own_key(clean_log, tenants):
    sources = Sources()
    party = log_table.seal(tenants[0].pk, "p", NUMBER, "Juma")
    assert sources.open_party(party) is None, "no key was read yet"
    await sources.cold(tenants[0].pk)
    assert opened(sources, party)[0] == NUMBER
    assert not sources.keys_wanted(party)


async def test_a_party_that_came_before_its_key_is_opened_when_the_key_is_known(feed, daemon, source):
    """The key is read beside the stream, which waits for nothing."""
    world = World(TENANT, 7)
    source.stored = world.open()
    feed.start()
    await eventually(lambda: feed.loaded)
    source.unknown_keys = {9}
    call = world.arrive()
    party = Party(tenant=world.tenant, party=call.party, key=9, sealed=NUMBER.encode(), digest=b"", shard="0")
    await daemon.say([party, *world.entries[-2:]])
    await eventually(lambda: call.party in feed.replica.names.parties)
    assert feed.replica.names.parties[call.party].number == NUMBER
    assert source.keys_learned == 1


async def test_keys_that_changed_while_nobody_called_are_known_to_the_next_call(
    clean_log, tenants, settings, monkeypatch
):
    """As after a daemon's new start: the key that was shown last is no longer the one in use."""
    monkeypatch.setattr(settings, "TRANSIT_SECONDS", 1)
    tenant = tenants[0].pk
    log_table.make_transit_key(1)
    log_table.make_transit_key(2)
    follower = Follower(settings.REDIS_URL)
    try:
        feed = follower.join(tenant)
        await eventually(lambda: feed.loaded)
        log_table.destroy_transit_key(1)
        log_table.destroy_transit_key(2)
        current = log_table.make_transit_key(3)
        log_table.make_transit_key(4)
        party = log_table.seal_in_transit(current, tenant, "p", NUMBER, "Juma")
        await eventually(lambda: follower._sources.open_party(party) is not None)
    finally:
        await follower.close()
