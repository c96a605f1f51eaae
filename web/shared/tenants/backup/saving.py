"""Making a backup: beside the place where it shall lie, then renamed, so that a half one is never taken for
a whole one."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.utils import timezone
from psycopg import sql

from web.shared.core.exits import Code, Exit
from web.shared.core.files import tenant_root
from web.shared.tenants import erasures
from web.shared.tenants.backup import elsewhere, servers
from web.shared.tenants.backup import manifest as papers
from web.shared.tenants.backup.manifest import Manifest, TenantPart
from web.shared.tenants.backup.tables import Rows, Shared
from web.shared.tenants.versions import SchemaVersion, public_version


def save(target: Path, tenants: Iterable[SchemaVersion], *, everything: bool) -> Manifest:
    """Back these tenants up into the new directory `target`; Exit when it is there already."""
    if target.exists():
        raise Exit(f"{target} is there already.", next_step="name a new directory", code=Code.USAGE)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        made = _fill(partial, list(tenants), everything)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(target)
    return made


def _fill(root: Path, tenants: list[SchemaVersion], everything: bool) -> Manifest:
    for tenant in tenants:
        erasures.note_parties(tenant.id)
        erasures.write_file(tenant.id)
    with _snapshot() as (link, snapshot):
        shared = Shared(link)
        made = Manifest(
            made_at=timezone.now().isoformat(),
            kind="all" if everything else "tenant",
            postgresql=link.info.server_version,
            public_version=public_version().version,
            master_key=papers.master_key_fingerprint(),
        )
        for tenant in tenants:
            made.tenants.append(_tenant(root, link, shared, snapshot, tenant))
        if everything:
            folder = _folder(root / "platform" / "shared")
            for rows in shared.of_platform():
                made.platform_tables[rows.table] = shared.columns(rows.table)
                _copy_out(link, shared, rows, {}, folder)
    _ledger(root, {one.id for one in tenants})
    papers.seal(root, made)
    return made


@contextmanager
def _snapshot() -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """A read-only transaction whose view of the database pg_dump can share."""
    with servers.connect() as link:
        link.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        link.read_only = True
        row = link.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield link, str(row[0])


def _tenant(
    root: Path, link: psycopg.Connection[Any], shared: Shared, snapshot: str, tenant: SchemaVersion
) -> TenantPart:
    part = TenantPart(id=tenant.id, slug=tenant.slug, version=tenant.version)
    folder = _folder(root / tenant.id / "shared")
    servers.run(
        "pg_dump", "--format=custom", f"--schema={tenant.id}", f"--snapshot={snapshot}", "--no-owner",
        f"--file={root / tenant.id / 'schema.dump'}", servers.database_name(),
    )  # fmt: skip
    values = {"tenant": tenant.id, "users": shared.needed_users(tenant.id)}
    for rows in [*shared.of_tenant(), *shared.of_users()]:
        part.tables[rows.table] = shared.columns(rows.table)
        part.rows[rows.table] = _copy_out(link, shared, rows, values, folder)
    _files(tenant.id, root / tenant.id / "files.tar")
    if anchors(tenant.id).is_file():
        shutil.copyfile(anchors(tenant.id), root / tenant.id / "anchors.jsonl")
    return part


def anchors(tenant_id: str) -> Path:
    """Where the daily anchors of this tenant's audit trail lie."""
    return erasures.data_root() / "anchors" / f"{tenant_id}.jsonl"


def _copy_out(
    link: psycopg.Connection[Any], shared: Shared, rows: Rows, values: dict[str, Any], folder: Path
) -> int:
    """The rows in PostgreSQL's own text form; returns how many."""
    columns = sql.SQL(", ").join(map(sql.Identifier, shared.columns(rows.table)))
    head = sql.SQL("COPY (SELECT {columns} FROM {table} WHERE ").format(
        columns=columns, table=sql.Identifier("public", rows.table)
    )
    # COPY takes no parameters: the condition is made into text by a cursor that binds on our side.
    condition = psycopg.ClientCursor(link).mogrify(rows.where.encode(), values) if values else rows.where
    with (folder / f"{rows.table}.copy").open("wb") as file, link.cursor() as cursor:
        with cursor.copy(f"{head.as_string(link)}{condition}) TO STDOUT".encode()) as copy:
            for block in copy:
                file.write(block)
        return max(cursor.rowcount, 0)


def _files(tenant_id: str, target: Path) -> None:
    source = tenant_root(tenant_id)
    with tarfile.open(target, "w") as tar:
        if source.is_dir():
            for path in sorted(source.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    try:
                        tar.add(path, arcname=str(path.relative_to(source)), recursive=False)
                    except FileNotFoundError:
                        continue  # erased while we were at it
        elsewhere.add(tar, tenant_id)


def _ledger(root: Path, tenants: set[str]) -> None:
    kept = [one for one in erasures.read_file(erasures.ledger_path()) if one.tenant in tenants]
    erasures.append_to(root / "erasures.jsonl", kept)


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
