"""What the daemon's log follower does to PostgreSQL, done by a test: facts and sealed parties become rows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

import psycopg

from telephony import codec, sealing
from telephony.contract.clock import to_datetime
from telephony.contract.frames import Entry, Party
from telephony.contract.ids import PartyId, TenantId
from telephony.contract.view import View
from telephony.sealing import TransitKey, WrappedKey


def clean() -> None:
    """Empty the log's tables."""
    base = urlsplit(os.environ["MURIMA_TEST_SUPERUSER_URL"])
    name = urlsplit(os.environ["MURIMA_DATABASE_URL"]).path
    with psycopg.connect(urlunsplit(base._replace(path=name)), autocommit=True) as connection:
        connection.execute("TRUNCATE log_fact, log_party, log_checkpoint, log_position, transit_key")


def _daemon() -> psycopg.Connection:
    connection = psycopg.connect(os.environ["MURIMA_DATABASE_DAEMON_URL"], autocommit=True)
    connection.execute("SELECT set_config('murima.tenant', '*', false)")
    return connection


def store(entries: Iterable[Entry]) -> None:
    """Commit entries."""
    with _daemon() as connection, connection.transaction():
        for each in entries:
            connection.execute(
                "INSERT INTO log_fact (tenant, seq, day, epoch, at, type, data, ask) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    each.tenant, each.seq, to_datetime(each.at).date(), each.epoch, each.at,
                    type(each.fact).__name__, codec.encode_fact(each.fact).decode(), each.ask,
                ],
            )  # fmt: skip


def checkpoint(view: View) -> None:
    with _daemon() as connection:
        connection.execute(
            "INSERT INTO log_checkpoint (tenant, epoch, seq, at, data) VALUES (%s, %s, %s, %s, %s)",
            [view.tenant, view.epoch, view.seq, view.at, codec.encode_view(view).decode()],
        )


def seal(tenant: str, party: str, number: str, name: str) -> Party:
    """A party as the daemon seals it, under the tenant's active key."""
    with _daemon() as connection:
        rows = connection.execute(
            "SELECT version, wrapped, active FROM tenant_key WHERE tenant = %s", [tenant]
        ).fetchall()
    keys = [WrappedKey(tenant=TenantId(tenant), version=v, wrapped=bytes(w), active=a) for v, w, a in rows]
    return sealing.seal_party(sealing.keyring(_master(), keys), PartyId(party), number, name)


def make_transit_key(number: int, shard: str = "0") -> TransitKey:
    """A key of parties on their way, as a shard's daemon publishes it."""
    made = sealing.new_transit_key(_master(), shard, number)
    with _daemon() as connection:
        connection.execute("INSERT INTO transit_key VALUES (%s, %s, %s)", [shard, number, made.wrapped])
    return made


def destroy_transit_key(number: int) -> None:
    with _daemon() as connection:
        connection.execute("DELETE FROM transit_key WHERE number = %s", [number])


def seal_in_transit(key: TransitKey, tenant: str, party: str, number: str, name: str) -> Party:
    """A party as it travels."""
    ring = sealing.TransitRing(_master(), [key])
    return sealing.seal_in_transit(
        ring, key.shard, key.number, TenantId(tenant), PartyId(party), number, name
    )


def _master() -> bytes:
    return sealing.master_key(os.environ["MURIMA_MASTER_KEY"])


def store_party(party: Party) -> None:
    with _daemon() as connection:
        connection.execute(
            "INSERT INTO log_party (tenant, party, key, sealed, digest) VALUES (%s, %s, %s, %s, %s)",
            [party.tenant, party.party, party.key, party.sealed, party.digest or None],
        )
