"""Publishing to the daemon: a tenant's policy, and its agents' rows.

Both run in the caller's transaction, so that what the daemon serves and what the tables say change together;
a notice on `murima_published` goes out with the commit. What is published is validated first, against the
committed JSON Schemas and for what they cannot say. Nothing that is the same as before makes a new version.
Every version of a policy stays; going back is publishing an old one again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import jsonschema
import msgspec
from django.db import connection, transaction

from telephony import codec, schemas
from telephony.contract.ids import QueueId, TenantId, endpoint
from telephony.contract.policy import InboundNumber, Manifest, Policy, QueuePolicy
from telephony.contract.roster import RosterRow
from web.shared.tenants.context import tenant_context

CHANNEL = "murima_published"
_E164 = re.compile(r"\+[1-9][0-9]{2,14}")
_POSITIVE = ("ring_seconds", "max_wait_seconds")
_NOT_NEGATIVE = ("wrap_up_seconds", "wrap_up_extend_seconds", "wrap_up_extensions", "priority")

publishers: list[Callable[[str], None]] = []
"""Filled by apps in ready(): each publishes from its own tables for a tenant (see `policy_publish`)."""


class Unfit(ValueError):
    """What was to be published is not valid; `problems` says each reason in a sentence."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


# --- policy ---------------------------------------------------------------------------------------------


def publish_policy(
    tenant_id: str, *, numbers: Iterable[InboundNumber], queues: Iterable[QueuePolicy], actor: str = ""
) -> Policy:
    """Publish these queues and numbers as the next version; the present one when nothing differs. Unfit."""
    ordered = {queue.queue: queue for queue in sorted(queues, key=lambda each: each.queue)}
    manifest = Manifest(
        tenant=TenantId(tenant_id),
        version=0,
        queues=tuple((queue, codec.content_hash(policy)) for queue, policy in ordered.items()),
        numbers=tuple(sorted(numbers, key=lambda each: (each.trunk, each.dialled, each.number))),
    )
    check_policy(manifest, ordered)
    with tenant_context(tenant_id), transaction.atomic():
        _lock(f"policy {tenant_id}")
        present = policy(tenant_id)
        if present is not None and replace(present.manifest, version=0) == manifest:
            return present
        version = 1 if present is None else present.manifest.version + 1
        return _release(replace(manifest, version=version), ordered, actor)


def publish_again(tenant_id: str, version: int, actor: str = "") -> Policy:
    """Go back: publish an old version as the next one. LookupError when there is no such version."""
    old = policy(tenant_id, version)
    if old is None:
        raise LookupError(f"tenant {tenant_id} has no policy of version {version}")
    return publish_policy(tenant_id, numbers=old.manifest.numbers, queues=old.queues.values(), actor=actor)


def policy(tenant_id: str, version: int | None = None) -> Policy | None:
    """A version of the tenant's policy, the newest by default; None when there is none."""
    with tenant_context(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT manifest::text FROM public.policy_release WHERE tenant = %s "
            "AND (%s::int IS NULL OR version = %s) ORDER BY version DESC LIMIT 1",
            [tenant_id, version, version],
        )
        row = cursor.fetchone()
        if row is None:
            return None
        manifest = codec.decode_manifest(row[0].encode())
        wanted = [digest for _, digest in manifest.queues]
        cursor.execute(
            "SELECT hash, data::text FROM public.policy_blob WHERE tenant = %s AND hash = ANY(%s)",
            [tenant_id, wanted],
        )
        blobs = dict(cursor.fetchall())
    return Policy(
        hash=codec.content_hash(manifest),
        manifest=manifest,
        queues={
            QueueId(queue): codec.decode_queue(blobs[digest].encode()) for queue, digest in manifest.queues
        },
    )


