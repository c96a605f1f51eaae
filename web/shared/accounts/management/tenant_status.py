"""What the commands that suspend an organisation and lift its suspension share."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.core.actor import Actor, system
from web.shared.core.exits import Exit
from web.shared.tenants.models import Tenant, TenantStatus
from web.shared.tenants.queries import tenant_wanted


class TenantStatusCommand(BaseCommand):
    """`change` does it; `name` is the command's, for the audit trail."""

    name: str

    def change(self, *, actor: Actor, tenant: Tenant) -> None:
        raise NotImplementedError

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="id or slug")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = tenant_wanted(options["tenant"])
        if tenant.status == TenantStatus.PROVISIONING:
            raise Exit("It is still being created.", next_step="manage.py tenant_create with the same slug")
        self.change(actor=system(self.name), tenant=tenant)
        said = {"id": tenant.pk, "status": str(tenant.status)}
        self.stdout.write(json.dumps(said) if options["json"] else f"{tenant.pk}: {tenant.status}")
