"""`backup --tenant X DIRECTORY`, `backup --all DIRECTORY`: see web.shared.tenants.backup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.tenants.backup.saving import save
from web.shared.tenants.queries import nobody_called
from web.shared.tenants.versions import tenant_versions


class Command(BaseCommand):
    help = "Write one tenant, or everything, into a new directory: schema, shared rows, files, hashes."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--tenant", default="", help="one tenant, by id or slug")
        which.add_argument("--all", action="store_true", help="every tenant and the platform's own rows")
        parser.add_argument("directory", type=Path)
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = tenant_versions(options["tenant"])
        if not tenants and options["tenant"]:
            raise nobody_called(options["tenant"])
        made = save(options["directory"], tenants, everything=options["all"])
        size = sum(one["bytes"] for one in made.files.values())
        said = {
            "directory": str(options["directory"]),
            "tenants": [one.id for one in made.tenants],
            "files": len(made.files),
            "bytes": size,
        }
        self.stdout.write(
            json.dumps(said)
            if options["json"]
            else f"{said['directory']}: {len(made.tenants)} tenants, {len(made.files)} files, {size} bytes"
        )
