"""`manage.py audit_verify [--tenant slug-or-id] [--json]`: is the audit trail as it was sealed?

Exit code 0 when it is, 1 when something was altered, removed, added or moved; each finding names the row.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.core import sealer
from web.shared.core.exits import Code, Exit
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.ids import PUBLIC, is_tenant_id
from web.shared.tenants.queries import tenant_by_slug, tenant_ids


class Command(BaseCommand):
    help = "Verify the chain of seals over the audit trail"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", default="", help="Slug or id; all of them, and the platform, if none")
        parser.add_argument("--json", action="store_true", help="One JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        found = {owner: self._verify(owner) for owner in _owners(options["tenant"])}
        if options["json"]:
            self.stdout.write(
                json.dumps({owner: [str(one) for one in all_] for owner, all_ in found.items()})
            )
        for owner, findings in found.items():
            for one in findings if not options["json"] else ():
                self.stdout.write(f"{owner}: {one}")
            if not findings and not options["json"]:
                self.stdout.write(f"{owner}: whole")
        if any(found.values()):
            raise Exit(
                "The audit trail is not as it was sealed.",
                why=f"{sum(map(len, found.values()))} finding(s), named above.",
                next_step="Compare with a backup, and look who had the database owner's password.",
            )

    def _verify(self, owner: str) -> list[sealer.Finding]:
        with public_context() if owner == PUBLIC else tenant_context(owner):
            return sealer.verify()


def _owners(wanted: str) -> list[str]:
    if not wanted:
        return [PUBLIC, *tenant_ids(active_only=False)]
    if wanted == PUBLIC or (is_tenant_id(wanted) and wanted in tenant_ids(active_only=False)):
        return [wanted]
    tenant = tenant_by_slug(wanted)
    if tenant is None:
        raise Exit("There is no such tenant.", next_step="manage.py tenant_list", code=Code.NOT_FOUND)
    return [str(tenant.pk)]
