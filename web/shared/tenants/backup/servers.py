"""PostgreSQL's own programs, and a connection of the database's owner outside Django.

Passwords go through the environment, never through arguments that others on the machine can read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from config.env import KIND
from web.shared.core.exits import Code, Exit

SECONDS = 4 * 3600.0
"""How long one dump or restore may take before it is given up."""


def connect() -> psycopg.Connection[Any]:
    """A connection of the owner's; every statement qualifies its tables."""
    owner = settings.DATABASE_OWNER
    return psycopg.connect(
        host=owner["HOST"], port=owner["PORT"] or 5432, user=owner["USER"], password=owner["PASSWORD"],
        dbname=owner["NAME"], connect_timeout=5, options="-c search_path=pg_catalog",
    )  # fmt: skip


def program(name: str) -> Path:
    """pg_dump or pg_restore: MURIMA_POSTGRES_BIN's, the path's, Debian's, or the local stack's. Exit."""
    given = os.environ.get("MURIMA_POSTGRES_BIN")
    if given:
        places = [Path(given)]
    else:
        found = shutil.which(name)
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))
        places = [*([Path(found).parent] if found else []), *reversed(debian)]
        if KIND != "production":
            places += [import_module("deployment.dev.tools").postgres()]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise Exit(
        f"{name} was not found.", why="Backups are made with PostgreSQL's own programs.",
        next_step="install postgresql-client, or set MURIMA_POSTGRES_BIN", code=Code.DEPENDENCY,
    )  # fmt: skip


def run(name: str, *arguments: str) -> None:
    """Run it against our database, as the owner. Exit with the program's last words."""
    owner = settings.DATABASE_OWNER
    command = [
        str(program(name)), "--host", str(owner["HOST"]), "--port", str(owner["PORT"] or 5432),
        "--username", owner["USER"], "--no-password", *arguments,
    ]  # fmt: skip
    environment = {
        "PGPASSWORD": str(owner["PASSWORD"]),
        "PGCONNECT_TIMEOUT": "5",
        "LC_ALL": "C",
        "PATH": os.environ.get("PATH", ""),
    }
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Exit(f"{name} did not finish in {SECONDS / 3600:.0f} hours.") from None
    if done.returncode:
        # Its messages name tables and rules, and may quote a row after DETAIL: only the first lines are told.
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()][:3]
        raise Exit(f"{name} failed.", why=" ".join(lines) or f"It ended with {done.returncode}.")


def database_name() -> str:
    return str(settings.DATABASE_OWNER["NAME"])
