"""The local stack's PostgreSQL: a cluster in the runtime directory, three roles, one database.

`murima_owner` owns the database and migrates it; `murima_app` and `murima_daemon` get what the
migrations grant them. None may bypass row security. Extensions live in a schema of their own, made
in template1 first so that every test database has them, too. Passwords are generated; the server
listens on the loopback only and has no Unix socket (its path would be too long in a deep checkout).
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from deployment.dev import machine
from deployment.dev.keeper import Spec, demote
from deployment.dev.say import Trouble, say

ROLES = ("owner", "app", "daemon")
EXTENSIONS = ("pg_trgm", "unaccent", "pgcrypto", "btree_gist")


class Postgres:
    """One cluster in `home`/postgres; `durable=False` trades crash safety for speed, for tests."""

    def __init__(self, home: Path, port: int, keys: dict[str, str], binaries: Path, *, durable: bool) -> None:
        self._data, self._port, self._keys, self._binaries = home / "postgres", port, keys, binaries
        self._durable = durable

    def url(self, role: str, database: str = "murima") -> str:
        """Address for a role: owner, app, daemon, or postgres (the superuser, for set-up and tests)."""
        name = role if role == "postgres" else f"murima_{role}"
        return f"postgresql://{name}:{self._keys[role]}@127.0.0.1:{self._port}/{database}"

    def create(self) -> None:
        """Make the cluster if there is none."""
        if (self._data / "PG_VERSION").exists():
            machine.give(self._data)
            return
        say("creating the database cluster")
        self._data.mkdir(parents=True, exist_ok=True)
        self._data.chmod(0o700)
        password = self._data.parent / "run" / "initdb-password"
        password.parent.mkdir(exist_ok=True)
        password.touch(0o600)
        password.write_text(self._keys["postgres"])
        machine.give(self._data)
        machine.give(password)
        command = [str(self._binaries / "initdb"), "-D", str(self._data), "-U", "postgres",
                   "-E", "UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256",
                   f"--pwfile={password}", "--no-sync"]  # fmt: skip
        try:
            _run("initdb", demote(command, parent=0, death_signal=0, as_server=True), {})
        finally:
            password.unlink()

    def spec(self) -> Spec:
        """How to run the server."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_min_messages": "warning",
            "log_min_error_statement": "panic",  # no statement, and so no personal data, reaches the log
            "log_parameter_max_length_on_error": 0,
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [part for k, v in settings.items() for part in ("-c", f"{k}={v}")]
        return Spec(
            "postgres", [str(self._binaries / "postgres"), "-D", str(self._data), *arguments], self._answers,
            as_server=True, stop_signal=signal.SIGINT, death_signal=signal.SIGQUIT, directory=self._data,
        )  # fmt: skip

    def provision(self) -> None:
        """Make roles, extensions and the database; harmless when they are there."""
        lines = []
        for role in ROLES:
            lines.append(_unless("pg_roles", "rolname", f"murima_{role}", f"CREATE ROLE murima_{role}"))
            lines.append(
                f"ALTER ROLE murima_{role} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '{self._keys[role]}';"
            )
        lines += ["CREATE SCHEMA IF NOT EXISTS extensions;", "GRANT USAGE ON SCHEMA extensions TO PUBLIC;"]
        lines += [f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA extensions;" for name in EXTENSIONS]
        self.sql("\n".join(lines), "template1")
        self.create_database("murima")

    def create_database(self, name: str) -> None:
        """Make a database owned by murima_owner, with the extensions, if there is none."""
        self.sql(_unless("pg_database", "datname", name, f"CREATE DATABASE {name} OWNER murima_owner"))

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run statements as the superuser and return what psql prints."""
        command = [str(self._binaries / "psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1",
                   "-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", "-d", database]  # fmt: skip
        return _run("psql", command, {"PGPASSWORD": self._keys["postgres"], "PGCONNECT_TIMEOUT": "5"}, text)

    def _answers(self) -> bool:
        try:
            return self.sql("SELECT 1").strip() == "1"
        except Trouble:
            return False


def _unless(table: str, column: str, name: str, statement: str) -> str:
    """A statement for psql that runs only while the catalogue has no such name (all names are our own)."""
    return f"SELECT '{statement}' WHERE NOT EXISTS (SELECT FROM {table} WHERE {column} = '{name}') \\gexec"  # noqa: S608


def _run(what: str, command: list[str], extra: dict[str, str], text: str = "") -> str:
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, **extra},
        timeout=60,
        check=False,
        cwd="/",
    )
    if done.returncode:
        raise Trouble(f"{what}: {done.stderr.strip()[-600:]}")
    return done.stdout
