"""Publishing, keys, parties, asks and the log as Django's services: with the daemon's side beside them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction

from telephony import codec, schemas, sealing
from telephony.adapters.bus.redis import RedisBus
from telephony.adapters.log.log import FileLog
from telephony.adapters.log.memory import MemoryLog
from telephony.adapters.log.published import PublishedFeed
from telephony.contract.asks import SetStatus
from telephony.contract.facts import Intent
from telephony.contract.ids import AgentId, AskId, Endpoint, NumberId, PartyId, QueueId, TenantId
from telephony.contract.policy import InboundNumber, QueuePolicy
from telephony.contract.roster import Device, DeviceKind, RosterRow
from telephony.contract.view import View
from telephony.ports.published import Complete
from tests.adapters.log_kit import Writer
from web.shared.core import asks, keys, log, parties, published
from web.shared.core.exits import Exit
from web.shared.tenants.context import tenant_db

DAEMON = os.environ.get("MURIMA_DATABASE_DAEMON_URL", "")
NUMBER = "+254711000001"
ROLLED_BACK = pytest.mark.django_db
COMMITTED = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_kept_keys() -> Iterator[None]:
    keys._rings.clear()
    yield
    keys._rings.clear()


def queue(name: str = "Support", **changes: Any) -> QueuePolicy:
    return dataclasses.replace(QueuePolicy(queue=QueueId("q1"), name=name), **changes)


def line(**changes: Any) -> InboundNumber:
    made = InboundNumber(number=NumberId("n1"), trunk="trunk", dialled="+254700000001", queue=QueueId("q1"))
    return dataclasses.replace(made, **changes)


def agent_row(tenant: str, **changes: Any) -> RosterRow:
    made = RosterRow(
        tenant=TenantId(tenant),
        agent=AgentId("a1"),
        version=0,
        active=True,
        memberships=((QueueId("q2"), 1), (QueueId("q1"), 0)),
        devices=(Device(endpoint=Endpoint("d0123456789ab"), kind=DeviceKind.SIP, digest="0" * 32),),
    )
    return dataclasses.replace(made, **changes)


# --- publishing -----------------------------------------------------------------------------------------


@ROLLED_BACK
def test_versions_grow_only_with_changes_and_every_one_stays(tenant: Any) -> None:
    first = published.publish_policy(tenant.pk, numbers=[line()], queues=[queue()], actor="me")
    assert (first.manifest.version, first.hash) == (1, codec.content_hash(first.manifest))
    assert published.publish_policy(tenant.pk, numbers=[line()], queues=[queue()]) == first
    second = published.publish_policy(tenant.pk, numbers=[], queues=[queue(ring_seconds=5)])
    assert second.manifest.version == 2
    back = published.publish_again(tenant.pk, 1)
    assert back.manifest == dataclasses.replace(first.manifest, version=3)
    assert published.policy(tenant.pk) == back
    assert published.policy(tenant.pk, 2) == second
    assert [row["version"] for row in published.policy_versions(tenant.pk)] == [3, 2, 1]
    with pytest.raises(LookupError):
        published.publish_again(tenant.pk, 9)


@ROLLED_BACK
@pytest.mark.parametrize(
    ("queues", "numbers", "says"),
    [
        ([queue(ring_seconds=0)], [], "ring_seconds must be positive"),
        ([queue(wrap_up_seconds=-1)], [], "wrap_up_seconds is negative"),
        ([queue(wrap_up_extensions=-1)], [], "wrap_up_extensions is negative"),
        ([queue(name="  ")], [], "has no name"),
        ([queue(ring_seconds="20")], [], "is not of type 'integer'"),
        ([queue()], [line(queue=QueueId("other"))], "which is not published"),
        ([queue()], [line(dialled="0700")], "E.164"),
        ([queue()], [line(), line(number=NumberId("n2"))], "twice"),
    ],
)
def test_what_is_unfit_is_not_published(tenant: Any, queues: Any, numbers: Any, says: str) -> None:
    with pytest.raises(published.Unfit, match=says):
        published.publish_policy(tenant.pk, numbers=numbers, queues=queues)
    assert published.policy(tenant.pk) is None


@ROLLED_BACK
def test_a_roster_row_has_a_version_and_an_order(tenant: Any, other_tenant: Any) -> None:
    row = published.publish_roster(agent_row(tenant.pk))
    assert row.version == 1
    assert row.memberships == ((QueueId("q1"), 0), (QueueId("q2"), 1))
    assert published.publish_roster(agent_row(tenant.pk, version=7)) == row
    assert published.publish_roster(agent_row(tenant.pk, active=False)).version == 2
    assert [each.version for each in published.roster(tenant.pk)] == [2]
    assert published.roster(other_tenant.pk) == []
    for changes, says in (
        ({"devices": (Device(endpoint=Endpoint("100"), kind=DeviceKind.SIP, digest="0" * 32),)}, "endpoint"),
        (
            {"devices": (Device(endpoint=Endpoint("d0123456789ab"), kind=DeviceKind.SIP, digest="secret"),)},
            "MD5",
        ),
        ({"memberships": ((QueueId("q1"), 0), (QueueId("q1"), 1))}, "twice"),
    ):
        with pytest.raises(published.Unfit, match=says):
            published.publish_roster(agent_row(tenant.pk, **changes))


@COMMITTED
async def test_the_daemon_hears_of_what_was_committed_and_of_nothing_else(
    tenants: Any, tmp_path: Path
) -> None:
    tenant = tenants[0].pk
    feed = PublishedFeed(DAEMON, tmp_path / "cache", sealing.master_key(os.environ["MURIMA_MASTER_KEY"]))
    updates = feed.updates()
    async with asyncio.timeout(20):
        while not isinstance(await anext(updates), Complete):
            pass
        await tenant_db(tenant, _publish_and_roll_back, tenant)
        policy = await tenant_db(
            tenant, published.publish_policy, tenant, numbers=[line()], queues=[queue("Second")]
        )
        assert await anext(updates) == policy
        row = await tenant_db(tenant, published.publish_roster, agent_row(tenant))
        assert await anext(updates) == row
        ring = await tenant_db(tenant, keys.ring, tenant)
        while (heard := feed.ring(TenantId(tenant))) is None:
            await asyncio.wait_for(_nudge(tenant, updates), 10)
    party = sealing.seal_party(heard, PartyId("p"), NUMBER, "Amina")
    assert sealing.open_party(ring, party).number == NUMBER


async def _nudge(tenant: str, updates: Any) -> None:
    await tenant_db(tenant, published.publish_roster, agent_row(tenant, active=False))
    await anext(updates)


def _publish_and_roll_back(tenant: str) -> None:
    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic():
        published.publish_policy(tenant, numbers=[], queues=[queue("First")])
        raise Undone


@ROLLED_BACK
def test_policy_publish_command(tenant: Any, capsys: pytest.CaptureFixture[str]) -> None:
    published.publish_policy(tenant.pk, numbers=[], queues=[queue()])
    published.publish_policy(tenant.pk, numbers=[], queues=[queue("Other")])
    call_command("policy_publish", "mto", "--to", "1", "--json")
    assert json.loads(capsys.readouterr().out)["version"] == 3
    call_command("policy_publish", tenant.pk, "--list", "--json")
    assert [row["version"] for row in json.loads(capsys.readouterr().out)] == [3, 2, 1]
    with pytest.raises(Exit, match="no tenant"):
        call_command("policy_publish", "nobody")
    with pytest.raises(Exit, match="no policy of version"):
        call_command("policy_publish", "mto", "--to", "99")


def test_the_committed_schemas_are_what_the_contract_says() -> None:
    assert schemas.main(["--check"]) == 0
    assert schemas.main(["--nonsense"]) == 2


# --- keys and parties -----------------------------------------------------------------------------------


def store_party(tenant: str, ring: sealing.Keyring, number: str, name: str = "Amina") -> str:
    """As the daemon's follower does it."""
    party = sealing.seal_party(ring, PartyId(os.urandom(8).hex()), number, name)
    with psycopg.connect(DAEMON, autocommit=True, options="-c murima.tenant=*") as own:
        own.execute(
            "INSERT INTO log_party (tenant, party, key, sealed, digest) VALUES (%s, %s, %s, %s, %s)",
            (tenant, party.party, party.key, party.sealed, party.digest or None),
        )
    return party.party


