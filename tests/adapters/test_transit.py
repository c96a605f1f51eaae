"""Parties on their way to their rows: readable as long as somebody needs them, and then by nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from telephony import codec, sealing
from telephony.adapters.log.log import FileLog
from telephony.adapters.log.metrics import PARTIES_LOST
from telephony.adapters.log.postgres import connected
from telephony.adapters.log.records import PARTY
from telephony.adapters.log.transit import FILE, Transit
from telephony.contract.frames import Party
from telephony.contract.ids import PartyId, TenantId
from telephony.ports.log import Fenced
from tests.adapters.log_kit import MASTER, ONE, TWO, Proxy, Urls, Writer, new_call, rows

pytestmark = pytest.mark.database
PERIOD = 0.3
NUMBER = "+254711000000"


@pytest.fixture
def own(log_database: Urls) -> sealing.Keyring:
    """The first tenant's own keys, in the database as Django puts them there."""
    made = sealing.new_wrapped_key(MASTER, ONE, 1)
    with psycopg.connect(log_database.app, autocommit=True) as connection:
        connection.execute("INSERT INTO tenant_key VALUES (%s, 1, %s, true)", (ONE, made.wrapped))
    return sealing.keyring(MASTER, [made])


class Daemon:
    """A log with keys, and what a floor does with a caller."""

    def __init__(self, log: FileLog, transit: Transit, writer: Writer) -> None:
        self.log, self.transit, self.writer = log, transit, writer

    def meet(self, number: str = NUMBER, tenant: TenantId = ONE) -> Party:
        """A caller whose arrival goes into the log with their party."""
        call = new_call()
        party = self.transit.seal(tenant, PartyId(f"p-{call}"), number, "Amina")
        assert party is not None
        self.log.append([self.writer.arrival(tenant, call, party.party)], [party])
        return party

    async def kept(self) -> None:
        """Wait until PostgreSQL is there, then until it has what was written: `committed` does not wait for
        a database that is away."""
        await soon(lambda: not self.log.away)
        assert await self.log.committed(ONE, self.writer.seqs[ONE], 10) == "ok"


def unknown(tenant: TenantId) -> None:
    """Tenants' keys are not known from what is published: the follower reads them itself."""


@contextlib.asynccontextmanager
async def opened(directory: Path, url: str, period: float = PERIOD) -> AsyncIterator[Daemon]:
    transit = Transit(directory, "0", MASTER, unknown, period)
    log = await FileLog.open(directory, url, "0", transit=transit)
    views = await log.recover()
    watch = asyncio.create_task(log.watch())
    try:
        yield Daemon(log, transit, Writer(log.epoch, {each: view.seq for each, view in views.items()}))
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await log.close()


async def soon(condition: object, within: float = 15) -> None:
    async with asyncio.timeout(within):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def published(urls: Urls) -> list[sealing.TransitKey]:
    """The keys that whoever reads streams finds, as the application's role."""
    found = rows(urls.app, "SELECT shard, number, wrapped FROM transit_key ORDER BY number")
    return [sealing.TransitKey(shard=shard, number=number, wrapped=key) for shard, number, key in found]


def held(directory: Path) -> list[sealing.TransitKey]:
    """The keys in the daemon's own file."""
    keys = json.loads((directory / FILE).read_bytes())["keys"]
    return [
        sealing.TransitKey(shard="0", number=key["number"], wrapped=b64decode(key["wrapped"])) for key in keys
    ]


def opens(party: Party, *keys: sealing.TransitKey) -> bool:
    try:
        return sealing.open_in_transit(sealing.TransitRing(MASTER, keys), party).number == NUMBER
    except sealing.SealError:
        return False


def row(urls: Urls, party: str) -> Party:
    """The party's row, as the web tier reads it."""
    found = rows(urls.daemon, "SELECT tenant, key, sealed, digest FROM log_party WHERE party = %s", party)
    ((tenant, key, sealed, digest),) = found
    return Party(tenant=tenant, party=PartyId(party), key=key, sealed=sealed, digest=digest)


def travelled(log: FileLog) -> Iterator[Party]:
    """The parties that the segments hold, and the bus carries."""
    for record, _ in log.segments.replay():
        if record.kind == PARTY:
            yield codec.decode_party(record.payload)


