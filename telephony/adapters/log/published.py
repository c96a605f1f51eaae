"""What Django published, as the port `Published` yields it: policy, roster, keys and who is suspended.

One connection listens on `murima_published`; a poll every five seconds finds what a lost notice would have
told. Each round reads small lists of versions and fetches only what is new. Everything read is kept in a
local file (mode 0600, keys wrapped as in the database), from which a daemon starts while PostgreSQL is away.
A policy's blobs are kept as long as some known manifest names them, so that a call that began under an
older one finds its queue's policy again.
"""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import structlog

from telephony import codec, sealing
from telephony.adapters.log.local import replace
from telephony.adapters.log.postgres import COMMIT_SECONDS, CONNECT_SECONDS, connection_arguments
from telephony.adapters.log.progress import Backoff
from telephony.contract.ids import QueueId, TenantId
from telephony.contract.policy import Policy, QueuePolicy
from telephony.contract.roster import RosterRow
from telephony.ports.published import Complete, Suspended

POLL_SECONDS = 5.0
FIRST_SECONDS = 3.0
"""How long a start waits for PostgreSQL before it takes the cache."""
_Update = Policy | RosterRow | Suspended
_AWAY = (psycopg.Error, OSError, TimeoutError)
_log = structlog.get_logger(__name__)


class _Key(msgspec.Struct):
    version: int
    wrapped: str
    active: bool


class Cache(msgspec.Struct):
    """Everything read, by tenant; texts are the codec's JSON."""

    policies: dict[str, str] = {}
    """Tenant → newest manifest."""
    versions: dict[str, int] = {}
    blobs: dict[str, dict[str, str]] = {}
    """Tenant → hash → queue's policy."""
    roster: dict[str, dict[str, str]] = {}
    """Tenant → agent → row."""
    keys: dict[str, list[_Key]] = {}
    suspended: list[str] = []
    """Tenants that take no new call."""


