"""django_tenants' migrate_schemas, as the database's owner.

Every way to migrate (`migrate`, `migrate_schemas`, `tenant_migrate`, making a tenant) ends here.
"""

from __future__ import annotations

from typing import Any

from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand

from web.shared.tenants.context import public_context
from web.shared.tenants.ownership import owner_connection


class Command(MigrateSchemasCommand):  # type: ignore[misc]
    def handle(self, *args: Any, **options: Any) -> None:
        with owner_connection(), public_context():
            super().handle(*args, **options)
