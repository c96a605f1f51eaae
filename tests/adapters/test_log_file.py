"""The log with a real PostgreSQL: what is acknowledged stays, once, whatever stops."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from telephony.adapters.log import log as log_module
from telephony.adapters.log.log import FileLog
from telephony.adapters.log.memory import MemoryLog, Store
from telephony.adapters.log.recovery import Unrecoverable
from telephony.contract import facts as f
from telephony.contract.frames import Entry
from telephony.contract.ids import AskId, TenantId
from telephony.contract.view import View, apply
from telephony.ports.log import Log
from tests.adapters.log_kit import (
    ONE,
    TWO,
    Proxy,
    Urls,
    Writer,
    a_party,
    agent,
    facts,
    new_call,
    opened,
    rows,
    until,
)  # fmt: skip

pytestmark = pytest.mark.database


def segment_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.seg"))


def fold(tenant: TenantId, entries: list[Entry]) -> View:
    view = View(tenant=tenant)
    for entry in entries:
        apply(view, entry)
    return view


# --- the port's promises, on both implementations -------------------------------------------------------


@pytest.fixture(params=["file", "memory"])
async def any_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], object]]:
    """A factory of logs: each call is a restart."""
    running: list[tuple[Log, asyncio.Task[None]]] = []

    async def start() -> Log:
        log: Log
        if running:
            await stop()
        if request.param == "memory":
            log = MemoryLog(stores[0] if stores else None)
            stores[:] = [log.store]
        else:
            urls: Urls = request.getfixturevalue("log_database")
            log = await FileLog.open(tmp_path / "0", urls.daemon, "0")
        await log.recover()
        running.append((log, asyncio.create_task(log.watch())))
        return log

    async def stop() -> None:
        log, watch = running.pop()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await log.close()  # type: ignore[attr-defined]

    stores: list[Store] = []
    if request.param == "file":
        request.getfixturevalue("log_database")
    yield start
    while running:
        await stop()


class TestPort:
    async def test_committed_facts_come_back_after_a_restart(self, any_log) -> None:
        log = await any_log()
        writer = Writer(log.epoch)
        entries = writer.some(ONE, 30)
        log.append(entries[:20], [])
        assert await log.committed(ONE, 20, 10) in ("ok", "pending")
        await log.checkpoint(fold(ONE, entries[:20]))
        log.append(entries[20:], [])
        log.append(writer.some(TWO, 3), [a_party(TWO)])
        again = await any_log()
        assert again.epoch > log.epoch
        views = await again.recover()
        assert views[ONE] == fold(ONE, entries)
        assert views[TWO].seq == 3

    async def test_order_and_epoch_are_checked_before_anything_is_written(self, any_log) -> None:
        log = await any_log()
        writer = Writer(log.epoch)
        entries = writer.some(ONE, 3)
        with pytest.raises(ValueError, match="cannot follow"):
            log.append([entries[1]], [])
        with pytest.raises(ValueError, match="cannot follow"):
            log.append([entries[0], entries[2]], [])
        with pytest.raises(ValueError, match="cannot follow"):
            log.append(Writer(log.epoch + 1).some(ONE, 1), [])
        log.append(entries, [])
        assert (await (await any_log()).recover())[ONE].seq == 3

    async def test_two_followers_at_their_own_positions(self, any_log) -> None:
        log = await any_log()
        writer = Writer(log.epoch)
        log.append(writer.some(ONE, 2), [a_party(ONE)])
        fast, slow = log.tail("fast"), log.tail("slow")
        assert [kind for kind, _, _ in await fast.batch()] == ["party", "fact", "fact"]
        fast.passed()
        log.append(writer.some(TWO, 1), [])
        assert [tenant for _, tenant, _ in await fast.batch()] == [TWO]
        assert [tenant for _, tenant, _ in await fast.batch()] == [TWO], "not passed: the same again"
        assert len(await slow.batch()) == 4

    async def test_the_epoch_is_still_ours(self, any_log) -> None:
        log = await any_log()
        assert await log.still_ours(5)


# --- PostgreSQL -----------------------------------------------------------------------------------------


async def test_rows_hold_what_was_written(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        party, call = a_party(ONE), new_call()
        asked = writer.some(ONE, 1)[0]
        arrival = writer.arrival(ONE, call, party.party)
        log.append([asked, arrival], [party])
        assert await log.committed(ONE, 2, 10) == "ok"
        found = rows(
            log_database.daemon, "SELECT tenant, seq, epoch, at, type, data::text FROM log_fact ORDER BY seq"
        )
        assert [row[:5] for row in found] == [
            (ONE, 1, log.epoch, asked.at, "DesktopSeen"),
            (ONE, 2, log.epoch, arrival.at, "CallArrived"),
        ]
        assert call in found[1][5]
        kept = rows(log_database.daemon, "SELECT party, key, sealed, digest, erased FROM log_party")
        assert kept == [(party.party, 1, party.sealed, party.digest, None)]


async def test_followers_hear_a_moment_after_the_step_unless_somebody_waits(
    log_database: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        tail = log.tail("bus")
        monkeypatch.setattr(log_module, "LEAD_SECONDS", 30)
        log.append(writer.some(ONE, 1), [])
        await until(lambda: log.segments.synced == log.segments.end)  # whatever else moves
        assert await tail.batch(0.05) == [] and facts(log_database) == []
        assert await log.committed(ONE, 1, 10) == "ok"
        assert len(await tail.batch(0)) == 1 and facts(log_database) == [1]
        tail.passed()
        monkeypatch.setattr(log_module, "LEAD_SECONDS", 0.001)
        log.append(writer.some(ONE, 1), [])
        assert len(await tail.batch(10)) == 1


async def test_nobody_changes_or_deletes_a_fact(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        log.append(writer.some(ONE, 2), [])
        await log.committed(ONE, 2, 10)
    partition = rows(log_database.superuser, "SELECT tableoid::regclass::text FROM log_fact LIMIT 1")[0][0]
    for url in (log_database.daemon, log_database.app):
        for statement in (
            "UPDATE log_fact SET type = 'x'",
            "DELETE FROM log_fact",
            "TRUNCATE log_fact",
            "DROP TABLE log_fact",
            f"SELECT * FROM {partition}",
            f"DELETE FROM {partition}",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                rows(url, statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(log_database.app, "INSERT INTO log_fact SELECT * FROM log_fact")


async def test_the_application_sees_one_tenant_at_a_time(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        party = a_party(TWO)
        log.append(writer.some(ONE, 2) + writer.some(TWO, 3), [a_party(ONE), party])
        await log.committed(TWO, 3, 10)
        await log.checkpoint(View(tenant=ONE, seq=2))
        await until(lambda: rows(log_database.daemon, "SELECT 1 FROM log_checkpoint") == [(1,)])
    for table, counts in (
        ("log_fact", (2, 3)),
        ("log_party", (1, 1)),
        ("log_checkpoint", (1, 0)),
        ("log_position", (1, 1)),
    ):
        for setting, expected in (("", 0), ("*", 0), (ONE, counts[0]), (TWO, counts[1])):
            with psycopg.connect(log_database.app, autocommit=True) as connection:
                connection.execute("SELECT set_config('murima.tenant', %s, false)", (setting,))
                found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert found == (expected,), (table, setting)
    with psycopg.connect(log_database.app, autocommit=True, options=f"-c murima.tenant={ONE}") as connection:
        erased = connection.execute("UPDATE log_party SET sealed = NULL, erased = now()").rowcount
    assert erased == 1
    assert rows(log_database.daemon, "SELECT sealed FROM log_party WHERE tenant = %s", TWO) == [
        (party.sealed,)
    ]


async def test_an_erased_party_stays_erased_when_its_commit_comes_again(
    log_database: Urls, tmp_path: Path
) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        party = a_party(ONE)
        log.append(writer.some(ONE, 1), [party])
        await log.committed(ONE, 1, 10)
    erase = "UPDATE log_party SET sealed = NULL, digest = NULL, key = NULL, erased = now()"
    with psycopg.connect(log_database.superuser, autocommit=True) as connection:
        connection.execute(erase)
    (tmp_path / "positions.json").unlink()
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        log._first_missing = lambda there: 0  # type: ignore[method-assign]  # everything is sent once more
        log.append(writer.some(ONE, 1), [])
        assert await log.committed(ONE, 2, 10) == "ok"
    assert rows(log_database.daemon, "SELECT sealed, digest FROM log_party") == [(None, None)]
    assert facts(log_database) == [1, 2]


async def test_postgres_away_facts_pend_and_then_are_there_once(log_database: Urls, tmp_path: Path) -> None:
    async with Proxy(log_database.daemon) as proxy, opened(tmp_path, proxy.url, size=2000) as (log, writer):
        log.append(writer.some(ONE, 5), [])
        assert await log.committed(ONE, 5, 10) == "ok"
        proxy.away()
        await until(lambda: log.away)
        for _ in range(40):
            log.append(writer.some(ONE, 5), [])
            await asyncio.sleep(0.005)
        assert await log.committed(ONE, 205, 10) == "pending"
        assert await log.still_ours(1)
        await asyncio.sleep(1.2)  # house-keeping runs: nothing that PostgreSQL lacks may be deleted
        assert facts(log_database) == list(range(1, 6))
        proxy.mode = "pass"
        log.append(writer.some(ONE, 1), [])
        await until(lambda: not log.away)
        assert await log.committed(ONE, 206, 10) == "ok"
        assert facts(log_database) == list(range(1, 207))


async def test_postgres_stopped_and_started(stack, log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        log.append(writer.some(ONE, 5), [])
        assert await log.committed(ONE, 5, 10) == "ok"
        await asyncio.to_thread(stack.keeper.hold, "postgres")
        try:
            await until(lambda: log.away)
            log.append(writer.some(ONE, 5), [])
            assert await log.committed(ONE, 10, 10) == "pending"
        finally:
            await asyncio.to_thread(stack.keeper.release, "postgres")
        log.append(writer.some(ONE, 5), [])
        await until(lambda: not log.away)
        assert await log.committed(ONE, 15, 10) == "ok"
        assert facts(log_database) == list(range(1, 16))


@pytest.mark.parametrize("answer_bytes", [1, 60, 90, 120, 160, 200, 260])
async def test_a_commit_whose_answer_is_lost_is_settled(
    log_database: Urls, tmp_path: Path, answer_bytes: int
) -> None:
    async with Proxy(log_database.daemon) as proxy, opened(tmp_path, proxy.url) as (log, writer):
        log.append(writer.some(ONE, 1), [])
        assert await log.committed(ONE, 1, 10) == "ok"
        proxy.fall_after = answer_bytes
        log.append(writer.some(ONE, 10), [a_party(ONE)])
        await until(lambda: proxy.fall_after is None)
        log.append(writer.some(ONE, 1), [])
        await until(lambda: not log.away and log._committed.get(ONE) == 12)
        assert facts(log_database) == list(range(1, 13))
        assert rows(log_database.daemon, "SELECT count(*) FROM log_party") == [(1,)]


async def test_half_open_connection_is_noticed(log_database: Urls, tmp_path: Path) -> None:
    async with Proxy(log_database.daemon) as proxy, opened(tmp_path, proxy.url) as (log, writer):
        log.append(writer.some(ONE, 1), [])
        assert await log.committed(ONE, 1, 10) == "ok"
        proxy.mode = "silent"
        log.append(writer.some(ONE, 1), [])
        assert await log.committed(ONE, 2, 1) == "pending"
        await until(lambda: log.away, 30)
        proxy.mode = "pass"
        await until(lambda: not log.away, 30)
        assert await log.committed(ONE, 2, 10) == "ok"


async def test_a_locked_table_delays_and_loses_nothing(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        log.append(writer.some(ONE, 1), [])
        await log.committed(ONE, 1, 10)
        with psycopg.connect(log_database.superuser) as locker:
            locker.execute("LOCK TABLE log_fact IN ACCESS EXCLUSIVE MODE")
            log.append(writer.some(ONE, 1), [])
            await until(lambda: log.away)
            assert await log.committed(ONE, 2, 5) == "pending"
        await until(lambda: not log.away)
        assert await log.committed(ONE, 2, 10) == "ok"


async def test_a_database_that_lost_its_last_commits_gets_them_again(
    log_database: Urls, tmp_path: Path
) -> None:
    """An asynchronous stand-by took over without the last second."""
    async with Proxy(log_database.daemon) as proxy, opened(tmp_path, proxy.url) as (log, writer):
        log.append(writer.some(ONE, 10), [])
        assert await log.committed(ONE, 10, 10) == "ok"
        proxy.away()
        await until(lambda: log.away)
        with psycopg.connect(log_database.superuser, autocommit=True) as connection:
            connection.execute("DELETE FROM log_fact WHERE seq > 6")
            connection.execute("UPDATE log_position SET seq = 6")
        proxy.mode = "pass"
        await until(lambda: not log.away)
        log.append(writer.some(ONE, 1), [])
        assert await log.committed(ONE, 11, 10) == "ok"
        assert facts(log_database) == list(range(1, 12))


# --- recovery -------------------------------------------------------------------------------------------


async def test_a_lost_directory_is_recovered_from_postgres(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path / "a", log_database.daemon) as (log, writer):
        entries = writer.some(ONE, 50)
        log.append(entries[:30], [])
        await log.committed(ONE, 30, 10)
        await log.checkpoint(fold(ONE, entries[:30]))
        await until(lambda: rows(log_database.daemon, "SELECT seq FROM log_checkpoint") == [(30,)])
        log.append(entries[30:], [])
        await log.committed(ONE, 50, 10)
    log = await FileLog.open(tmp_path / "b", log_database.daemon, "0")
    assert (await log.recover())[ONE] == fold(ONE, entries)
    await log.close()


async def test_a_lost_tail_is_filled_and_the_log_goes_on(log_database: Urls, tmp_path: Path) -> None:
    """The host lost its last moments; PostgreSQL had them."""
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        entries = writer.some(ONE, 20)
        for entry in entries:
            log.append([entry], [])
        await log.committed(ONE, 20, 10)
        third = log.segments.end // 3
    os.truncate(segment_files(tmp_path)[0], third)
    (tmp_path / "positions.json").unlink()
    async with Proxy(log_database.daemon) as proxy:
        async with opened(tmp_path, proxy.url) as (log, writer):
            assert writer.seqs[ONE] == 20
            log.append(writer.some(ONE, 1), [])
            assert await log.committed(ONE, 21, 10) == "ok"
        proxy.away()
        async with opened(tmp_path, proxy.url) as (log, writer):
            assert writer.seqs[ONE] == 21, "it now stands on its own again"
    assert facts(log_database) == list(range(1, 22))


async def test_a_hole_that_nobody_fills_is_refused(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon, size=500) as (log, writer):
        for _ in range(20):
            log.append(writer.some(ONE, 1), [])
        await log.committed(ONE, 20, 10)
    segment_files(tmp_path)[0].unlink()
    async with Proxy(log_database.daemon) as proxy:
        proxy.away()
        log = await FileLog.open(tmp_path, proxy.url, "0")
        with pytest.raises(Unrecoverable, match="is away"):
            await log.recover()
        await log.close()


async def test_files_are_kept_until_everybody_passed_and_then_deleted(
    log_database: Urls, tmp_path: Path
) -> None:
    async with opened(tmp_path, log_database.daemon, size=1000) as (log, writer):
        slow = log.tail("bus")
        entries = writer.some(ONE, 60)
        for entry in entries:
            log.append([entry], [])
        await log.committed(ONE, 60, 10)
        await asyncio.sleep(1.5)
        assert log.segments.start == 0, "the bus has not passed, and there is no checkpoint"
        while await slow.batch(0):
            slow.passed()
        await asyncio.sleep(1.5)
        assert log.segments.start == 0, "there is no checkpoint"
        await log.checkpoint(fold(ONE, entries))
        await until(lambda: len(segment_files(tmp_path)) == 1)
    async with Proxy(log_database.daemon) as proxy:
        proxy.away()
        async with opened(tmp_path, proxy.url) as (log, writer):
            assert writer.seqs[ONE] == 60


async def test_a_small_file_is_closed_in_time_and_goes(
    log_database: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.adapters.log.log.ROTATE_SECONDS", 0.5)
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        entries = writer.some(ONE, 5)
        log.append(entries, [a_party(ONE)])
        assert await log.committed(ONE, 5, 10) == "ok"
        await log.checkpoint(fold(ONE, entries))
        await until(lambda: log.segments.start == log.segments.end)
        assert [path.stat().st_size for path in segment_files(tmp_path)] == [0]


_DAEMON = """
import asyncio, structlog, sys
from pathlib import Path
from telephony.adapters.log import log as log_module
from telephony.adapters.log.log import FileLog
from telephony.contract.view import apply
from tests.adapters.log_kit import ONE, TWO, Writer, a_party

