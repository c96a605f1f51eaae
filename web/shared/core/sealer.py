"""Sealing the audit trail: a chain over every row, an anchor a day outside the database, and the verifier.

A seal is one row that lists (id, content_hash) of up to SLICE audit rows, in the order of (transaction, id),
and whose digest covers the seal before it: whoever alters, removes, adds or moves a row afterwards breaks a
link, and the list says which row it was. Rows are sealed as soon as no running transaction can still put one
in front of them. One sealer works per schema (an advisory lock). The application's role may insert and read
both tables, and nothing else.

`content_hash` is over a salt and the content. An erasure empties content and salt and leaves the hash, so the
chain stays whole and nobody can guess back what stood there; it must itself be an audit row (action
`audit.erase`), else the verifier names it. The anchor repeats number and digest of the newest seal in a file
that only grows and in the log, which a rewriting of the whole chain would contradict.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from web.shared.core import audit
from web.shared.core.actor import Actor
from web.shared.core.files import make_room
from web.shared.core.models import (
    AbstractAuditEvent,
    AbstractAuditSeal,
    PlatformAuditEvent,
    PlatformAuditSeal,
)
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.ids import PUBLIC

SLICE = 1000
ENTRY = 48
GENESIS = b"\0" * 32
ERASE = "audit.erase"

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was sealed. `what`: altered, removed, added, moved, erased_unrecorded,
    seal_altered, seal_missing, anchor_differs; `row` is the audit row's id, or the number of the seal."""

    what: str
    row: str

    def __str__(self) -> str:
        return f"{self.what} {self.row}"


# --- sealing ---------------------------------------------------------------------------------------------


def seal() -> int:
    """Seal what is new in the schema chosen; returns how many rows. 0 while another sealer is at it."""
    total = 0
    while count := _seal_slice():
        total += count
        if count < SLICE:
            break
    return total


def unsealed() -> bool:
    """Whether there are rows after the newest seal. One indexed query."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_unsealed(*_tables())}")
        return bool(cursor.fetchone()[0])


def unsealed_in_tenant() -> str:
    """The same as a condition in SQL, for any tenant's schema."""
    return _unsealed(*_tables_of_tenant())


def _unsealed(*tables: type[Model]) -> str:
    rows, seals = (model._meta.db_table for model in tables)
    return (
        f"EXISTS (SELECT FROM {rows} WHERE (transaction_id, id) >"  # noqa: S608 - names of our own tables
        f" (SELECT to_transaction, to_id FROM {seals} ORDER BY number DESC LIMIT 1))"
        f" OR (NOT EXISTS (SELECT FROM {seals}) AND EXISTS (SELECT FROM {rows}))"
    )


def _seal_slice() -> int:
    _, seals = _tables()
    with transaction.atomic():
        if not _locked():
            return 0
        last = seals._default_manager.order_by("-number").first()
        found = _after(last)
        if found:
            _append(last, [(row.id, bytes(row.content_hash)) for row in found], _position(found[-1]))
    return len(found)


def _after(last: AbstractAuditSeal | None) -> list[AbstractAuditEvent]:
    rows, _ = _tables()
    found = rows._default_manager.only("id", "content_hash", "transaction_id").extra(
        where=[
            "(transaction_id < pg_snapshot_xmin(pg_current_snapshot())"
            " OR transaction_id = pg_current_xact_id_if_assigned())"
        ]
    )
    if last is not None:
        found = found.extra(
            where=["(transaction_id, id) > (%s::text::xid8, %s::uuid)"],
            params=[str(last.to_transaction), str(last.to_id)],
        )
    return list(found.order_by("transaction_id", "id")[:SLICE])


def _append(
    last: AbstractAuditSeal | None,
    entries: Sequence[tuple[uuid.UUID, bytes]],
    position: tuple[int, uuid.UUID],
) -> None:
    _, seals = _tables()
    number = 1 if last is None else last.number + 1
    at, text = timezone.now(), b"".join(pk.bytes + digest for pk, digest in entries)
    seals._default_manager.create(
        number=number,
        at=at,
        entries=text,
        to_transaction=position[0],
        to_id=position[1],
        digest=_digest(GENESIS if last is None else bytes(last.digest), number, at, text),
    )


def _digest(previous: bytes, number: int, at: datetime, entries: bytes) -> bytes:
    return hashlib.sha256(previous + f"{number} {at.isoformat()} ".encode() + entries).digest()


def _position(row: AbstractAuditEvent) -> tuple[int, uuid.UUID]:
    found: Any = row
    return int(found.transaction_id), found.id


