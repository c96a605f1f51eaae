"""`tenant_migrate` brings every schema to the code's migrations; `--status` shows where each is.

Public first, then each tenant that is behind, one by one, each in its own transactions. A tenant that fails
is named and the others go on; what is done is not done again, so a killed or failed run is simply repeated.
One run at a time for the whole deployment. Roles that are still as shipped get what the release added.
"""

from __future__ import annotations

import json
from typing import Any

import structlog
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from web.shared.accounts.roles import role_rows_sync
from web.shared.core.actor import system
from web.shared.core.exits import Exit
from web.shared.tenants.context import public_context
from web.shared.tenants.migrating import bring_up
from web.shared.tenants.models import Tenant, TenantStatus
from web.shared.tenants.ownership import owner_lock
from web.shared.tenants.provisioning import provision
from web.shared.tenants.queries import nobody_called
from web.shared.tenants.schemas import template_prepare
from web.shared.tenants.services import schema_prepare
from web.shared.tenants.versions import SchemaVersion, public_version, tenant_versions

log = structlog.get_logger("murima.tenants")


class Command(BaseCommand):
    help = "Migrate public and every tenant's schema; safe to repeat. --status only looks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", default="", help="one tenant, by id or slug")
        parser.add_argument("--status", action="store_true", help="show each schema's version and stop")
        parser.add_argument("--json", action="store_true", help="one object per schema and line")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["status"]:
            self._status(options["tenant"], options["json"])
            return
        with owner_lock("tenant_migrate") as mine:
            if not mine:
                raise Exit(
                    "Another tenant_migrate is running.", next_step="wait for it, then look at --status"
                )
            call_command("migrate_schemas", shared=True, interactive=False, verbosity=0)
            self._template()
            failed = [
                one.id for one in self._chosen(options["tenant"]) if not self._migrate(one, options["json"])
            ]
        if failed:
            raise Exit(
                f"{len(failed)} of the schemas could not be migrated: {', '.join(failed[:5])}.",
                why="The log names each failure; the other schemas are done.",
                next_step="mend it, then manage.py tenant_migrate again",
            )

    def _template(self) -> None:
        """So that a tenant made later is a copy, in a second. A failure shows again with the first tenant."""
        try:
            template_prepare()
        except Exception as problem:
            log.error("template_not_migrated", exc_info=problem)

    def _chosen(self, only: str) -> list[SchemaVersion]:
        found = tenant_versions(only)
        if only and not found:
            raise nobody_called(only)
        return found

    def _migrate(self, version: SchemaVersion, as_json: bool) -> bool:
        """Bring one schema up; False (and a log line) when it failed."""
        with public_context():
            tenant = Tenant.objects.get(pk=version.id)
        try:
            if version.behind and version.version:
                bring_up(tenant.pk)
            elif version.behind:
                schema_prepare(tenant)
            with public_context():
                role_rows_sync(tenant)
            if tenant.status != TenantStatus.PROVISIONING:
                provision(tenant.pk, system("tenant_migrate"))
        except Exception as problem:
            log.error("schema_migration_failed", tenant=version.id, exc_info=problem)
            return False
        state = "migrated" if version.behind else "current"
        said = {"id": version.id, "slug": version.slug, "state": state, "applied": len(version.behind)}
        self.stdout.write(json.dumps(said) if as_json else f"{version.id} {version.slug}: {state}")
        return True

    def _status(self, only: str, as_json: bool) -> None:
        versions = ([] if only else [public_version()]) + self._chosen(only)
        for one in versions:
            newest = ", ".join(f"{app} {name}" for app, name in sorted(one.version.items()))
            state = f"BEHIND by {len(one.behind)}" if one.behind else "current"
            text = f"{one.id} {one.slug}: {state}\n  {newest}"
            self.stdout.write(json.dumps(one.as_json()) if as_json else text)