def policy_versions(tenant_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """The newest versions: version, hash, published (aware datetime), actor."""
    with tenant_context(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT version, hash, published, actor FROM public.policy_release WHERE tenant = %s "
            "ORDER BY version DESC LIMIT %s",
            [tenant_id, limit],
        )
        names = ("version", "hash", "published", "actor")
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def check_policy(manifest: Manifest, queues: dict[QueueId, QueuePolicy]) -> None:
    """Raises Unfit with every problem found; what has a wrong shape is not looked at further."""
    problems = _against_schema("policy", Manifest, manifest)
    for queue in queues.values():
        problems += _against_schema("policy", QueuePolicy, queue)
    if not problems:
        problems = [*_senseless_queues(queues), *_senseless_numbers(manifest, queues)]
    if problems:
        raise Unfit(problems)


def _senseless_queues(queues: dict[QueueId, QueuePolicy]) -> Iterator[str]:
    for queue in queues.values():
        if not queue.name.strip():
            yield f"queue {queue.queue} has no name"
        for name in _POSITIVE:
            if getattr(queue, name) < 1:
                yield f"queue {queue.queue}: {name} must be positive"
        for name in _NOT_NEGATIVE:
            if getattr(queue, name) < 0:
                yield f"queue {queue.queue}: {name} is negative"


def _senseless_numbers(manifest: Manifest, queues: dict[QueueId, QueuePolicy]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for number in manifest.numbers:
        if number.queue not in queues:
            yield f"number {number.number} leads to queue {number.queue}, which is not published"
        if not _E164.fullmatch(number.dialled):
            yield f"number {number.number}: what is dialled is not E.164 with '+'"
        if (number.trunk, number.dialled) in seen:
            yield f"number {number.number}: trunk and dialled number are there twice"
        seen.add((number.trunk, number.dialled))


def _release(manifest: Manifest, queues: dict[QueueId, QueuePolicy], actor: str) -> Policy:
    digest = codec.content_hash(manifest)
    with connection.cursor() as cursor:
        for queue, blob in manifest.queues:
            cursor.execute(
                "INSERT INTO public.policy_blob (tenant, hash, kind, data) VALUES (%s, %s, 'queue', %s) "
                "ON CONFLICT DO NOTHING",
                [manifest.tenant, blob, codec.canonical(queues[queue]).decode()],
            )
        cursor.execute(
            "INSERT INTO public.policy_release (tenant, version, hash, manifest, actor) "
            "VALUES (%s, %s, %s, %s, %s)",
            [manifest.tenant, manifest.version, digest, codec.canonical(manifest).decode(), actor],
        )
    notify(f"policy {manifest.tenant} {manifest.version}")
    return Policy(hash=digest, manifest=manifest, queues=queues)


# --- roster ---------------------------------------------------------------------------------------------


def publish_roster(row: RosterRow) -> RosterRow:
    """Publish an agent's row; its version is set here, and stays when nothing else differs. Unfit."""
    row = replace(row, version=0, memberships=tuple(sorted(row.memberships)))
    check_roster(row)
    with tenant_context(row.tenant), transaction.atomic():
        _lock(f"roster {row.tenant} {row.agent}")
        present = _roster_row(row.tenant, row.agent)
        if present is not None and replace(present, version=0) == row:
            return present
        row = replace(row, version=1 if present is None else present.version + 1)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO public.roster_entry (tenant, agent, version, data) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (tenant, agent) DO UPDATE SET version = excluded.version, data = excluded.data, "
                "published = now()",
                [row.tenant, row.agent, row.version, codec.canonical(row).decode()],
            )
        notify(f"roster {row.tenant} {row.agent}")
    return row


def roster(tenant_id: str) -> list[RosterRow]:
    """Every agent's row as published, inactive ones too, by agent."""
    with tenant_context(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT data::text FROM public.roster_entry WHERE tenant = %s ORDER BY agent", [tenant_id]
        )
        return [codec.decode_roster(data.encode()) for (data,) in cursor.fetchall()]


def check_roster(row: RosterRow) -> None:
    """Raises Unfit with every problem found."""
    problems = _against_schema("roster", RosterRow, row)
    for device in row.devices:
        try:
            endpoint(device.endpoint)
        except ValueError as error:
            problems.append(f"agent {row.agent}: {error}")
        if not re.fullmatch(r"[0-9a-f]{32}", device.digest):
            problems.append(f"device {device.endpoint}: the digest is not an MD5 in hexadecimal")
    queues = [queue for queue, _ in row.memberships]
    if len(set(queues)) != len(queues):
        problems.append(f"agent {row.agent} is in a queue twice")
    if any(penalty < 0 for _, penalty in row.memberships):
        problems.append(f"agent {row.agent} has a negative penalty")
    if problems:
        raise Unfit(problems)


def _roster_row(tenant_id: str, agent: str) -> RosterRow | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data::text FROM public.roster_entry WHERE tenant = %s AND agent = %s", [tenant_id, agent]
        )
        row = cursor.fetchone()
    return None if row is None else codec.decode_roster(row[0].encode())


# --- both -----------------------------------------------------------------------------------------------


def notify(what: str) -> None:
    """Tell the daemon when the transaction commits: `policy <tenant> <version>`, `roster …`, `keys …`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, what])


def _lock(what: str) -> None:
    """One publisher of a thing at a time, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"murima publish {what}"])


@cache
def _validator(document: str, name: str) -> Any:
    return jsonschema.Draft202012Validator(schemas.definition(document, name))


def _against_schema(document: str, kind: type[Any], value: Any) -> list[str]:
    found = _validator(document, kind.__name__).iter_errors(msgspec.json.decode(codec.canonical(value)))
    return [f"{kind.__name__}{error.json_path[1:]}: {error.message}" for error in found]
