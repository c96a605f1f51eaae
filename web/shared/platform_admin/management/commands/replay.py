"""`replay FILE…` tells journals again: steps, facts and digest of each; see `telephony.replay`.

It is the daemon's code in a process of its own, because the web tier knows nothing of the engine.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Tell journals again: steps, facts and digest of each."
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Arguments go through as they are, so that there is one parser."""
        raise SystemExit(self.handle(*argv[2:]))

    def handle(self, *args: Any, **options: Any) -> int:  # type: ignore[override]
        return subprocess.run([sys.executable, "-m", "telephony.replay", *args], check=False).returncode