@COMMITTED
def test_parties_are_read_found_rotated_and_erased(tenants: Any, clean_redis: Any) -> None:
    one, two = tenants[0].pk, tenants[1].pk
    ring = keys.ring(one)
    keys.ring(two)
    party = store_party(one, ring, NUMBER)
    withheld = store_party(one, ring, "", "")
    assert parties.read(one, party) == sealing.Caller(number=NUMBER, name="Amina")
    assert parties.read(one, withheld) == sealing.Caller(number="", name="")
    assert parties.read(one, "unknown") is None
    assert parties.read(two, party) is None, "another tenant's"
    assert keys.rotate(one) == 2
    later = store_party(one, keys.ring(one), NUMBER)
    assert parties.same_caller(one, NUMBER) == sorted([party, later]), "under both versions"
    assert parties.same_caller(two, NUMBER) == []
    assert parties.same_caller(one, "") == []
    assert keys.reseal(one, batch=1) == 2
    assert keys.reseal(one) == 0
    assert parties.read(one, party) == sealing.Caller(number=NUMBER, name="Amina")
    assert parties.same_caller(one, NUMBER) == sorted([party, later])
    clean_redis.xadd(f"murima:{one}:up", {"k": "party", "d": _frame(one, ring, party)})
    clean_redis.xadd(f"murima:{one}:up", {"k": "party", "d": _frame(one, ring, later)})
    assert not parties.erase(two, party)
    assert parties.erase(one, party)
    assert not parties.erase(one, party)
    assert parties.read(one, party) is None
    assert parties.same_caller(one, NUMBER) == [later]
    left = [
        codec.decode_party(fields["d"].encode()).party for _, fields in clean_redis.xrange(f"murima:{one}:up")
    ]
    assert left == [later], "its copy in the stream is gone, too"


