"""Tables as our migrations make them: no constraint leads from a tenant's table to a shared one.

PostgreSQL keeps two triggers at the table that a foreign key points at. A tenant has some two hundred keys to
people; with two hundred tenants that were seventy thousand triggers at one table, which every connection
reads whenever a tenant is made, and which every change of a person goes through. So these columns hold the
id and no constraint; Django still knows the relation. Nobody deletes people or roles that something may point
at: they are deactivated, or emptied of what is personal.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.backends.postgresql.schema import DatabaseSchemaEditor


class SchemaEditor(DatabaseSchemaEditor):
    def create_model(self, model: Any) -> None:
        for field in model._meta.local_fields:
            _loosen(model, field)
        super().create_model(model)

    def add_field(self, model: Any, field: Any) -> None:
        _loosen(model, field)
        super().add_field(model, field)

    def alter_field(self, model: Any, old_field: Any, new_field: Any, strict: bool = False) -> None:
        for field in (old_field, new_field):
            _loosen(model, field)
        super().alter_field(model, old_field, new_field, strict)


def _loosen(model: Any, field: Any) -> None:
    """The model is one of a migration's own, made for it alone."""
    remote = getattr(field.remote_field, "model", None)
    if remote is None or not getattr(field, "db_constraint", False):
        return
    if _is_tenants(model) and not _is_tenants(remote):
        field.db_constraint = False


def _is_tenants(model: Any) -> bool:
    return apps.get_app_config(model._meta.app_label).name in settings.TENANT_APPS
