"""`release <process>` lets a held process of the local stack run again, and returns when it answers."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from deployment.dev import control
from deployment.dev.say import Trouble
from web.shared.core.exits import Code, Exit


class Command(BaseCommand):
    help = "Let a held process of the local stack run again."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("process")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            control.release(options["process"])
        except Trouble as trouble:
            raise Exit(str(trouble), next_step="make up", code=Code.NOT_FOUND) from trouble
        self.stdout.write(f"{options['process']} runs")
