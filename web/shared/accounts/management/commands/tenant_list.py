"""`tenant_list` shows every organisation: id, slug, status, name."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.tenants.context import public_context
from web.shared.tenants.models import Domain, Tenant


class Command(BaseCommand):
    help = "Show the organisations of this deployment, oldest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one object per organisation and line")

    def handle(self, *args: Any, **options: Any) -> None:
        with public_context():
            slugs = dict(Domain.objects.filter(is_primary=True).values_list("tenant_id", "slug"))
            rows = list(Tenant.objects.order_by("created_at", "pk"))
        for row in rows:
            said = {"id": row.pk, "slug": slugs.get(row.pk, ""), "status": row.status, "name": row.name}
            self.stdout.write(json.dumps(said) if options["json"] else "  ".join(said.values()))
