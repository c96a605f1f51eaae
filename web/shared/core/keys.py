"""A tenant's keys on the web side: made, rotated, read.

The database holds them wrapped by MURIMA_MASTER_KEY; a ring of clear keys lives in memory for a minute at
most. Rotation makes a new active version at once for new parties and tells the daemon; `reseal` then brings
older party rows under it, in small transactions, and can be repeated after any interruption.
"""

from __future__ import annotations

import time
from functools import cache

from django.conf import settings
from django.db import connection, transaction

from telephony import sealing
from telephony.contract.frames import Party
from telephony.contract.ids import PartyId, TenantId
from telephony.sealing import Keyring, TransitKey, TransitRing, WrappedKey
from web.shared.core.log import rows_of
from web.shared.core.published import notify
from web.shared.tenants.context import tenant_context

CACHE_SECONDS = 60.0
_rings: dict[str, tuple[float, Keyring]] = {}


def ring(tenant_id: str) -> Keyring:
    """The tenant's keys; the first is made when there is none. SealError when the master key is another."""
    kept = _rings.get(tenant_id)
    if kept is not None and time.monotonic() - kept[0] < CACHE_SECONDS:
        return kept[1]
    made = sealing.keyring(_master(), _rows(tenant_id) or ensure(tenant_id))
    _rings[tenant_id] = (time.monotonic(), made)
    return made


def fresh_ring(tenant_id: str) -> Keyring:
    """As `ring`, read again: for a party sealed under a version that the kept ring lacks."""
    _rings.pop(tenant_id, None)
    return ring(tenant_id)


def transit(tenant_id: str) -> TransitRing:
    """Keys of callers on their way, of every shard; read by who follows a stream, in the tenant's context."""
    with tenant_context(tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT shard, number, wrapped FROM public.transit_key")
        rows = cursor.fetchall()
    keys = (TransitKey(shard=shard, number=number, wrapped=bytes(one)) for shard, number, one in rows)
    return TransitRing(_master(), keys)


def ensure(tenant_id: str) -> list[WrappedKey]:
    """The tenant's key rows; the first is made here. Belongs into the making of a tenant; harmless later."""
    with tenant_context(tenant_id), transaction.atomic():
        _lock(tenant_id)
        rows = _rows(tenant_id)
        return rows or [_store(tenant_id, 1)]


def rotate(tenant_id: str) -> int:
    """Make a new active version and return it. Older ones stay, to open what they sealed."""
    ensure(tenant_id)
    with tenant_context(tenant_id), transaction.atomic():
        _lock(tenant_id)
        version = max(row.version for row in _rows(tenant_id)) + 1
        with connection.cursor() as cursor:
            cursor.execute("UPDATE public.tenant_key SET active = false WHERE tenant = %s", [tenant_id])
        _store(tenant_id, version)
    _rings.pop(tenant_id, None)
    return version


def reseal(tenant_id: str, batch: int = 500) -> int:
    """Bring party rows sealed under older versions under the active one; returns how many.

    A row that does not open stops it with SealError, after the rows before it were kept.
    """
    own = fresh_ring(tenant_id)
    total = 0
    while done := _reseal_some(own, batch):
        total += done
    return total


def _reseal_some(own: Keyring, batch: int) -> int:
    with rows_of(own.tenant) as cursor:
        cursor.execute(
            "SELECT party, key, sealed FROM public.log_party WHERE tenant = %s AND sealed IS NOT NULL "
            "AND key <> %s ORDER BY party LIMIT %s FOR UPDATE SKIP LOCKED",
            [own.tenant, own.active, batch],
        )
        rows = cursor.fetchall()
        for identity, version, sealed in rows:
            old = Party(
                tenant=own.tenant, party=PartyId(identity), key=version, sealed=bytes(sealed), digest=b""
            )
            caller = sealing.open_party(own, old)
            new = sealing.seal_party(own, old.party, caller.number, caller.name)
            cursor.execute(
                "UPDATE public.log_party SET key = %s, sealed = %s, digest = %s "
                "WHERE tenant = %s AND party = %s",
                [new.key, new.sealed, new.digest or None, own.tenant, identity],
            )
    return len(rows)


@cache
def _master() -> bytes:
    return sealing.master_key(settings.MASTER_KEY)


def _rows(tenant_id: str) -> list[WrappedKey]:
    with tenant_context(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT version, wrapped, active FROM public.tenant_key WHERE tenant = %s ORDER BY version",
            [tenant_id],
        )
        return [
            WrappedKey(tenant=TenantId(tenant_id), version=version, wrapped=bytes(wrapped), active=active)
            for version, wrapped, active in cursor.fetchall()
        ]


def _store(tenant_id: str, version: int) -> WrappedKey:
    made = sealing.new_wrapped_key(_master(), TenantId(tenant_id), version)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO public.tenant_key (tenant, version, wrapped, active) VALUES (%s, %s, %s, true)",
            [tenant_id, version, made.wrapped],
        )
    notify(f"keys {tenant_id}")
    return made


def _lock(tenant_id: str) -> None:
    """One maker of keys per tenant at a time, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"murima keys {tenant_id}"])
