"""`hold <process>` keeps one process of the local stack down until `release <process>`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from deployment.dev import control
from deployment.dev.say import Trouble
from web.shared.core.exits import Code, Exit


class Command(BaseCommand):
    help = "Keep one process of the local stack (daemon, web, intake, redis, ...) down, for tests."
    # The database may be what is held.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("process")
        parser.add_argument("--signal", help="end it with this signal, say KILL")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            control.hold(options["process"], options["signal"])
        except Trouble as trouble:
            raise Exit(str(trouble), next_step="make up", code=Code.NOT_FOUND) from trouble
        self.stdout.write(f"{options['process']} is held; manage.py release {options['process']} lets it run")
