"""Give a tenant a new key, and bring what older ones sealed under it.

manage.py keys_rotate TENANT                a new key at once for new callers, then older rows in batches
manage.py keys_rotate TENANT --only-reseal  finish a run that was interrupted
"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from telephony.sealing import SealError
from web.shared.core import keys
from web.shared.core.exits import Exit
from web.shared.core.management.commands.policy_publish import tenant_of


class Command(BaseCommand):
    help = "Rotate a tenant's key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="slug or id")
        parser.add_argument("--only-reseal", action="store_true", help="make no new key")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = tenant_of(options["tenant"])
        version = keys.ring(tenant).active if options["only_reseal"] else keys.rotate(tenant)
        try:
            count = keys.reseal(tenant)
        except SealError as error:
            raise Exit(
                "A party's row does not open.", why=str(error), next_step="keys_rotate --only-reseal"
            ) from error
        answer = {"tenant": tenant, "version": version, "resealed": count}
        self.stdout.write(
            json.dumps(answer) if options["json"] else f"{tenant}: key {version}, {count} rows resealed"
        )
