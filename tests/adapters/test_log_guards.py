"""The log where no other test goes: what keeps two writers apart, and two commits of one writer."""

from __future__ import annotations

import asyncio
import threading
from datetime import date
from pathlib import Path

import psycopg
import pytest

from telephony import codec
from telephony.adapters.log.postgres import Database, Diverged, connected
from telephony.adapters.log.records import ENTRY, Record
from telephony.contract.ids import TenantId
from telephony.contract.view import View
from telephony.ports.log import Fenced
from tests.adapters.log_kit import BIRTH, ONE, Proxy, Urls, Writer, opened, rows

pytestmark = pytest.mark.database

DAY = date.fromtimestamp(BIRTH / 1_000_000)


def records(epoch: int, count: int) -> list[Record]:
    return [Record(ENTRY, codec.encode_entry(entry)) for entry in Writer(epoch).some(ONE, count)]


def checkpoint(seq: int) -> tuple[TenantId, int, int, bytes]:
    return ONE, seq, BIRTH, codec.encode_view(View(tenant=ONE, seq=seq))


async def kept(database: Database) -> int | None:
    found = (await database.checkpoints()).get(ONE)
    return None if found is None else found.seq


async def test_a_fenced_writer_keeps_no_checkpoint(log_database: Urls) -> None:
    async with connected(log_database.daemon, "0") as first, connected(log_database.daemon, "0") as second:
        epoch = await first.take("first", 0)
        await first.commit(epoch, records(epoch, 3))
        await first.keep_checkpoint(epoch, checkpoint(1))
        await second.take("second", 0)
        with pytest.raises(Fenced):
            await first.keep_checkpoint(epoch, checkpoint(3))
        assert await kept(second) == 1


async def test_an_older_checkpoint_never_replaces_a_newer(log_database: Urls) -> None:
    async with connected(log_database.daemon, "0") as writer:
        epoch = await writer.take("me", 0)
        await writer.commit(epoch, records(epoch, 3))
        for seq in (3, 2):
            await writer.keep_checkpoint(epoch, checkpoint(seq))
        assert await kept(writer) == 3


async def test_a_fact_that_is_there_before_its_time_stops_the_writer(log_database: Urls) -> None:
    with psycopg.connect(log_database.superuser, autocommit=True) as connection:
        connection.execute("SELECT log_partition(%s)", (DAY,))
        connection.execute(
            "INSERT INTO log_fact VALUES (%s, 1, %s, 1, %s, 'X', '{}')", (ONE, DAY, BIRTH + 1000)
        )
    async with connected(log_database.daemon, "0") as writer:
        epoch = await writer.take("me", 0)
        with pytest.raises(Diverged):
            await writer.commit(epoch, records(epoch, 2))
    assert rows(log_database.daemon, "SELECT seq, type FROM log_fact") == [(1, "X")]


async def test_a_commit_waits_for_one_of_unknown_outcome(log_database: Urls) -> None:
    """The connection broke, the server is still at work on our commit, and we send it again on another."""
    async with connected(log_database.daemon, "0") as first, connected(log_database.daemon, "0") as again:
        epoch = await first.take("me", 0)
        one, two = records(epoch, 2)
        await first.commit(epoch, [one])
        async with first._connection.transaction():
            await first._facts(epoch, [codec.entry_columns(two.payload)])
            retry = asyncio.create_task(again.commit(epoch, [two]))
            await asyncio.to_thread(until_somebody_waits, log_database.superuser)
        assert await retry == {ONE: 2}
    assert rows(log_database.daemon, "SELECT seq FROM log_fact ORDER BY seq") == [(1,), (2,)]


def until_somebody_waits(url: str) -> None:
    """Returns when a statement in this database waits for a lock, and after five seconds at the latest."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(500):
            row = connection.execute(
                "SELECT count(*), pg_sleep(0.01) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            if row is not None and row[0]:
                return


async def test_without_postgres_an_answer_waits_for_the_disk(
    log_database: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Proxy(log_database.daemon) as proxy:
        async with opened(tmp_path, proxy.url):
            pass
        proxy.away()
        async with opened(tmp_path, proxy.url) as (log, writer):
            disk, sync = threading.Event(), log.segments.sync

            def slow() -> None:
                disk.wait(30)
                sync()

            monkeypatch.setattr(log.segments, "sync", slow)
            try:
                log.append(writer.some(ONE, 1), [])
                with pytest.raises(TimeoutError):
                    await log.committed(ONE, 1, 0.2)
                answer = asyncio.create_task(log.committed(ONE, 1, 20))
                for _ in range(20):
                    await asyncio.sleep(0)
            finally:
                disk.set()
            assert await answer == "pending"
