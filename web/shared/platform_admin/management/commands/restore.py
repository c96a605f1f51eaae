"""`restore --tenant X DIRECTORY`, `restore --all DIRECTORY`, `restore --check DIRECTORY`.

The database must have its roles and be migrated (`manage.py tenant_migrate`); everything else is in the
backup. Whoever was erased since it was made is erased again before anybody is let in.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.core.actor import system
from web.shared.core.exits import Code, Exit
from web.shared.tenants.backup import manifest as papers
from web.shared.tenants.backup.manifest import Manifest, TenantPart
from web.shared.tenants.backup.restoring import check, restore_platform, restore_tenant
from web.shared.tenants.ownership import owner_lock
from web.shared.tenants.versions import public_version


class Command(BaseCommand):
    help = "Bring one tenant, or everything, back from a backup; erased people stay erased."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--tenant", default="", help="one tenant, by id or slug")
        which.add_argument("--all", action="store_true", help="everything that is in the backup")
        which.add_argument("--check", action="store_true", help="only compare the files with their hashes")
        parser.add_argument("directory", type=Path)
        parser.add_argument("--replace", action="store_true", help="replace a tenant that is there")
        parser.add_argument("--json", action="store_true", help="one object per tenant and line")

    def handle(self, *args: Any, **options: Any) -> None:
        root: Path = options["directory"]
        manifest = papers.load(root)
        check(root, manifest)
        if options["check"]:
            self._say({"made_at": manifest.made_at, "tenants": [one.id for one in manifest.tenants]}, options)
            return
        if public_version().behind:
            raise Exit(
                "The shared schema is not migrated.", why="Rows of the backup would find no table.",
                next_step="manage.py tenant_migrate, then restore",
            )  # fmt: skip
        with owner_lock("restore") as mine:
            if not mine:
                raise Exit("Another restore is running.", next_step="wait for it")
            if options["all"]:
                restore_platform(root, manifest)
            for part in _chosen(manifest, options["tenant"]):
                done = restore_tenant(root, part, actor=system("restore"), replace=options["replace"])
                self._say({"id": done.id, "slug": done.slug, "erased_again": done.erased_again}, options)

    def _say(self, said: dict[str, Any], options: dict[str, Any]) -> None:
        text = ", ".join(f"{key}: {value}" for key, value in said.items())
        self.stdout.write(json.dumps(said) if options["json"] else text)


def _chosen(manifest: Manifest, wanted: str) -> list[TenantPart]:
    if not wanted:
        return manifest.tenants
    part = manifest.tenant(wanted)
    if part is None:
        known = ", ".join(one.slug for one in manifest.tenants[:10])
        raise Exit(f"The backup has no tenant {wanted!r}.", why=f"It has: {known}.", code=Code.NOT_FOUND)
    return [part]
