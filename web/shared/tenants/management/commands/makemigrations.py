"""Django's makemigrations; it looks at the history in the database, so it needs a schema chosen."""

from __future__ import annotations

from typing import Any

from django.core.management.commands.makemigrations import Command as MakeMigrations

from web.shared.tenants.context import public_context


class Command(MakeMigrations):
    def handle(self, *args: Any, **options: Any) -> None:
        with public_context():
            super().handle(*args, **options)
