"""Bringing a tenant, or everything, back.

A tenant that is there is suspended and its schema and files are set aside, not dropped, until the backup's
stand in their place; whatever fails on the way puts them back. The log, policies and keys only grow and are
not turned back: the intake, whose position lies in the restored schema, makes the rows of later calls anew.
At the end the tenant is migrated to what the code has, everything in the ledger of erasures is erased again,
and only then may anybody in.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone
from psycopg import sql

from web.shared.core import audit, published
from web.shared.core.actor import Actor
from web.shared.core.exits import Code, Exit
from web.shared.core.files import tenant_root
from web.shared.tenants import erasures, schemas
from web.shared.tenants.backup import clocks, elsewhere, servers
from web.shared.tenants.backup import manifest as papers
from web.shared.tenants.backup.manifest import Manifest, TenantPart
from web.shared.tenants.backup.saving import anchors
from web.shared.tenants.backup.tables import KEPT_AS_THEY_ARE, TENANTS, USERS, Shared
from web.shared.tenants.clone import grants_like_template
from web.shared.tenants.context import public_context
from web.shared.tenants.models import Tenant, TenantStatus
from web.shared.tenants.ownership import owner_connection
from web.shared.tenants.services import tenant_suspend

log = structlog.get_logger("murima.tenants")
ASIDE = "aside_"


@dataclass(frozen=True, slots=True)
class Restored:
    id: str
    slug: str
    erased_again: int


def check(root: Path, manifest: Manifest) -> None:
    """Exit when the backup is not whole, or this deployment could not use it."""
    papers.verify(root, manifest)
    if manifest.master_key != papers.master_key_fingerprint():
        raise Exit(
            "The backup belongs to another master key.",
            why="Its tenants' keys would open with MURIMA_MASTER_KEY of the deployment it was made in only.",
            next_step="set that key, then restore",
        )


def restore_platform(root: Path, manifest: Manifest) -> None:
    """Shared rows that belong to no tenant: accounts, platform roles, the platform's audit trail."""
    with servers.connect() as link:
        shared = Shared(link)
        for table, columns in sorted(manifest.platform_tables.items()):
            _copy_in(link, shared, root / "platform" / "shared" / f"{table}.copy", table, columns)
        _bump_sequences(link, shared, list(manifest.platform_tables))


def restore_tenant(root: Path, part: TenantPart, *, actor: Actor, replace: bool) -> Restored:
    """Bring one tenant back. Exit when it is there and `replace` is not said, or on any failure."""
    present = _present(part.id)
    if (present is not None or schemas.exists(part.id)) and not replace:
        raise Exit(
            f"{part.id} {part.slug} is there already.", why="Restoring replaces everything it has now.",
            next_step="say --replace", code=Code.USAGE,
        )  # fmt: skip
    if present is not None and present.status != TenantStatus.SUSPENDED:
        tenant_suspend(actor=actor, tenant=present)
    _accounts(root, part)
    undo = [_set_schema_aside(part.id)]
    try:
        servers.run(
            "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges",
            f"--dbname={servers.database_name()}", str(root / part.id / "schema.dump"),
        )  # fmt: skip
        undo.append(_set_files_aside(part.id))
        _files(root / part.id / "files.tar", tenant_root(part.id))
        undo.append(elsewhere.restore(root / part.id / "files.tar", part.id))
        status = _shared_rows(root, part)
    except BaseException:
        for back in reversed(undo):
            back()
        raise
    elsewhere.forget_others(root / part.id / "files.tar", part.id)
    erased = _finish(root, part, status, actor)
    _forget_aside(part.id)
    return Restored(part.id, part.slug, erased)


def _present(tenant_id: str) -> Tenant | None:
    with public_context():
        found: Tenant | None = Tenant.objects.filter(pk=tenant_id).first()
        return found


def _finish(root: Path, part: TenantPart, status: str, actor: Actor) -> int:
    """What makes a restored tenant whole; each step may be repeated."""
    schemas.migrate(part.id)
    clocks.settle(part.id)
    _anchors(root / part.id / "anchors.jsonl", anchors(part.id))
    with owner_connection():
        grants_like_template(part.id)
    erasures.merge(part.id, erasures.read_file(root / "erasures.jsonl"))
    erasures.merge(part.id, erasures.read_file(erasures.ledger_path()))
    erasures.note_parties(part.id)
    erased = erasures.reapply(part.id, actor)
    erasures.write_file(part.id)
    for publish in published.publishers if published.policy(part.id) is not None else ():
        try:
            publish(part.id)
        except (published.Unfit, ObjectDoesNotExist) as problem:
            log.warning("restored_policy_not_published", tenant=part.id, reason=type(problem).__name__)
    with public_context():
        tenant = Tenant.objects.get(pk=part.id)
        tenant.status = status
        tenant.save(update_fields=["status"])
        audit.record(actor=actor, action="restore", obj=tenant)
        published.notify(f"tenant {part.id} {status}")
    return erased


