"""Gives a test run its own servers.

Loaded before Django's settings are (`-p` in pyproject.toml), because those read the environment once:
ports and passwords of a private stack are chosen here at import and put into the environment. The
servers themselves start when the collected tests show that one needs them, once per run, in a
directory of their own that goes away with the run (MURIMA_TEST_KEEP=1 keeps it).
MURIMA_TEST_STACK=none leaves the environment alone, for a run against servers started by hand.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployment.dev.stack import Stack

_MARKS = {"database", "redis", "asterisk", "browser", "system", "django_db"}
_FIXTURES = {
    "db",
    "transactional_db",
    "django_db_setup",
    "stack_postgres",
    "stack_redis",
    "stack_asterisk",
    "stack",
}
_OFF = os.environ.get("MURIMA_TEST_STACK") == "none"


def temporary_home() -> Path:
    """A directory that the servers' user can enter, which pytest's own temporary ones are not for root."""
    home = Path(tempfile.mkdtemp(prefix="murima-test-"))
    home.chmod(0o755)
    return home


@contextlib.contextmanager
def private_stack(parts: set[str], **options: Any) -> Iterator[Stack]:
    """A started stack of one's own, for a test module that holds, kills or configures servers."""
    stack = Stack(temporary_home(), parts, **options)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        if os.environ.get("MURIMA_TEST_KEEP") != "1":
            shutil.rmtree(stack.home, ignore_errors=True)


def _make() -> Stack | None:
    if _OFF:
        return None
    made = Stack(temporary_home(), {"postgres", "redis", "asterisk"})
    os.environ.update(made.environment)
    os.environ["MURIMA_ENV"] = "test"
    key = made.keys["postgres"]
    os.environ["MURIMA_TEST_SUPERUSER_URL"] = (
        f"postgresql://postgres:{key}@127.0.0.1:{made.ports['postgres']}/postgres"
    )
    return made


STACK = _make()
atexit.register(lambda: _clean_up())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start PostgreSQL and Redis, which take a second, if any collected test may use them."""
    if STACK is None or session.config.option.collectonly:
        return
    if any(_needs_servers(item) for item in session.items):
        STACK.start_part("postgres")
        STACK.start_part("redis")


def _needs_servers(item: pytest.Item) -> bool:
    names = set(getattr(item, "fixturenames", ()))
    return bool(names & _FIXTURES) or any(mark.name in _MARKS for mark in item.iter_markers())


def _clean_up() -> None:
    """Stop the servers and remove what they wrote, also when the run never got as far as its tests."""
    if STACK is None or not STACK.home.exists():
        return
    STACK.stop()
    if os.environ.get("MURIMA_TEST_KEEP") != "1":
        shutil.rmtree(STACK.home, ignore_errors=True)


def pytest_unconfigure() -> None:
    """The run is over."""
    _clean_up()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The run's private stack: `keeper` holds, releases and kills its servers."""
    assert STACK is not None, "this test needs the private stack; unset MURIMA_TEST_STACK"
    yield STACK
