"""The ledger of erasures: what was erased must stay erased, whatever backup comes back.

A row names a tenant, a kind, an id and a time: nothing about the person. It lies outside the tenants' dumps,
in a table that is only added to, and once more in a file beside the tenants' files, for when the database
itself is what was lost. After each restore `reapply` erases again everything the ledger names, through what
the apps registered: `reapplier("contact", fn)`; fn(object_id, actor) runs inside the tenant, ignores holds
(they were lifted when it was erased) and does nothing for an id that the backup does not have.

Callers' rows in the log are erased one by one and far from here; they enter the ledger from the log's own
mark, after the transaction that set it and again before each backup.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone

from web.shared.core import parties
from web.shared.core.actor import Actor
from web.shared.core.files import tenant_root
from web.shared.core.log import rows_of
from web.shared.tenants.clone import TEMPLATE
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.ids import as_tenant_id
from web.shared.tenants.models import ErasureRecord

Reapply = Callable[[str, Actor], Any]
reappliers: dict[str, Reapply] = {}
log = structlog.get_logger("murima.tenants")


@dataclass(frozen=True, slots=True)
class Erased:
    """`at` in ISO 8601."""

    tenant: str
    kind: str
    object_id: str
    at: str


def reapplier(kind: str, erase: Reapply) -> None:
    """Register how an object of this kind is erased again."""
    if reappliers.setdefault(kind, erase) is not erase:
        raise ValueError(f"two ways to erase a {kind} again")


def record(tenant_id: str, kind: str, object_id: str) -> None:
    """Write down, in the transaction of the erasure, that this was erased."""
    row, made = ErasureRecord.objects.get_or_create(
        tenant=as_tenant_id(tenant_id), kind=kind, object_id=object_id, defaults={"at": timezone.now()}
    )
    if made:
        said = Erased(row.tenant, row.kind, row.object_id, row.at.isoformat())
        transaction.on_commit(lambda: _append([said]), robust=True)
        transaction.on_commit(lambda: note_parties(tenant_id), robust=True)


def note_parties(tenant_id: str) -> int:
    """Enter callers' rows that were erased in the log and are not in the ledger yet; returns how many."""
    with rows_of(tenant_id) as cursor:
        cursor.execute(
            "INSERT INTO public.tenants_erasurerecord (tenant, kind, object_id, at) "
            "SELECT tenant, 'party', party, erased FROM public.log_party p "
            "WHERE tenant = %s AND erased IS NOT NULL AND NOT EXISTS "
            "(SELECT FROM public.tenants_erasurerecord e WHERE e.tenant = p.tenant AND e.kind = 'party' "
            "AND e.object_id = p.party) "
            "ON CONFLICT DO NOTHING RETURNING tenant, kind, object_id, at",
            [tenant_id],
        )
        found = [Erased(tenant, kind, pk, at.isoformat()) for tenant, kind, pk, at in cursor.fetchall()]
    _append(found)
    return len(found)


def data_root() -> Path:
    """The directory that holds the tenants' ones, and what belongs to them and lies outside."""
    return tenant_root(TEMPLATE).parents[1]


def ledger_path() -> Path:
    return data_root() / "erasures.jsonl"


def _append(found: Iterable[Erased]) -> None:
    append_to(ledger_path(), found)


def append_to(path: Path, found: Iterable[Erased]) -> None:
    """To a ledger's file; one write per call, so that lines of several processes do not mix."""
    text = "".join(json.dumps(asdict(one)) + "\n" for one in found)
    if not text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, text.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as problem:
        # The table has it; `write_file` makes the file whole again before each backup.
        log.error("erasure_file_not_written", reason=type(problem).__name__)


def read_file(path: Path) -> Iterator[Erased]:
    """The file's lines; one that was cut off by a crash is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            said = json.loads(line)
            yield Erased(
                as_tenant_id(said["tenant"]), str(said["kind"]), str(said["object_id"]), str(said["at"])
            )
        except (ValueError, KeyError, TypeError):
            continue


def of_tenant(tenant_id: str) -> list[Erased]:
    """What the table has of one tenant, oldest first."""
    with public_context():
        rows = ErasureRecord.objects.filter(tenant=tenant_id).order_by("at", "pk")
        return [Erased(row.tenant, row.kind, row.object_id, row.at.isoformat()) for row in rows]


def merge(tenant_id: str, others: Iterable[Erased]) -> int:
    """Enter what a backup's ledger or the file has and the table has not; returns how many."""
    mine = [one for one in others if one.tenant == tenant_id]
    with public_context():
        known = {(one.kind, one.object_id) for one in of_tenant(tenant_id)}
        new = {(one.kind, one.object_id): one for one in mine if (one.kind, one.object_id) not in known}
        ErasureRecord.objects.bulk_create(
            (
                ErasureRecord(
                    tenant=one.tenant,
                    kind=one.kind,
                    object_id=one.object_id,
                    at=datetime.fromisoformat(one.at),
                )
                for one in new.values()
            ),
            ignore_conflicts=True,
        )
    return len(new)


def write_file(tenant_id: str) -> None:
    """Bring the file up to what the table has of this tenant."""
    there = {(one.tenant, one.kind, one.object_id) for one in read_file(ledger_path())}
    _append(one for one in of_tenant(tenant_id) if (one.tenant, one.kind, one.object_id) not in there)


def reapply(tenant_id: str, actor: Actor) -> int:
    """Erase again everything the ledger names of this tenant; returns how many entries were gone through.

    One transaction each, so that an interrupted run is simply repeated. An entry of a kind that nobody
    registered raises LookupError: a restore that cannot keep the promise must not end well.
    """
    entries = of_tenant(tenant_id)
    for one in entries:
        erase = reappliers[one.kind]
        with tenant_context(tenant_id), transaction.atomic():
            erase(one.object_id, actor)
    return len(entries)


def _party(party: str, actor: Actor) -> None:
    parties.erase(connection.schema_name, party)  # type: ignore[attr-defined]


reapplier("party", _party)