def _frame(tenant: str, ring: sealing.Keyring, party: str) -> bytes:
    return codec.encode_party(sealing.seal_party(ring, PartyId(party), NUMBER, "x"))


@ROLLED_BACK
def test_a_tenant_has_one_active_key_and_keys_are_wrapped(tenant: Any) -> None:
    keys.ring(tenant.pk)
    keys.rotate(tenant.pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT version, active, length(wrapped) FROM public.tenant_key ORDER BY version")
        assert cursor.fetchall() == [(1, False, 60), (2, True, 60)]
    assert keys.ring(tenant.pk).active == 2
    assert [row.version for row in keys.ensure(tenant.pk)] == [1, 2]


# --- the log and asks -----------------------------------------------------------------------------------


@COMMITTED
async def test_the_log_is_read_per_tenant(tenants: Any, tmp_path: Path) -> None:
    one, two = TenantId(tenants[0].pk), TenantId(tenants[1].pk)
    daemon = await FileLog.open(tmp_path, DAEMON, "0")
    await daemon.recover()
    watch = asyncio.create_task(daemon.watch())
    writer = Writer(daemon.epoch)
    entries = writer.some(one, 25)
    daemon.append(entries + writer.some(two, 2), [])
    assert await daemon.committed(one, 25, 10) == "ok"
    view = View(tenant=one, seq=25)
    await daemon.checkpoint(view)
    async with asyncio.timeout(10):
        while await tenant_db(one, log.checkpoint, one) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    await daemon.close()
    assert await tenant_db(one, log.read, one, after=0, limit=10) == entries[:10]
    assert await tenant_db(one, log.read, one, after=20) == entries[20:]
    assert await tenant_db(one, log.checkpoint, one) == view
    assert await tenant_db(one, log.head, one) == 25
    assert len(await tenant_db(two, log.read, two, after=0)) == 2
    assert await tenant_db(two, _nothing_of, one) == (0, "")


def _nothing_of(tenant: str) -> tuple[int, str]:
    """What a query that forgot to say its tenant sees, also right after one that did."""
    with transaction.atomic():
        log.read(tenant, after=0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), current_setting('murima.tenant') FROM public.log_fact")
            row = cursor.fetchone()
    return row[0], row[1]


@COMMITTED
async def test_asks_reach_the_daemon(tenants: Any, clean_redis: Any) -> None:
    tenant = TenantId(tenants[0].pk)
    bus = RedisBus(
        os.environ["MURIMA_REDIS_URL"], os.environ["MURIMA_ASK_KEY"].encode(), MemoryLog().tail("bus")
    )
    bus.serve({tenant})
    body = SetStatus(agent=AgentId("a"), intent=Intent.READY)
    await asks.send_async(tenant, body, actor="a", ask_id=AskId("one"))
    await tenant_db(tenant, asks.send, tenant, AskId("two"), "a", body)
    found = []
    async with asyncio.timeout(10):
        async for each in bus.asks():
            found.append(each)
            if len(found) == 2:
                break
    await bus.close()
    assert [each.id for each in found] == ["one", "two"]
    assert found[0].body == body
    assert 0 < found[0].expires - time.time_ns() // 1000 <= 2_000_000
