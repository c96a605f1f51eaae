"""Migrations expand first and contract later.

While a release rolls out, the last release's processes still read and write. So a migration may add, but not
take away: no removed or renamed field or model, no field made NOT NULL without a default. Taking away is a
later release's migration, marked `contract = True` on its Migration class; the mark is what a reviewer sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.models.fields import NOT_PROVIDED

OURS = "web."
REMOVALS = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.DeleteModel,
    migrations.RenameModel,
    migrations.AlterModelTable,
)


def contracting_operations(
    migration: migrations.Migration, was_nullable: Callable[[str, str], bool]
) -> Iterator[str]:
    """A sentence for each operation the last release would not survive.

    `was_nullable(model, field)` tells about the state before this migration.
    """
    if getattr(migration, "contract", False) or migration.initial:
        return
    new = {op.name.lower() for op in migration.operations if isinstance(op, migrations.CreateModel)}
    for operation in migration.operations:
        model = getattr(operation, "model_name", getattr(operation, "name", "")).lower()
        if model in new:
            continue
        if isinstance(operation, REMOVALS):
            yield f"{type(operation).__name__}: {operation.describe()}"
        elif isinstance(operation, migrations.AddField) and _demands(operation.field):
            # Django drops a Python default from the column again, and old processes do not name the field.
            yield f"AddField: {operation.name} of {model} is NOT NULL without db_default"
        elif (
            isinstance(operation, migrations.AlterField)
            and _demands(operation.field)
            and was_nullable(model, operation.name)
        ):
            yield f"AlterField: {operation.name} of {model} becomes NOT NULL without db_default"


def _demands(field: models.Field[Any, Any]) -> bool:
    if field.null or field.many_to_many or field.primary_key:
        return False
    return field.db_default is NOT_PROVIDED


@register(Tags.models)
def migrations_expand_before_they_contract(app_configs: Any, **_: Any) -> list[CheckMessage]:
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith(OURS)}
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return [
        Error(
            f"{label}.{name}: {sentence}. Running processes of the last release would break.",
            hint="Split it: expand now, contract in a later release with `contract = True` on the Migration.",
            id="murima.E010",
        )
        for (label, name), migration in sorted(loader.disk_migrations.items())
        if label in ours
        for sentence in contracting_operations(migration, _nullable_before(loader, label, name))
    ]


def _nullable_before(loader: MigrationLoader, label: str, name: str) -> Callable[[str, str], bool]:
    def was_nullable(model: str, field: str) -> bool:
        state = loader.project_state((label, name), at_end=False)
        return bool(state.models[label, model].fields[field].null)

    return was_nullable