def _anchors(source: Path, target: Path) -> None:
    """The restored audit trail ends where the backup does, and so must its anchors. Those of the trail that
    was replaced stay beside them, and the platform's own trail says that it was."""
    if target.is_file() and not (source.is_file() and source.read_bytes() == target.read_bytes()):
        target.rename(target.with_name(f"{target.name}.replaced-{timezone.now():%Y%m%dT%H%M%S}"))
    if source.is_file():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, target)


# --- schema and files ---------------------------------------------------------------------------------------


def _set_schema_aside(tenant_id: str) -> Callable[[], None]:
    """Rename the schema; returns what puts it back. One that an earlier, killed restore set aside is the
    true one, and what stands in its place a half restored one."""
    aside = ASIDE + tenant_id
    with servers.connect() as link:
        there = link.execute("SELECT to_regnamespace(%s) IS NOT NULL", [aside]).fetchone()
        if there is not None and there[0]:
            link.execute(f"DROP SCHEMA IF EXISTS {tenant_id} CASCADE".encode())
        elif schemas.exists(tenant_id):
            link.execute(f"ALTER SCHEMA {tenant_id} RENAME TO {aside}".encode())

    def back() -> None:
        with servers.connect() as link:
            link.execute(f"DROP SCHEMA IF EXISTS {tenant_id} CASCADE".encode())
            found = link.execute("SELECT to_regnamespace(%s) IS NOT NULL", [aside]).fetchone()
            if found is not None and found[0]:
                link.execute(f"ALTER SCHEMA {aside} RENAME TO {tenant_id}".encode())

    return back


def _aside_files(tenant_id: str) -> Path:
    root = tenant_root(tenant_id)
    return root.with_name(f"{ASIDE}{tenant_id}")


def _set_files_aside(tenant_id: str) -> Callable[[], None]:
    root, aside = tenant_root(tenant_id), _aside_files(tenant_id)
    if aside.exists():
        shutil.rmtree(root, ignore_errors=True)
    elif root.exists():
        root.rename(aside)

    def back() -> None:
        shutil.rmtree(root, ignore_errors=True)
        if aside.exists():
            aside.rename(root)

    return back


def _forget_aside(tenant_id: str) -> None:
    with servers.connect() as link:
        link.execute(f"DROP SCHEMA IF EXISTS {ASIDE}{tenant_id} CASCADE".encode())
    shutil.rmtree(_aside_files(tenant_id), ignore_errors=True)


