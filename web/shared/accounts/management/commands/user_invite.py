"""`user_invite <slug> <email> --role agent` asks somebody to join an organisation; the link is mailed."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser

from web.shared.accounts.invitations import invitation_create
from web.shared.accounts.models import TenantRole
from web.shared.core.actor import system
from web.shared.core.exits import Code, Exit
from web.shared.tenants.context import tenant_context
from web.shared.tenants.queries import tenant_by_slug


class Command(BaseCommand):
    help = "Invite somebody to an organisation. The mail goes out by the worker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="the organisation")
        parser.add_argument("email")
        parser.add_argument("--role", default="agent", help="a role of the organisation; default: agent")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = tenant_by_slug(options["slug"])
        if tenant is None:
            raise Exit(f"There is no organisation {options['slug']!r}.", code=Code.NOT_FOUND)
        with tenant_context(tenant.pk):
            role = TenantRole.objects.filter(tenant=tenant, name=options["role"], is_active=True).first()
            if role is None:
                raise Exit(f"There is no role {options['role']!r} there.", code=Code.NOT_FOUND)
            try:
                made = invitation_create(
                    actor=system("user_invite"),
                    tenant_id=tenant.pk,
                    email=options["email"],
                    role=role,
                    grantor=None,
                )
            except ValidationError as refused:
                raise Exit("They were not invited.", why=" ".join(refused.messages)) from None
        said = {"invitation": str(made.pk), "expires_at": made.expires_at.isoformat()}
        text = "\n".join(f"{key}: {value}" for key, value in said.items())
        self.stdout.write(json.dumps(said) if options["json"] else text)
