"""What has to be in the database before Murima's processes start: tables, and the demo's tenants.

Management commands do it, as the roles that the environment names. `manage.py demo_load --migrate --json`
prints, as its last line,
{"tenants": [{id, slug, numbers: [{number, queue}], users: [{email, password, role, sip?}]}]}.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from deployment.dev import machine, python
from deployment.dev.say import Trouble

if TYPE_CHECKING:
    from deployment.dev.stack import Stack


def prepare(stack: Stack) -> list[dict[str, Any]]:
    """Migrate, and make the demo's tenants if they are not there: [{id, slug, numbers, users}]. One command
    for both, since loading Django takes longer than looking that all is there."""
    printed = manage(stack, "demo_load", "--migrate", "--json")
    tenants: list[dict[str, Any]] = json.loads(printed.strip().splitlines()[-1])["tenants"]
    return tenants


def manage(stack: Stack, *arguments: str) -> str:
    """Run one management command against the stack and return what it prints."""
    command = [str(python.interpreter()), "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=machine.checkout(), env={**os.environ, **stack.environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode:
        words = (done.stdout + done.stderr).strip()[-3000:]
        raise Trouble(f"manage.py {arguments[0]} failed ({done.returncode}):\n{words}")
    return done.stdout