structlog.configure(processors=[lambda logger, method, event: (_ for _ in ()).throw(structlog.DropEvent)])

async def main():
    log = await FileLog.open(Path(sys.argv[1]), sys.argv[2], "0", size=20000)
    views = await log.recover()
    writer = Writer(log.epoch, {tenant: view.seq for tenant, view in views.items()})
    watch = asyncio.create_task(log.watch())
    from telephony.contract.view import View
    view = views.get(ONE) or View(tenant=ONE)
    n = 0
    while True:
        entries = writer.some(ONE, 3)
        log.append(entries, [a_party(ONE)] if n % 3 == 0 else [])
        for entry in entries:
            apply(view, entry)
        n += 1
        if n % 10 == 0:
            print(await log.committed(ONE, view.seq, 5), view.seq, flush=True)
        if n % 25 == 0:
            await log.checkpoint(view)
        await asyncio.sleep(0)

asyncio.run(main())
"""


async def test_kill_9_of_the_daemon_loses_nothing_acknowledged(log_database: Urls, tmp_path: Path) -> None:
    chance = random.Random(3)
    acknowledged = 0
    async with Proxy(log_database.daemon) as proxy:
        for turn in range(8):
            proxy.mode = "refuse" if turn in (3, 4) else "pass"
            if proxy.mode == "refuse":
                proxy.cut()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _DAEMON,
                str(tmp_path),
                proxy.url,
                stdout=subprocess.PIPE,
                cwd=Path.cwd(),
            )
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 12)):
                line = (await process.stdout.readline()).split()
                assert line[0] == b"pending" or turn not in (3, 4)
                acknowledged = int(line[1])
            await asyncio.sleep(chance.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            rest = (await process.stdout.read()).split(b"\n")[:-1]
            acknowledged = max([acknowledged, *(int(line.split()[1]) for line in rest)])
            await process.wait()
        async with opened(tmp_path, log_database.daemon) as (log, writer):
            assert writer.seqs[ONE] >= acknowledged
            log.append(
                writer.some(
                    ONE,
                    1,
                ),
                [],
            )
            await until(lambda: not log.away)
            assert await log.committed(ONE, writer.seqs[ONE], 10) == "ok"
            assert facts(log_database) == list(range(1, writer.seqs[ONE] + 1))


async def test_a_planned_end_leaves_nothing_for_later(log_database: Urls, tmp_path: Path) -> None:
    async with Proxy(log_database.daemon) as proxy, opened(tmp_path, proxy.url) as (log, writer):
        entries = writer.some(ONE, 300)
        for entry in entries:
            log.append([entry], [])
        await log.checkpoint(fold(ONE, entries))
        assert await log.drained(10)
        assert len(facts(log_database)) == 300
        assert rows(log_database.daemon, "SELECT seq FROM log_checkpoint") == [(300,)]
        proxy.away()
        log.append(writer.some(ONE, 1), [])
        assert not await log.drained(10)


async def test_a_text_that_postgresql_refuses_stops_nobody(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        fact = f.StatusSet(agent=agent(1), intent=f.Intent.READY, reason="\0")
        log.append([writer.entry(ONE, fact, AskId("a\0"))], [])
        assert await log.committed(ONE, 1, 10) == "ok"
    log = await FileLog.open(tmp_path / "other", log_database.daemon, "0")
    assert (await log.recover())[ONE].agents[agent(1)].reason == "\0"
    await log.close()


async def test_appending_while_the_follower_looks_back(log_database: Urls, tmp_path: Path) -> None:
    """Reconnects search the files in a thread while new ones are being written and old ones dropped."""
    async with Proxy(log_database.daemon) as proxy, opened(tmp_path, proxy.url, size=3000) as (log, writer):
        view = View(tenant=ONE)
        for turn in range(400):
            entries = writer.some(ONE, 3)
            log.append(entries, [])
            for entry in entries:
                apply(view, entry)
            if turn % 40 == 20:
                log._committed.clear()  # the next connect searches from the oldest file
                proxy.cut()
            if turn % 100 == 50:
                await log.checkpoint(view)
            await asyncio.sleep(0.003)
        await until(lambda: not log.away and log._committed.get(ONE) == 1200, 30)
        assert facts(log_database) == list(range(1, 1201))


async def test_an_ask_id_is_kept_with_its_fact(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon) as (log, writer):
        asked = writer.entry(ONE, writer.some(ONE, 1)[0].fact, AskId("ask-1"))
        writer.seqs[ONE] = 0
        log.append([writer.entry(ONE, asked.fact, AskId("ask-1"))], [])
        await log.committed(ONE, 1, 10)
    log = await FileLog.open(tmp_path / "other", log_database.daemon, "0")
    assert (await log.recover())[ONE].asks == {"ask-1": 1}
    await log.close()