def _locked() -> bool:
    """This schema's sealer, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"murima audit {_owner()}"]
        )
        return bool(cursor.fetchone()[0])


def _tables() -> tuple[type[AbstractAuditEvent], type[AbstractAuditSeal]]:
    if current_tenant_id() is None:
        return PlatformAuditEvent, PlatformAuditSeal
    return _tables_of_tenant()


def _tables_of_tenant() -> tuple[type[AbstractAuditEvent], type[AbstractAuditSeal]]:
    return apps.get_model("records", "AuditEvent"), apps.get_model("records", "AuditSeal")


def _owner() -> str:
    return str(current_tenant_id() or PUBLIC)


# --- anchors ---------------------------------------------------------------------------------------------


def anchor_path() -> Path:
    """The file of anchors of the schema chosen: one JSON object a line, append-only."""
    return Path(settings.HOME) / "data" / "anchors" / f"{_owner()}.jsonl"


def anchor() -> bool:
    """Write today's anchor if there is none and there is something to anchor; True when written."""
    _, seals = _tables()
    newest = seals._default_manager.order_by("-number").first()
    today = timezone.now().date().isoformat()
    known = list(anchors())
    if newest is None or (known and known[-1]["at"][:10] == today):
        return False
    said = {"at": timezone.now().isoformat(), "number": newest.number, "digest": bytes(newest.digest).hex()}
    with _appending(make_room(anchor_path())) as out:
        out.write(json.dumps(said).encode() + b"\n")
    logger.info("audit_anchor", tenant=_owner(), seal=newest.number, digest=said["digest"])
    return True


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[Any]:
    """The file open for appending; on the disk when the block ends."""
    with path.open("ab") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


def anchors() -> Iterator[dict[str, Any]]:
    path = anchor_path()
    if path.exists():
        for line in path.read_text().splitlines():
            yield json.loads(line)


# --- verifying -------------------------------------------------------------------------------------------


def verify() -> list[Finding]:
    """Everything in the schema chosen that is not as it was sealed; empty when all is well."""
    _, seals = _tables()
    anchored = {one["number"]: one["digest"] for one in anchors()}
    findings: list[Finding] = []
    previous: AbstractAuditSeal | None = None
    for one in seals._default_manager.order_by("number").iterator(chunk_size=20):
        findings += _of_chain(previous, one)
        findings += _of_rows(previous, one)
        digest = anchored.pop(one.number, None)
        if digest is not None and digest != bytes(one.digest).hex():
            findings.append(Finding("anchor_differs", str(one.number)))
        previous = one
    findings += [Finding("seal_missing", str(number)) for number in sorted(anchored)]
    return findings


def _of_chain(previous: AbstractAuditSeal | None, one: AbstractAuditSeal) -> Iterator[Finding]:
    expected = 1 if previous is None else previous.number + 1
    for number in range(expected, min(one.number, expected + 100)):
        yield Finding("seal_missing", str(number))
    before = GENESIS if previous is None else bytes(previous.digest)
    if one.number == expected and _digest(before, one.number, one.at, bytes(one.entries)) != bytes(
        one.digest
    ):
        yield Finding("seal_altered", str(one.number))


def _of_rows(previous: AbstractAuditSeal | None, one: AbstractAuditSeal) -> Iterator[Finding]:
    """Each row that this seal lists, and each that lies in its stretch without being listed."""
    rows, _ = _tables()
    entries = _entries(bytes(one.entries))
    found = {row.id: row for row in rows._default_manager.filter(id__in=list(entries))}
    low = (0, uuid.UUID(int=0)) if previous is None else _end(previous)
    for pk, digest in entries.items():
        row = found.get(pk)
        if row is None:
            yield Finding("removed", str(pk))
        elif not low < _position(row) <= _end(one):
            yield Finding("moved", str(pk))
        else:
            yield from _of_row(row, digest)
    strange = rows._default_manager.extra(
        where=[
            "(transaction_id, id) > (%s::text::xid8, %s::uuid)",
            "(transaction_id, id) <= (%s::text::xid8, %s::uuid)",
        ],
        params=[str(low[0]), str(low[1]), str(one.to_transaction), str(one.to_id)],
    ).exclude(id__in=list(entries))
    yield from (Finding("added", str(pk)) for pk in strange.values_list("id", flat=True)[:100])


def _of_row(row: AbstractAuditEvent, digest: bytes) -> Iterator[Finding]:
    if bytes(row.content_hash) != digest:
        yield Finding("altered", str(row.id))
    elif row.erased_at is not None:
        rows, _ = _tables()
        told = rows._default_manager.filter(action=ERASE, object_id=str(row.id), erased_at=None)
        if row.changes or row.actor_id or row.ip_address or bytes(row.salt):
            yield Finding("altered", str(row.id))
        elif not told.exists():
            yield Finding("erased_unrecorded", str(row.id))
    elif audit.content_hash(row) != digest:
        yield Finding("altered", str(row.id))


def _entries(text: bytes) -> dict[uuid.UUID, bytes]:
    pieces = [text[start : start + ENTRY] for start in range(0, len(text), ENTRY)]
    return {uuid.UUID(bytes=piece[:16]): piece[16:] for piece in pieces}


def _end(one: AbstractAuditSeal) -> tuple[int, uuid.UUID]:
    return int(one.to_transaction), one.to_id


# --- what only the database's owner can do ---------------------------------------------------------------


def erase(pk: uuid.UUID, *, actor: Actor) -> None:
    """Empty one row's content for good, and say so in a row of its own. Runs as the database's owner."""
    rows, _ = _tables()
    with transaction.atomic():
        row = rows._default_manager.select_for_update().get(pk=pk)
        audit.record(actor=actor, action=ERASE, object_type=rows._meta.label_lower, object_id=str(pk))
        rows._default_manager.filter(pk=row.pk).update(
            actor_id=None,
            process="",
            action="erased",
            object_type="",
            object_id="",
            changes={},
            request_id="",
            ip_address=None,
            salt=b"",
            erased_at=timezone.now(),
        )
