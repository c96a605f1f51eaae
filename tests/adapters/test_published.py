"""What Django publishes reaches the daemon: with the database, without it, and between versions."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from telephony import codec, sealing
from telephony.adapters.log.published import PublishedFeed
from telephony.contract.ids import Endpoint, NumberId, PartyId, QueueId, TenantId
from telephony.contract.policy import InboundNumber, Manifest, Policy, QueuePolicy
from telephony.contract.roster import Device, DeviceKind, RosterRow
from telephony.ports.published import Complete, Suspended
from tests.adapters.log_kit import MASTER, ONE, TWO, Proxy, Urls, agent

pytestmark = pytest.mark.database
QUEUE = QueuePolicy(queue=QueueId("q1"), name="Support")


class Publisher:
    """Writes as web.shared.core.published does, without Django: the feed sees only tables and notices."""

    def __init__(self, urls: Urls) -> None:
        self._urls = urls

    def policy(self, tenant: TenantId, version: int, *queues: QueuePolicy) -> Manifest:
        manifest = Manifest(
            tenant=tenant,
            version=version,
            queues=tuple((queue.queue, codec.content_hash(queue)) for queue in queues),
            numbers=(
                InboundNumber(
                    number=NumberId("n"), trunk="t", dialled="+254700000000", queue=queues[0].queue
                ),
            ),
        )
        with psycopg.connect(self._urls.app) as connection:
            for queue in queues:
                connection.execute(
                    "INSERT INTO policy_blob VALUES (%s, %s, 'queue', %s) ON CONFLICT DO NOTHING",
                    (tenant, codec.content_hash(queue), codec.canonical(queue).decode()),
                )
            connection.execute(
                "INSERT INTO policy_release VALUES (%s, %s, %s, %s)",
                (tenant, version, codec.content_hash(manifest), codec.canonical(manifest).decode()),
            )
            connection.execute("SELECT pg_notify('murima_published', 'x')")
        return manifest

    def roster(self, row: RosterRow) -> None:
        with psycopg.connect(self._urls.app) as connection:
            connection.execute(
                "INSERT INTO roster_entry VALUES (%s, %s, %s, %s) ON CONFLICT (tenant, agent) "
                "DO UPDATE SET version = excluded.version, data = excluded.data",
                (row.tenant, row.agent, row.version, codec.canonical(row).decode()),
            )
            connection.execute("SELECT pg_notify('murima_published', 'x')")

    def key(self, tenant: TenantId, version: int) -> sealing.WrappedKey:
        made = sealing.new_wrapped_key(MASTER, tenant, version)
        with psycopg.connect(self._urls.app) as connection:
            connection.execute("UPDATE tenant_key SET active = false WHERE tenant = %s", (tenant,))
            connection.execute(
                "INSERT INTO tenant_key VALUES (%s, %s, %s, true)", (tenant, version, made.wrapped)
            )
            connection.execute("SELECT pg_notify('murima_published', 'x')")
        return made


def row(n: int, version: int = 1, **changes: Any) -> RosterRow:
    made = RosterRow(
        tenant=ONE,
        agent=agent(n),
        version=version,
        active=True,
        memberships=((QueueId("q1"), 0),),
        devices=(Device(endpoint=Endpoint("d00000000000a"), kind=DeviceKind.SIP, digest="0" * 32),),
    )
    return dataclasses.replace(made, **changes)


async def first(updates: AsyncIterator[Any]) -> tuple[list[Any], Complete]:
    found: list[Any] = []
    async with asyncio.timeout(20):
        async for each in updates:
            if isinstance(each, Complete):
                return found, each
            found.append(each)
    raise AssertionError("it ended")


async def next_of(updates: AsyncIterator[Any]) -> Any:
    async with asyncio.timeout(10):
        return await anext(updates)


async def test_latest_first_then_every_change(log_database: Urls, tmp_path: Path) -> None:
    publish = Publisher(log_database)
    publish.policy(ONE, 1, QUEUE)
    newest = publish.policy(ONE, 2, dataclasses.replace(QUEUE, ring_seconds=5))
    publish.roster(row(1))
    publish.key(ONE, 1)
    feed = PublishedFeed(log_database.daemon, tmp_path / "published.json", MASTER)
    updates = feed.updates()
    found, complete = await first(updates)
    assert not complete.stale
    assert found == [
        Policy(
            hash=codec.content_hash(newest),
            manifest=newest,
            queues={QUEUE.queue: dataclasses.replace(QUEUE, ring_seconds=5)},
        ),
        row(1),
    ]
    publish.roster(row(1, 2, active=False))
    assert await next_of(updates) == row(1, 2, active=False)
    publish.roster(row(2))
    assert await next_of(updates) == row(2)
    again = publish.policy(ONE, 3, QUEUE)
    assert (await next_of(updates)).manifest == again
    assert feed.queue_policy(ONE, codec.content_hash(dataclasses.replace(QUEUE, ring_seconds=5))) is not None
    publish.policy(TWO, 1, QUEUE)
    assert (await next_of(updates)).manifest.tenant == TWO


async def test_a_lost_notice_is_found_by_the_poll(
    log_database: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.adapters.log.published.POLL_SECONDS", 0.3)
    feed = PublishedFeed(log_database.daemon, tmp_path / "published.json", MASTER)
    updates = feed.updates()
    await first(updates)
    with psycopg.connect(log_database.app, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO roster_entry VALUES (%s, %s, 1, %s)",
            (ONE, agent(1), codec.canonical(row(1)).decode()),
        )
    assert await next_of(updates) == row(1)


async def test_a_start_without_postgres_takes_the_cache_and_catches_up(
    log_database: Urls, tmp_path: Path
) -> None:
    publish = Publisher(log_database)
    publish.policy(ONE, 1, QUEUE)
    publish.roster(row(1))
    publish.key(ONE, 1)
    cache = tmp_path / "published.json"
    async with Proxy(log_database.daemon) as proxy:
        await first(PublishedFeed(proxy.url, cache, MASTER).updates())
        assert cache.stat().st_mode & 0o777 == 0o600
        proxy.away()
        publish.roster(row(1, 2, active=False))
        feed = PublishedFeed(proxy.url, cache, MASTER)
        updates = feed.updates()
        found, complete = await first(updates)
        assert complete.stale
        assert [type(each) for each in found] == [Policy, RosterRow]
        assert feed.ring(ONE) is not None
        proxy.mode = "pass"
        assert await next_of(updates) == row(1, 2, active=False)


async def test_an_unreadable_cache_is_no_cache(log_database: Urls, tmp_path: Path) -> None:
    cache = tmp_path / "published.json"
    cache.write_bytes(b"\x00garbage")
    Publisher(log_database).policy(ONE, 1, QUEUE)
    found, complete = await first(PublishedFeed(log_database.daemon, cache, MASTER).updates())
    assert len(found) == 1
    assert not complete.stale


async def test_a_row_of_another_shape_is_left_out(log_database: Urls, tmp_path: Path) -> None:
    publish = Publisher(log_database)
    publish.roster(row(1))
    with psycopg.connect(log_database.app, autocommit=True) as connection:
        connection.execute("INSERT INTO roster_entry VALUES (%s, 'x', 1, %s)", (ONE, '{"agent": 5}'))
    found, _ = await first(PublishedFeed(log_database.daemon, tmp_path / "c", MASTER).updates())
    assert found == [row(1)]


async def test_keys_seal_and_rotate(log_database: Urls, tmp_path: Path) -> None:
    publish = Publisher(log_database)
    one = publish.key(ONE, 1)
    feed = PublishedFeed(log_database.daemon, tmp_path / "c", MASTER)
    updates = feed.updates()
    await first(updates)
    held = feed.ring(ONE)
    assert held is not None
    party = sealing.seal_party(held, PartyId("p"), "+254711000000", "Ünal <img>")
    assert party.key == 1
    assert feed.ring(TWO) is None
    two = publish.key(ONE, 2)
    publish.roster(row(1))
    await next_of(updates)
    held = feed.ring(ONE)
    assert held is not None
    renewed = sealing.seal_party(held, PartyId("p2"), "+254711000000", "")
    assert renewed.key == 2
    ring = sealing.keyring(MASTER, [dataclasses.replace(one, active=False), two])
    assert sealing.open_party(ring, party).name == "Ünal <img>"
    assert sealing.open_party(ring, renewed).number == "+254711000000"


def refused(url: str, statement: str) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return True
    return False


def test_the_daemon_only_reads(log_database: Urls) -> None:
    for table in ("policy_blob", "policy_release", "roster_entry", "tenant_key"):
        assert refused(log_database.daemon, f"DELETE FROM {table}")
        assert not refused(log_database.daemon, f"SELECT FROM {table}")
    assert refused(log_database.app, "DELETE FROM policy_release")


async def test_who_is_suspended_is_told_kept_and_lifted(log_database: Urls, tmp_path: Path) -> None:
    def stand(tenant: TenantId, status: str) -> None:
        with psycopg.connect(log_database.app) as connection:
            connection.execute(
                "INSERT INTO tenants_tenant VALUES (%s, %s) ON CONFLICT (schema_name) "
                "DO UPDATE SET status = excluded.status",
                (tenant, status),
            )
            connection.execute("SELECT pg_notify('murima_published', 'x')")

    stand(ONE, "active")
    cache = tmp_path / "published.json"
    updates = PublishedFeed(log_database.daemon, cache, MASTER).updates()
    await first(updates)
    stand(ONE, "suspended")
    assert await next_of(updates) == Suspended(tenants=frozenset({ONE}))
    stand(TWO, "suspended")
    assert await next_of(updates) == Suspended(tenants=frozenset({ONE, TWO}))
    stand(ONE, "active")
    assert await next_of(updates) == Suspended(tenants=frozenset({TWO}))
    found, _ = await first(PublishedFeed(log_database.daemon, cache, MASTER).updates())
    assert found[0] == Suspended(tenants=frozenset({TWO}))
    away = PublishedFeed("postgresql://murima_daemon@127.0.0.1:9/nothing", cache, MASTER)
    away._cache.versions = {ONE: 1}
    found, complete = await first(away.updates())
    assert complete.stale and found == [Suspended(tenants=frozenset({TWO}))]
