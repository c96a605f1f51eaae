"""Who owns the log: one epoch at a time, whoever is fenced writes nothing, and a start without PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from telephony.adapters.log.claim import DatabaseNeeded
from telephony.adapters.log.log import FileLog
from telephony.adapters.log.postgres import Diverged, connected
from telephony.adapters.log.records import ENTRY, Record
from telephony.adapters.log.segment import InUse
from telephony.codec import encode_entry
from telephony.ports.log import Fenced
from tests.adapters.log_kit import ONE, Proxy, Urls, Writer, facts, opened, rows, until

pytestmark = pytest.mark.database


async def test_a_fenced_writer_writes_nothing(log_database: Urls, tmp_path: Path) -> None:
    first = await FileLog.open(tmp_path / "a", log_database.daemon, "0")
    await first.recover()
    old = Writer(first.epoch)
    first.append(old.some(ONE, 3), [])
    watch = asyncio.create_task(first.watch())
    assert await first.committed(ONE, 3, 10) == "ok"
    async with opened(tmp_path / "b", log_database.daemon) as (second, writer):
        assert second.epoch == first.epoch + 1
        first.append(old.some(ONE, 4), [])
        with pytest.raises(Fenced):
            await watch
        with pytest.raises(Fenced):
            first.append(old.some(ONE, 1), [])
        with pytest.raises(Fenced):
            await first.committed(ONE, 7, 1)
        assert not await first.still_ours(1)
        second.append(writer.some(ONE, 2), [])
        assert await second.committed(ONE, 5, 10) == "ok"
    await first.close()
    assert rows(log_database.daemon, "SELECT seq, epoch FROM log_fact ORDER BY seq") == [
        (1, 1), (2, 1), (3, 1), (4, 2), (5, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("begin", ["_fence", "_positions"])
async def test_nobody_takes_the_epoch_in_the_middle_of_a_commit(
    log_database: Urls, tmp_path: Path, begin: str
) -> None:
    """A commit of facts begins with their positions, one of a checkpoint or of keys with the fence alone."""
    async with opened(tmp_path, log_database.daemon):
        pass
    async with connected(log_database.daemon, "0") as writer, connected(log_database.daemon, "0") as other:
        async with writer._connection.transaction():
            await (writer._fence(1) if begin == "_fence" else writer._positions(1, [ONE]))
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await other.take("other", 0)
        assert await other.take("other", 0) == 2
        with pytest.raises(Fenced):
            await writer.commit(1, [])


async def test_no_hole_is_written(log_database: Urls) -> None:
    async with connected(log_database.daemon, "0") as writer:
        epoch = await writer.take("me", 0)
        first, _, third = (Record(ENTRY, encode_entry(entry)) for entry in Writer(epoch).some(ONE, 3))
        for batch in ([third], [first, third]):
            with pytest.raises(Diverged):
                await writer.commit(epoch, batch)
        assert facts(log_database) == []
        assert await writer.commit(epoch, [first]) == {ONE: 1}


async def test_an_idle_writer_learns_that_it_is_fenced(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path / "a", log_database.daemon) as (first, _):
        await until(lambda: not first.away)
        async with opened(tmp_path / "b", log_database.daemon):
            assert not await first.still_ours(5)


async def test_a_start_without_postgres_is_provisional_and_confirmed(
    log_database: Urls, tmp_path: Path
) -> None:
    async with Proxy(log_database.daemon) as proxy:
        async with opened(tmp_path, proxy.url) as (log, writer):
            log.append(writer.some(ONE, 3), [])
            await log.committed(ONE, 3, 10)
            proxy.away()
            log.append(writer.some(ONE, 3), [])
        for _ in range(2):
            async with opened(tmp_path, proxy.url) as (log, writer):
                assert log.provisional
                assert writer.seqs[ONE] in (6, 7)
                log.append(writer.some(ONE, 1), [])
                assert await log.committed(ONE, writer.seqs[ONE], 10) == "pending"
                last = log.epoch
        proxy.mode = "pass"
        async with opened(tmp_path, proxy.url) as (log, writer):
            assert log.epoch == last + 1
            log.append(writer.some(ONE, 1), [])
            await until(lambda: not log.away)
            assert await log.committed(ONE, 9, 10) == "ok"
    assert facts(log_database) == list(range(1, 10))


async def test_a_provisional_epoch_is_confirmed_while_running(log_database: Urls, tmp_path: Path) -> None:
    async with Proxy(log_database.daemon) as proxy:
        async with opened(tmp_path, proxy.url):
            pass
        proxy.away()
        async with opened(tmp_path, proxy.url) as (log, writer):
            log.append(writer.some(ONE, 1), [])
            proxy.mode = "pass"
            await until(lambda: not log.away)
            assert await log.committed(ONE, 1, 10) == "ok"
            assert not log.provisional


async def test_a_provisional_owner_yields_to_a_newer_one(log_database: Urls, tmp_path: Path) -> None:
    async with Proxy(log_database.daemon) as proxy:
        async with opened(tmp_path / "a", proxy.url):
            pass
        proxy.away()
        log = await FileLog.open(tmp_path / "a", proxy.url, "0")
        await log.recover()
        log.append(Writer(log.epoch).some(ONE, 2), [])
        async with opened(tmp_path / "b", log_database.daemon) as (other, writer):
            other.append(writer.some(ONE, 1), [])
            await other.committed(ONE, 1, 10)
            proxy.mode = "pass"
            with pytest.raises(Fenced):
                await log.watch()
        await log.close()
        assert facts(log_database) == [1]
        async with opened(tmp_path / "a", proxy.url) as (log, writer):
            assert writer.seqs[ONE] == 1, "what was never committed is set aside, not written late"
            log.append(writer.some(ONE, 1), [])
            assert await log.committed(ONE, 2, 10) == "ok"
        assert list((tmp_path / "a").glob("aside-*/*.seg"))


async def test_another_writer_of_the_same_numbers_is_told_apart(log_database: Urls, tmp_path: Path) -> None:
    log = await FileLog.open(tmp_path, log_database.daemon, "0")
    await log.recover()
    log.append(Writer(log.epoch).some(ONE, 3), [])
    with psycopg.connect(log_database.superuser, autocommit=True) as connection:
        connection.execute("INSERT INTO log_position VALUES (%s, '0', 2, 0)", (ONE,))
        connection.execute("SELECT log_partition('2026-09-21')")
        connection.execute(
            "INSERT INTO log_fact VALUES (%s, 1, '2026-09-21', 1, 1789948800000000, 'X', '{}')", (ONE,)
        )
    with pytest.raises(Diverged):
        await log.watch()
    await log.close()


async def test_one_process_per_directory(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon):
        with pytest.raises(InUse):
            await FileLog.open(tmp_path, log_database.daemon, "0")


async def test_a_new_directory_needs_postgres(log_database: Urls, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("telephony.adapters.log.claim.FIRST_CLAIM_SECONDS", 0.5)
    async with Proxy(log_database.daemon) as proxy:
        proxy.away()
        with pytest.raises(DatabaseNeeded):
            await FileLog.open(tmp_path, proxy.url, "0")
