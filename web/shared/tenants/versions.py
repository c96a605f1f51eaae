"""Which migration each schema is at, and what it lacks.

A schema's version is the newest applied migration of each app that lives there. `behind` names what the code
has and the schema has not; it is empty for a schema that is current, and everything for one that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from web.shared.tenants.context import public_context
from web.shared.tenants.ids import PUBLIC
from web.shared.tenants.models import Domain, Tenant


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """`version`: app → newest applied migration. `behind`: `app.migration`, in the order to apply."""

    id: str
    slug: str
    version: dict[str, str]
    behind: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def public_version() -> SchemaVersion:
    return _version(PUBLIC, "", _wanted(*settings.SHARED_APPS))


def tenant_versions(only: str = "") -> list[SchemaVersion]:
    """One entry per tenant, oldest first; `only` narrows to one id or slug."""
    wanted = _wanted(*settings.TENANT_APPS)
    with public_context():
        slugs = dict(Domain.objects.filter(is_primary=True).values_list("tenant_id", "slug"))
        ids = list(Tenant.objects.order_by("created_at", "pk").values_list("pk", flat=True))
    return [
        _version(pk, slugs.get(pk, ""), wanted) for pk in ids if not only or only in (pk, slugs.get(pk, ""))
    ]


def schema_version(schema: str) -> SchemaVersion:
    """One tenant-like schema, whether a tenant has it or not."""
    return _version(schema, "", _wanted(*settings.TENANT_APPS))


@cache
def _wanted(*names: str) -> tuple[tuple[str, str], ...]:
    """(app, migration) of everything the code has for these apps, parents first; read once per process."""
    labels = {config.label for config in apps.get_app_configs() if config.name in names}
    loader = MigrationLoader(None, ignore_no_migrations=True)
    plan: list[tuple[str, str]] = []
    for leaf in sorted(loader.graph.leaf_nodes()):
        for key in loader.graph.forwards_plan(leaf):
            if key[0] in labels and key not in plan:
                plan.append(key)
    return tuple(plan)


def _version(schema: str, slug: str, wanted: Iterable[tuple[str, str]]) -> SchemaVersion:
    applied = _applied(schema)
    version = {app: name for app, name in wanted if (app, name) in applied}
    return SchemaVersion(
        schema, slug, version, [f"{app}.{name}" for app, name in wanted if (app, name) not in applied]
    )


def _applied(schema: str) -> set[tuple[str, str]]:
    quoted = connection.ops.quote_name(schema)
    with public_context(), connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"{quoted}.django_migrations"])
        if cursor.fetchone()[0] is None:
            return set()
        cursor.execute(f"SELECT app, name FROM {quoted}.django_migrations")  # noqa: S608 - quoted
        return {(app, name) for app, name in cursor.fetchall()}
