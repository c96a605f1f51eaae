"""The part of `make check` that needs a database: migrations complete, published schemas as committed.

A throw-away PostgreSQL and Redis are started for it, because Django's apps look at the database while
they load. Each check is a management command that compares and says itself what to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deployment.dev import machine, python
from deployment.dev.say import Trouble, say
from deployment.dev.stack import Stack

CHECKS = (
    ("makemigrations", "--check", "--dry-run", "--verbosity", "1"),
    ("api_schema", "--check"),
    ("bus_types", "--check"),
)


def main() -> int:
    """0 when everything is as committed."""
    home = Path(tempfile.mkdtemp(prefix="murima-check-"))
    home.chmod(0o755)
    stack = Stack(home, {"postgres", "redis"})
    try:
        stack.start()
        problems = [_check(stack, check) for check in CHECKS if _exists(check[0])]
    except Trouble as trouble:
        problems = [str(trouble)]
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)
    for problem in filter(None, problems):
        say(problem)
    return int(any(problems))


def _exists(command: str) -> bool:
    patterns = (f"web/*/*/management/commands/{command}.py", f"realtime/management/commands/{command}.py")
    return command == "makemigrations" or any(any(machine.checkout().glob(p)) for p in patterns)


def _check(stack: Stack, check: tuple[str, ...]) -> str:
    environment = {**os.environ, **stack.environment, "MURIMA_ENV": "test"}
    done = subprocess.run(
        [str(python.interpreter()), "manage.py", *check], cwd=machine.checkout(), env=environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    words = (done.stdout + done.stderr)[-3000:]
    return f"manage.py {' '.join(check)}:\n{words}" if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
