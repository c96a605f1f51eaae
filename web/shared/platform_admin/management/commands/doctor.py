"""`doctor` looks at everything Murima needs and says what is wrong, why it matters and what to do next."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.core.exits import Code, Exit
from web.shared.platform_admin.doctor import Finding, examine

MARKS = {"ok": "ok     ", "warning": "WARNING", "failure": "FAILURE"}


class Command(BaseCommand):
    help = "Look at servers, roles, migrations and settings; exit 5 when a server is down, 1 for the rest."
    # It reports failing checks itself, together with everything else.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one object per finding and line")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for one in examine():
            findings.append(one)
            self.stdout.write(json.dumps(one.as_json()) if options["json"] else _line(one))
        failures = [one for one in findings if one.state == "failure"]
        if failures:
            code = Code.DEPENDENCY if any(one.dependency for one in failures) else Code.FAILURE
            raise Exit(f"{len(failures)} of {len(findings)} findings are failures.", code=code)


def _line(one: Finding) -> str:
    text = f"{MARKS[one.state]} {one.check}: {one.what}"
    text += f"\n        why:  {one.why}" if one.why else ""
    return text + (f"\n        next: {one.next_step}" if one.next_step else "")
