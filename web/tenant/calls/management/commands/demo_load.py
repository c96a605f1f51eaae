"""`demo_load [--json] [--migrate]` makes two demo organisations. Safe to repeat; refused in production."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from config.env import KIND
from web.shared.core.exits import Code, Exit
from web.tenant.calls.demo.load import load


class Command(BaseCommand):
    help = "Make two demo organisations with people, queues, numbers and contacts. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print {tenants: [...]} as JSON")
        parser.add_argument("--migrate", action="store_true", help="bring every schema up to date first")

    def handle(self, *args: Any, **options: Any) -> None:
        if KIND == "production":
            raise Exit(
                "The demo is not for production.",
                why="Its logins are derived, not chosen, and MURIMA_ENV is production.",
                next_step="manage.py tenant_create",
                code=Code.PERMISSION,
            )
        if options["migrate"]:
            call_command("migrate_schemas", verbosity=0)
        tenants = load()
        if options["json"]:
            self.stdout.write(json.dumps({"tenants": tenants}))
            return
        for tenant in tenants:
            self.stdout.write(f"{tenant['slug']} ({tenant['id']})")
            for user in tenant["users"]:
                self.stdout.write(f"  {user['role']:<12} {user['email']:<28} {user['password']}")