def _files(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tarfile.open(source) as tar:
        for member in tar:
            if not elsewhere.takes(member.name):
                _file(tar, member, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """One plain file or directory; links, devices and whatever would leave the directory are refused.

    By hand: Python has a filter for this only from 3.11.4 on.
    """
    path = target / member.name
    if not (member.isreg() or member.isdir()) or not path.resolve().is_relative_to(target.resolve()):
        raise Exit(
            "The backup's files hold something that is no plain file.",
            why="A link, a device or a path out of the directory.",
            next_step="Take another backup: this one was changed.",
        )
    if member.isdir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    with path.open("wb") as out:
        shutil.copyfileobj(content, out)


# --- shared rows --------------------------------------------------------------------------------------------


def _shared_rows(root: Path, part: TenantPart) -> str:
    """All shared rows in one transaction, the tenant suspended; returns the status that the backup says."""
    folder = root / part.id / "shared"
    with servers.connect() as link:
        shared = Shared(link)
        accounts = {one.table for one in shared.of_users()}
        for rows in reversed(shared.of_tenant()):
            if rows.table in part.tables and rows.table not in (KEPT_AS_THEY_ARE | {TENANTS}):
                statement = f"DELETE FROM public.{rows.table} WHERE {rows.where}"  # noqa: S608 - catalogue's names
                _execute(link, statement, {"tenant": part.id})
        for table, columns in part.tables.items():
            if table not in accounts:
                meets = "replace" if table == TENANTS else "keep" if table in KEPT_AS_THEY_ARE else "refuse"
                _copy_in(link, shared, folder / f"{table}.copy", table, columns, meets=meets)
        _bump_sequences(link, shared, list(part.tables))
        row = link.execute("SELECT status FROM public.tenants_tenant WHERE schema_name = %s", [part.id])
        found = row.fetchone()
        assert found is not None
        link.execute(
            "UPDATE public.tenants_tenant SET status = 'suspended' WHERE schema_name = %s", [part.id]
        )
        return str(found[0])


def _accounts(root: Path, part: TenantPart) -> None:
    """Accounts that are not there yet, with what hangs on them; those that are there stay as they are.

    In a transaction of its own and first, because the tenant's schema points at them.
    """
    with servers.connect() as link:
        shared, folder = Shared(link), root / part.id / "shared"

        def ids() -> set[Any]:
            return {pk for (pk,) in link.execute(b"SELECT id FROM public.accounts_user").fetchall()}

        before = ids()
        _copy_in(link, shared, folder / f"{USERS}.copy", USERS, part.tables[USERS])
        new = sorted(ids() - before)
        for rows in shared.of_users()[1:]:
            if rows.table in part.tables:
                _copy_in(
                    link, shared, folder / f"{rows.table}.copy", rows.table, part.tables[rows.table],
                    only=rows.where, values={"users": new},
                )  # fmt: skip
        _bump_sequences(link, shared, [rows.table for rows in shared.of_users()])


def _copy_in(
    link: psycopg.Connection[Any],
    shared: Shared,
    source: Path,
    table: str,
    columns: list[str],
    *,
    meets: str = "keep",
    only: str = "true",
    values: dict[str, Any] | None = None,
) -> None:
    """Rows of a file into a table. `meets` says what happens to one whose key is there: it is kept, replaced,
    or refused with Exit. Columns that this release no longer has are dropped, new ones get their defaults."""
    kept = [name for name in columns if name in set(shared.columns(table))]
    names = sql.SQL(", ").join(map(sql.Identifier, kept))
    here, target = sql.Identifier("pg_temp", "incoming"), sql.Identifier("public", table)
    link.execute("DROP TABLE IF EXISTS pg_temp.incoming")
    every = sql.SQL(", ").join(map(sql.Identifier, columns))
    missing = [name for name in columns if name not in kept]
    link.execute(sql.SQL("CREATE TEMP TABLE incoming AS SELECT {} FROM {} LIMIT 0").format(names, target))
    for name in missing:
        link.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} text").format(here, sql.Identifier(name)))
    with (
        link.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(here, every)) as copy,
        source.open("rb") as file,
    ):
        while block := file.read(1 << 16):
            copy.write(block)
    if table == "log_fact":
        _partitions(link)
    conflict = _conflict(shared, table, kept, meets)
    statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} WHERE ").format(
        target, names, names, here
    )
    _execute(link, f"{statement.as_string(link)}{only} {conflict.as_string(link)}", values)


def _conflict(shared: Shared, table: str, columns: list[str], meets: str) -> sql.Composable:
    keys = shared.primary_key(table)
    key = sql.SQL(", ").join(map(sql.Identifier, keys))
    if table == "log_owner":
        # Fencing never goes back.
        meets = "replace"
    if meets == "refuse":
        return sql.SQL("")
    if meets == "keep":
        return sql.SQL("ON CONFLICT ({}) DO NOTHING").format(key)
    changed = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns if name not in keys
    )
    newer = " WHERE excluded.epoch > log_owner.epoch" if table == "log_owner" else ""
    return sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}" + newer).format(key, changed)


def _partitions(link: psycopg.Connection[Any]) -> None:
    """The log has a partition for each day."""
    days: list[tuple[date]] = link.execute("SELECT DISTINCT day FROM pg_temp.incoming").fetchall()
    for (day,) in days:
        link.execute("SELECT public.log_partition(%s)", [min(day, date.max - timedelta(days=1))])


def _bump_sequences(link: psycopg.Connection[Any], shared: Shared, tables: list[str]) -> None:
    """Numbers that were given out are not given out again."""
    for table in tables:
        keys = shared.primary_key(table)
        if len(keys) != 1:
            continue
        row = link.execute("SELECT pg_get_serial_sequence(%s, %s)", [f"public.{table}", keys[0]]).fetchone()
        if row is not None and row[0] is not None:
            name = sql.Identifier(keys[0])
            link.execute(
                sql.SQL("SELECT setval({}, greatest((SELECT max({}) FROM {}), nextval({}) - 1, 1))").format(
                    sql.Literal(row[0]), name, sql.Identifier("public", table), sql.Literal(row[0])
                )
            )


def _execute(link: psycopg.Connection[Any], statement: str, values: dict[str, Any] | None = None) -> None:
    try:
        link.execute(statement.encode(), values)
    except psycopg.errors.UniqueViolation as problem:
        name = problem.diag.constraint_name or "a unique rule"
        raise Exit(
            "Something that belongs to this backup is somebody else's here.",
            why=f"{name} of {problem.diag.table_name} would be broken.",
            next_step="restore into the same deployment, or into an empty one",
        ) from None