async def test_a_row_is_sealed_by_its_tenant_and_what_travels_is_not(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    async with opened(tmp_path, log_database.daemon, 60) as daemon:
        party = daemon.meet()
        await daemon.kept()
        kept = row(log_database, party.party)
        assert sealing.open_party(own, kept) == sealing.Caller(number=NUMBER, name="Amina")
        assert kept.digest == sealing.digest(own, NUMBER)
        (copy,) = travelled(daemon.log)
        assert copy == party and copy.shard == "0" and copy.digest == b"", "nothing to compare numbers with"
        with pytest.raises(sealing.SealError):
            sealing.open_party(own, copy)
        await soon(lambda: len(published(log_database)) == 2)
        assert opens(copy, *published(log_database)), "a card can show the caller"
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_every_key_dies_and_nobody_who_reads_along_meets_an_unknown_one(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    met: list[Party] = []
    async with opened(tmp_path, log_database.daemon) as daemon:
        await soon(lambda: len(published(log_database)) == 2)
        known = published(log_database)
        while len({party.key for party in met}) < 5:
            party = daemon.meet()
            assert opens(party, *known), "the key in use was in PostgreSQL before it was used"
            if party.key == known[-1].number:
                known = await asyncio.to_thread(published, log_database)
            met.append(party)
            await asyncio.sleep(0.02)
        await daemon.kept()
        await soon(lambda: not any(opens(each, *published(log_database), *held(tmp_path)) for each in met))
        assert len(published(log_database)) <= 2
        assert [key.number for key in held(tmp_path)] == [key.number for key in published(log_database)]
        assert len(list(travelled(daemon.log))) == len(met), "the copies are there; they are only bytes now"
        for party in met:
            assert sealing.open_party(own, row(log_database, party.party)).number == NUMBER
        known = published(log_database)
        assert opens(daemon.meet(), *known)


async def test_a_key_waits_for_the_follower_and_then_for_those_who_read_along(
    log_database: Urls, tmp_path: Path
) -> None:
    async with connected(log_database.daemon, "0") as database:
        epoch = await database.take("here", 0)
        transit = Transit(tmp_path, "0", MASTER, unknown, 4 * PERIOD)
        transit.open(0)

        async def kept(passed: int) -> list[int]:
            await transit.keep(database, epoch, passed, lambda: 100)
            return [key.number for key in held(tmp_path)]

        first, second = await kept(0)
        assert await kept(100) == [first, second], "its period is not over"
        await asyncio.sleep(4 * PERIOD)
        await kept(0)
        before = await kept(100)
        assert before[:2] == [first, second] and len(before) == 3, "who reads along needs it for a period"
        await asyncio.sleep(4 * PERIOD)
        assert await kept(99) == before, "a party under it is not in its row yet"
        assert await kept(100) == before[1:]
        assert [key.number for key in published(log_database)] == before[1:]


async def test_without_postgresql_keys_stay_and_a_restart_finds_them(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    async with Proxy(log_database.daemon) as proxy:
        async with opened(tmp_path, proxy.url) as daemon:
            await soon(lambda: len(published(log_database)) == 2)
            known = published(log_database)
            proxy.away()
            await soon(lambda: daemon.log.away)
            met = [daemon.meet()]
            await asyncio.sleep(3 * PERIOD)
            met.append(daemon.meet())
        async with opened(tmp_path, proxy.url) as daemon:
            assert daemon.log.provisional
            await asyncio.sleep(3 * PERIOD)
            met.append(daemon.meet())
            assert all(opens(party, *known) for party in met), "readers had these keys before the outage"
            proxy.mode = "pass"
            await daemon.kept()
            for party in met:
                assert sealing.open_party(own, row(log_database, party.party)).number == NUMBER
            await soon(
                lambda: not any(opens(each, *published(log_database), *held(tmp_path)) for each in met)
            )


async def test_an_erased_row_stays_empty_when_its_party_comes_again(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    async with Proxy(log_database.daemon) as proxy, opened(tmp_path, proxy.url, 60) as daemon:
        party = daemon.meet()
        await daemon.kept()
        with psycopg.connect(log_database.app, autocommit=True, options=f"-c murima.tenant={ONE}") as app:
            app.execute("UPDATE log_party SET key = NULL, sealed = NULL, digest = NULL, erased = now()")
        daemon.log._committed.clear()  # the next connect begins with the oldest file
        proxy.cut()
        await soon(lambda: daemon.log.away)
        daemon.meet()
        await daemon.kept()
        assert row(log_database, party.party).sealed is None


async def test_another_life_of_the_shard_is_unreadable_at_once_there_and_soon_here(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    async with opened(first, log_database.daemon) as daemon:
        await soon(lambda: len(published(log_database)) == 2)
        party = daemon.meet()
        await daemon.kept()
    async with opened(second, log_database.daemon) as daemon:
        daemon.meet()
        await soon(lambda: not opens(party, *published(log_database)))
    async with opened(first, log_database.daemon) as daemon:
        (aside,) = first.glob("aside-*")
        assert any(path.suffix == ".seg" and path.stat().st_size for path in aside.iterdir())
        assert not any(path.name == FILE for path in aside.iterdir())
        assert not opens(party, *held(first)), "the key was destroyed with the place"


async def test_a_daemon_without_the_epoch_destroys_no_key(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    transit = Transit(tmp_path / "a", "0", MASTER, unknown, PERIOD)
    old = await FileLog.open(tmp_path / "a", log_database.daemon, "0", transit=transit)
    await old.recover()
    async with opened(tmp_path / "b", log_database.daemon, 60):
        await soon(lambda: len(published(log_database)) == 2)
        await asyncio.sleep(2.5 * PERIOD)
        before = published(log_database)
        with pytest.raises(Fenced):
            await old.watch()
        async with connected(log_database.daemon, "0") as database:
            with pytest.raises(Fenced):
                await database.keep_transit_keys(old.epoch, [], 2**62)
        assert published(log_database) == before
    await old.close()


async def test_a_party_that_is_met_again_when_its_key_is_gone_is_not_reported_as_lost(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    before = PARTIES_LOST._value.get()
    async with opened(tmp_path, log_database.daemon) as daemon:
        party = daemon.meet()
        await daemon.kept()
        await soon(lambda: not opens(party, *published(log_database), *held(tmp_path)))
    async with opened(tmp_path, log_database.daemon) as daemon:
        later = daemon.meet()  # close behind the first, so the follower reads both
        await daemon.kept()
        for each in (party, later):
            assert sealing.open_party(own, row(log_database, each.party)).number == NUMBER
        assert PARTIES_LOST._value.get() == before


async def test_a_start_under_another_master_key_is_refused_and_costs_no_caller(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    async with Proxy(log_database.daemon) as proxy, opened(tmp_path, proxy.url, 60) as daemon:
        await soon(lambda: not daemon.log.away)
        proxy.away()
        await soon(lambda: daemon.log.away)
        party = daemon.meet()
    other = Transit(tmp_path, "0", bytes(32), unknown, 60)
    with pytest.raises(sealing.SealError, match="MURIMA_MASTER_KEY"):
        await FileLog.open(tmp_path, log_database.daemon, "0", transit=other)
    async with opened(tmp_path, log_database.daemon, 60) as daemon:
        daemon.meet()
        await daemon.kept()
        assert sealing.open_party(own, row(log_database, party.party)).number == NUMBER


async def test_a_party_that_nobody_can_open_holds_up_no_fact(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    before = PARTIES_LOST._value.get()
    async with opened(tmp_path, log_database.daemon, 60) as daemon:
        nobodys = daemon.meet(tenant=TWO)  # a tenant without a key
        party = daemon.meet()
        await daemon.kept()
        assert await daemon.log.committed(TWO, 1, 10) == "ok"
        assert sealing.open_party(own, row(log_database, party.party)).number == NUMBER
        assert rows(log_database.daemon, "SELECT FROM log_party WHERE party = %s", nobodys.party) == []
        assert PARTIES_LOST._value.get() == before + 1


_DAEMON = """
import asyncio, structlog, sys
from pathlib import Path
from tests.adapters.test_transit import opened

structlog.configure(processors=[lambda logger, method, event: (_ for _ in ()).throw(structlog.DropEvent)])

async def main():
    async with opened(Path(sys.argv[1]), sys.argv[2], 0.05) as daemon:
        while True:
            party = daemon.meet()
            print(party.party, party.key, flush=True)
            await asyncio.sleep(0.002)

asyncio.run(main())
"""


async def test_kill_9_at_any_moment_of_a_keys_life_costs_no_caller(
    log_database: Urls, tmp_path: Path, own: sealing.Keyring
) -> None:
    """Periods of 50 ms: a key begins, ends or is destroyed at most moments at which the daemon is killed."""
    chance, met = random.Random(5), []
    for changes in chance.sample([0, 1, 2, 3, 4] * 2, 10):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _DAEMON, str(tmp_path), log_database.daemon, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        lines: list[bytes] = []
        async with asyncio.timeout(60):
            while len({line.split()[1] for line in lines}) <= changes:
                lines.append(await process.stdout.readline())
        await asyncio.sleep(chance.uniform(0, 0.2))
        process.kill()
        lines += (await process.stdout.read()).splitlines(keepends=True)
        await process.wait()
        met += [line.split() for line in lines if line.endswith(b"\n")]
    before = PARTIES_LOST._value.get()
    async with opened(tmp_path, log_database.daemon) as daemon:
        daemon.meet()
        await daemon.kept()
        for party, _ in met:
            assert sealing.open_party(own, row(log_database, party.decode())).number == NUMBER
        assert PARTIES_LOST._value.get() == before, "a party that is in its row is not reported as lost"
        assert len({key for _, key in met}) > 20, "keys did change"
        dead = {int(key) for _, key in met}
        await soon(lambda: not dead & {key.number for key in (*published(log_database), *held(tmp_path))})


async def test_a_write_that_was_killed_leaves_no_copy_of_keys(log_database: Urls, tmp_path: Path) -> None:
    async with opened(tmp_path, log_database.daemon):
        pass
    beside = tmp_path / f".{FILE}.4711.new"
    beside.write_bytes((tmp_path / FILE).read_bytes())
    async with opened(tmp_path, log_database.daemon):
        assert not beside.exists()