class PublishedFeed:
    """The port `Published`; and tenants' keys, which come with what is published."""

    def __init__(self, url: str, cache: Path, master: bytes) -> None:
        self._url, self._path, self._master = url, cache, master
        self._cache = _load(cache)
        self._rings: dict[TenantId, sealing.Keyring] = {}
        # Every notice of any tenant looks at all rows' versions: each row is decoded once, not once a notice.
        self._read_rows: dict[tuple[str, str], tuple[str, RosterRow | None]] = {}

    # --- ports ---

    async def updates(self) -> AsyncIterator[Policy | RosterRow | Suspended | Complete]:
        """See the port. A change that cannot be read is logged and left out; a next version may be better."""
        first = True
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        patience = loop.time() + FIRST_SECONDS
        while True:
            try:
                async with await self._connect() as connection:
                    await _execute(connection, "LISTEN murima_published")
                    while True:
                        changes = await self._round(connection)
                        backoff.reset()
                        if first:
                            changes = list(self._everything())
                        for change in changes:
                            yield change
                        if first:
                            first = False
                            yield Complete(stale=False)
                        await _notice(connection)
            except _AWAY as error:
                _log.warning("published_away", error=type(error).__name__)
            if first and loop.time() > patience and self._cache.versions:
                first = False
                for change in self._everything():
                    yield change
                yield Complete(stale=True)
            await backoff.pause()

    def ring(self, tenant: TenantId) -> sealing.Keyring | None:
        """The tenant's keys; None when they are unknown or do not open."""
        ring = self._rings.get(tenant)
        if ring is None and (rows := self._cache.keys.get(tenant)):
            wrapped = [
                sealing.WrappedKey(
                    tenant=tenant, version=row.version, wrapped=b64decode(row.wrapped), active=row.active
                )
                for row in rows
            ]
            try:
                ring = self._rings[tenant] = sealing.keyring(self._master, wrapped)
            except sealing.SealError:
                _log.error("tenant_key_unusable", tenant=tenant)
        return ring

    def queue_policy(self, tenant: TenantId, digest: str) -> QueuePolicy | None:
        """A queue's policy by its hash, also of an older release."""
        text = self._cache.blobs.get(tenant, {}).get(digest)
        return None if text is None else codec.decode_queue(text.encode())

    # --- reading ---

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        async with asyncio.timeout(CONNECT_SECONDS + 1):
            return await psycopg.AsyncConnection.connect(**connection_arguments(self._url))

    async def _round(self, connection: psycopg.AsyncConnection[Any]) -> list[_Update]:
        """Bring the cache up to date; returns what changed."""
        changed_keys = await self._read_keys(connection)
        # Before the policies, so that no number of a suspended tenant is known without that.
        suspended = await self._read_suspended(connection)
        policies = await self._read_policies(connection)
        rows = await self._read_roster(connection)
        if changed_keys or suspended or policies or rows:
            await asyncio.to_thread(replace, self._path, msgspec.json.encode(self._cache), sync=True)
        return [*suspended, *policies, *rows]

    async def _read_suspended(self, connection: psycopg.AsyncConnection[Any]) -> list[_Update]:
        found = await _execute(
            connection,
            "SELECT schema_name FROM public.tenants_tenant WHERE status = 'suspended' ORDER BY schema_name",
        )
        suspended = [tenant for (tenant,) in found]
        if suspended == self._cache.suspended:
            return []
        self._cache.suspended = suspended
        return [self._suspended()]

    def _suspended(self) -> Suspended:
        return Suspended(tenants=frozenset(TenantId(tenant) for tenant in self._cache.suspended))

    async def _read_keys(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        keys: dict[str, list[_Key]] = {}
        for tenant, version, wrapped, active in await _execute(
            connection,
            "SELECT tenant, version, wrapped, active FROM public.tenant_key ORDER BY tenant, version",
        ):
            key = _Key(version=version, wrapped=b64encode(wrapped).decode(), active=active)
            keys.setdefault(tenant, []).append(key)
        if keys == self._cache.keys:
            return False
        self._cache.keys = keys
        self._rings.clear()
        return True

    async def _read_policies(self, connection: psycopg.AsyncConnection[Any]) -> list[Policy]:
        heads = await _execute(
            connection,
            "SELECT tenant, max(version) FROM public.policy_release GROUP BY tenant ORDER BY tenant",
        )
        changed = []
        for tenant, version in heads:
            if self._cache.versions.get(tenant) == version:
                continue
            row = await _execute(
                connection,
                "SELECT manifest::text FROM public.policy_release WHERE tenant = %s AND version = %s",
                (tenant, version),
            )
            blobs = await _execute(
                connection, "SELECT hash, data::text FROM public.policy_blob WHERE tenant = %s", (tenant,)
            )
            self._cache.blobs[tenant] = dict(blobs)
            self._cache.policies[tenant] = row[0][0]
            self._cache.versions[tenant] = version
            policy = self._policy(tenant)
            if policy is not None:
                changed.append(policy)
        return changed

    async def _read_roster(self, connection: psycopg.AsyncConnection[Any]) -> list[RosterRow]:
        heads = await _execute(
            connection, "SELECT tenant, agent, version FROM public.roster_entry ORDER BY tenant, agent"
        )
        stale = [
            (tenant, agent)
            for tenant, agent, version in heads
            if (known := self._row(tenant, agent)) is None or known.version != version
        ]
        changed = []
        for tenant, agent in stale:
            found = await _execute(
                connection,
                "SELECT data::text FROM public.roster_entry WHERE tenant = %s AND agent = %s",
                (tenant, agent),
            )
            if not found:
                continue
            self._cache.roster.setdefault(tenant, {})[agent] = found[0][0]
            row = self._row(tenant, agent)
            if row is not None:
                changed.append(row)
        return changed

    # --- the cache ---

    def _everything(self) -> Iterator[_Update]:
        if self._cache.suspended:
            yield self._suspended()
        for tenant in sorted(self._cache.policies):
            policy = self._policy(tenant)
            if policy is not None:
                yield policy
        for tenant, agents in sorted(self._cache.roster.items()):
            for agent in sorted(agents):
                row = self._row(tenant, agent)
                if row is not None:
                    yield row

    def _policy(self, tenant: str) -> Policy | None:
        text = self._cache.policies[tenant].encode()
        try:
            manifest = codec.decode_manifest(text)
            blobs = self._cache.blobs[tenant]
            queues = {
                QueueId(queue): codec.decode_queue(blobs[digest].encode())
                for queue, digest in manifest.queues
            }
        except (msgspec.DecodeError, KeyError) as error:
            _log.error("policy_unreadable", tenant=tenant, error=type(error).__name__)
            return None
        return Policy(hash=codec.content_hash(manifest), manifest=manifest, queues=queues)

    def _row(self, tenant: str, agent: str) -> RosterRow | None:
        text = self._cache.roster.get(tenant, {}).get(agent)
        if text is None:
            return None
        read = self._read_rows.get((tenant, agent))
        if read is not None and read[0] is text:
            return read[1]
        row = None
        try:
            row = codec.decode_roster(text.encode())
        except msgspec.DecodeError as error:
            _log.error("roster_row_unreadable", tenant=tenant, error=type(error).__name__)
        self._read_rows[tenant, agent] = text, row
        return row


async def _execute(
    connection: psycopg.AsyncConnection[Any], statement: str, arguments: Any = None
) -> list[Any]:
    async with asyncio.timeout(COMMIT_SECONDS):
        cursor = await connection.execute(statement.encode(), arguments)
        return await cursor.fetchall() if cursor.description else []


async def _notice(connection: psycopg.AsyncConnection[Any]) -> None:
    """Return when something was published, or after POLL_SECONDS."""
    async for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
        return


def _load(path: Path) -> Cache:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Cache)
    except FileNotFoundError:
        return Cache()
    except (OSError, msgspec.DecodeError) as error:
        _log.error("published_cache_unreadable", error=type(error).__name__)
        return Cache()
