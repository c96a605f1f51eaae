"""What the log's tests stand on: a scratch database with the log's own migrations, and a proxy that fails.

The database is a copy of a template, made once, so that each test begins with empty tables. The proxy sits
between a client and a server and can refuse, reset or fall silent; `passed` proves that traffic went through.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import itertools
import os
import random
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from telephony.adapters.log.log import FileLog
from telephony.contract import facts as f
from telephony.contract.frames import Entry, Party
from telephony.contract.ids import AgentId, AskId, CallId, LegId, NumberId, PartyId, TenantId

BIRTH = 1_790_000_000_000_000
"""An instant in 2026 from which tests count."""
ONE = TenantId("t_aaaaaaaaaaaa")
TWO = TenantId("t_bbbbbbbbbbbb")
MASTER = bytes(range(32))
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Urls:
    """The same database as each role."""

    superuser: str
    owner: str
    app: str
    daemon: str


def make_template() -> str:
    """A database with the tables of migrations 0002, 0003 and 0005; returns its name."""
    name = f"log_template_{os.getpid()}"
    _superuser(f"CREATE DATABASE {name} OWNER murima_owner")
    with psycopg.connect(urls(name).owner, autocommit=True) as connection:
        for module in ("0002_log", "0003_published", "0005_transit_keys"):
            migration = importlib.import_module(f"web.shared.core.migrations.{module}")
            for statement in migration.statements("murima_owner", "murima_app", "murima_daemon"):
                connection.execute(statement)
        # What the daemon reads of web.shared.tenants.
        connection.execute(
            "CREATE TABLE public.tenants_tenant (schema_name text PRIMARY KEY, status text NOT NULL)"
        )
        connection.execute("GRANT SELECT, INSERT, UPDATE ON public.tenants_tenant TO murima_app")
        connection.execute("GRANT SELECT ON public.tenants_tenant TO murima_daemon")
    return name


def make_database(template: str) -> str:
    name = f"log_{os.getpid()}_{next(_numbers)}"
    _superuser(f"CREATE DATABASE {name} OWNER murima_owner TEMPLATE {template}")
    return name


def drop_database(name: str) -> None:
    _superuser(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def urls(database: str) -> Urls:
    def at(url: str) -> str:
        return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))

    return Urls(
        superuser=at(os.environ["MURIMA_TEST_SUPERUSER_URL"]),
        owner=at(os.environ["MURIMA_DATABASE_OWNER_URL"]),
        app=at(os.environ["MURIMA_DATABASE_URL"]),
        daemon=at(os.environ["MURIMA_DATABASE_DAEMON_URL"]),
    )


def _superuser(statement: str) -> None:
    with psycopg.connect(os.environ["MURIMA_TEST_SUPERUSER_URL"], autocommit=True) as connection:
        connection.execute(statement)


def rows(url: str, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """All rows, as the role of the url, row security told that every tenant is meant."""
    with psycopg.connect(url, autocommit=True, options="-c murima.tenant=*") as connection:
        return connection.execute(statement, arguments or None).fetchall()


# --- entries --------------------------------------------------------------------------------------------


class Writer:
    """Makes well-formed entries in order, for several tenants."""

    def __init__(self, epoch: int, seqs: dict[TenantId, int] | None = None, seed: int = 0) -> None:
        self.epoch = epoch
        self.seqs = dict(seqs or {})
        self._random = random.Random(seed)

    def entry(self, tenant: TenantId, fact: Any, ask: AskId | None = None) -> Entry:
        seq = self.seqs[tenant] = self.seqs.get(tenant, 0) + 1
        return Entry(tenant=tenant, epoch=self.epoch, seq=seq, at=BIRTH + seq * 1000, fact=fact, ask=ask)

    def some(self, tenant: TenantId, count: int) -> list[Entry]:
        """`count` facts that fold in any order: desktops seen."""
        return [
            self.entry(tenant, f.DesktopSeen(agent=agent(n % 5), online=self._random.random() < 0.5))
            for n in range(count)
        ]

    def arrival(self, tenant: TenantId, call: CallId, party: PartyId) -> Entry:
        return self.entry(
            tenant,
            f.CallArrived(
                call=call,
                node="a",
                channel="1.1",
                leg=LegId(f"{call}.1"),
                trunk="trunk",
                number=NumberId("n1"),
                party=party,
                first_arrival=BIRTH,
                policy="p",
            ),
        )


def agent(n: int) -> AgentId:
    return AgentId(f"00000000-0000-7000-8000-{n:012d}")


def new_call() -> CallId:
    return CallId(str(uuid.uuid4()))


def a_party(tenant: TenantId, key: int = 1) -> Party:
    return Party(
        tenant=tenant, party=PartyId(str(uuid.uuid4())), key=key, sealed=os.urandom(48), digest=os.urandom(32)
    )


# --- the proxy ------------------------------------------------------------------------------------------


class Proxy:
    """One TCP address in front of another. `mode` is 'pass', 'refuse' or 'silent'."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None and parts.port is not None
        self._url, self._host, self._port = parts, parts.hostname, parts.port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._own = 0
        self.mode = "pass"
        self.passed = 0
        self.fall_after: int | None = None
        """Reset everything after so many more bytes towards the client: a lost answer."""

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._own = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    @property
    def url(self) -> str:
        """The target's url, through here."""
        credentials, _, _ = self._url.netloc.rpartition("@")
        return urlunsplit(self._url._replace(netloc=f"{credentials}@127.0.0.1:{self._own}"))

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    def away(self) -> None:
        """As a stopped server: nothing open, nothing accepted."""
        self.mode = "refuse"
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back, False), self._pump(there, writer, True))
        except OSError:
            pass
        finally:
            for each in (writer, back):
                self._writers.discard(each)
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bool) -> None:
        while data := await reader.read(65536):
            while self.mode == "silent":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if answer and self.fall_after is not None:
                self.fall_after -= len(data)
                if self.fall_after <= 0:
                    self.fall_after = None
                    self.cut()
                    return
            self.passed += len(data)
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


def directory(root: Path) -> Path:
    return root / "data" / "facts" / "0"


@contextlib.asynccontextmanager
async def opened(directory: Path, url: str, *, size: int = 1 << 20) -> AsyncIterator[tuple[FileLog, Writer]]:
    """A recovered log that follows, and a writer that continues it."""
    log = await FileLog.open(directory, url, "0", size=size)
    views = await log.recover()
    watch = asyncio.create_task(log.watch())
    try:
        yield log, Writer(log.epoch, {tenant: view.seq for tenant, view in views.items()})
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await log.close()


async def until(condition: Callable[[], bool], within: float = 15) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def facts(urls: Urls, tenant: TenantId = ONE) -> list[int]:
    return [
        row[0] for row in rows(urls.daemon, "SELECT seq FROM log_fact WHERE tenant = %s ORDER BY seq", tenant)
    ]
