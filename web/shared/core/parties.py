"""Callers' numbers and names: read from the one erasable row, found again, erased.

Facts name a party's id only. Erasure empties the row for good (the log's writer never fills a row that is
there) and takes the copies out of the tenant's stream in Redis. Copies that it does not reach (segment files,
a stream that was away, whatever was copied from either) are sealed under a transit key, which is destroyed
within ten minutes after the call came, erasure or not, as long as the daemon reaches PostgreSQL
(telephony.adapters.log.transit). Legal hold is the caller's to check.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import structlog
from redis.exceptions import RedisError

from telephony import codec, sealing
from telephony.contract.frames import Party
from telephony.contract.ids import PartyId, TenantId
from telephony.sealing import Caller, SealError
from web.shared.core import keys
from web.shared.core.log import rows_of
from web.shared.core.stores import redis_client
from web.shared.tenants.keys import redis_key

logger = structlog.get_logger(__name__)


def read(tenant_id: str, party_id: str) -> Caller | None:
    """Number and name; None when the row is erased or not there (yet). SealError for a wrong master key."""
    return read_many(tenant_id, [party_id]).get(party_id)


def read_many(tenant_id: str, party_ids: Iterable[str]) -> dict[str, Caller]:
    """Number and name of many parties in one query; those without are left out. Errors as of `read`."""
    with rows_of(tenant_id) as cursor:
        cursor.execute(
            "SELECT party, key, sealed FROM public.log_party "
            "WHERE tenant = %s AND party = ANY(%s) AND sealed IS NOT NULL",
            [tenant_id, sorted(set(party_ids))],
        )
        rows = cursor.fetchall()
    return {party: _open(tenant_id, party, version, bytes(sealed)) for party, version, sealed in rows}


def _open(tenant_id: str, party_id: str, version: int, sealed: bytes) -> Caller:
    party = Party(tenant=TenantId(tenant_id), party=PartyId(party_id), key=version, sealed=sealed, digest=b"")
    try:
        return sealing.open_party(keys.ring(tenant_id), party)
    except SealError:  # the kept ring may be older than a rotation
        return sealing.open_party(keys.fresh_ring(tenant_id), party)


def same_caller(tenant_id: str, number: str) -> list[str]:
    """Ids of parties with this number, under any version of the key; nothing for a withheld one."""
    digests = sealing.digests(keys.ring(tenant_id), number)
    with rows_of(tenant_id) as cursor:
        cursor.execute(
            "SELECT party FROM public.log_party WHERE tenant = %s AND digest = ANY(%s) ORDER BY party",
            [tenant_id, digests],
        )
        return [row[0] for row in cursor.fetchall()]


def erase(tenant_id: str, party_id: str) -> bool:
    """Empty the row; True when it held something. Runs in the caller's transaction if there is one."""
    with rows_of(tenant_id) as cursor:
        cursor.execute(
            "UPDATE public.log_party SET key = NULL, sealed = NULL, digest = NULL, erased = now() "
            "WHERE tenant = %s AND party = %s AND sealed IS NOT NULL",
            [tenant_id, party_id],
        )
        erased = bool(cursor.rowcount)
    try:
        _erase_from_stream(tenant_id, party_id)
    except RedisError as error:  # nobody can open them soon
        logger.warning(
            "party_not_erased_from_stream", tenant=tenant_id, party=party_id, error=type(error).__name__
        )
    return erased


def _erase_from_stream(tenant_id: str, party_id: str) -> None:
    client, key = redis_client(), redis_key(tenant_id, "up")
    place = "-"
    while page := cast(Any, client.xrange(key, min=place, count=1000)):
        for entry, fields in page:
            if fields.get("k") == "party" and codec.decode_party(fields["d"].encode()).party == party_id:
                client.xdel(key, entry)
        place = f"({page[-1][0]}"
