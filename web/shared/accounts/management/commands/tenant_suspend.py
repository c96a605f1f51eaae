"""`tenant_suspend <id or slug>` suspends an organisation."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.core.actor import system
from web.shared.core.exits import Code, Exit
from web.shared.tenants.models import TenantStatus
from web.shared.tenants.queries import tenant_named
from web.shared.tenants.services import tenant_suspend


class Command(BaseCommand):
    help = "Nobody signs in, sockets close, no new call enters; live calls finish."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="id or slug")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = tenant_named(options["tenant"])
        if tenant is None:
            raise Exit(
                f"No tenant has the id or slug {options['tenant']!r}.",
                next_step="manage.py tenant_list",
                code=Code.NOT_FOUND,
            )
        if tenant.status == TenantStatus.PROVISIONING:
            raise Exit("It is still being created.", next_step="manage.py tenant_create with the same slug")
        tenant_suspend(actor=system("tenant_suspend"), tenant=tenant)
        said = {"id": tenant.pk, "status": str(tenant.status)}
        self.stdout.write(json.dumps(said) if options["json"] else f"{tenant.pk}: {tenant.status}")
