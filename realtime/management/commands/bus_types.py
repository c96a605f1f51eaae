"""`manage.py bus_types`: write the browser's message types, or with --check say whether they are current."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from realtime.describe import typescript

TARGET = Path(__file__).resolve().parents[3] / "web" / "ui" / "src" / "api" / "messages.ts"


class Command(BaseCommand):
    help = "Generate web/ui/src/api/messages.ts from realtime/messages.py."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing, fail when it is not current")

    def handle(self, *args: Any, **options: Any) -> None:
        text = typescript()
        if not options["check"]:
            TARGET.parent.mkdir(parents=True, exist_ok=True)
            TARGET.write_text(text)
            self.stdout.write(f"wrote {TARGET.name}")
        elif not TARGET.exists() or TARGET.read_text() != text:
            raise CommandError(
                "messages.ts is not what realtime/messages.py says: run `manage.py bus_types`."
            )
