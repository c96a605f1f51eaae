"""`tenant_create <slug> --name ... --admin a@b` makes an organisation and its first administrator."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser

from web.shared.accounts.onboarding import person_add, tenant_create
from web.shared.core.actor import system
from web.shared.core.exits import Code, Exit


class Command(BaseCommand):
    help = "Make an organisation: schema, roles, host, first administrator. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="what people type in the host: <slug>.<base domain>")
        parser.add_argument("--name", default="", help="the organisation's name; default: the slug")
        parser.add_argument("--host", default="", help="a host name of its own")
        parser.add_argument("--admin", default="", help="e-mail of the first administrator")
        parser.add_argument(
            "--password", default="", help="their password; default: a random one, shown once"
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = system("tenant_create")
        started = time.monotonic()
        slug = options["slug"]
        try:
            tenant = tenant_create(actor=actor, slug=slug, name=options["name"] or slug, host=options["host"])
        except ValidationError as problem:
            raise Exit(
                f"{slug!r} cannot be a slug.", why=" ".join(problem.messages), code=Code.USAGE
            ) from None
        made = {"id": tenant.pk, "slug": slug}
        if options["admin"]:
            password = options["password"] or secrets.token_urlsafe(12)
            person_add(actor=actor, tenant=tenant, email=options["admin"], role="admin", password=password)
            made |= {"admin": options["admin"], "password": password}
        made["seconds"] = f"{time.monotonic() - started:.1f}"
        self.stdout.write(
            json.dumps(made)
            if options["json"]
            else "\n".join(f"{key}: {value}" for key, value in made.items())
        )
