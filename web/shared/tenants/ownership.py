"""The database's owner, for the few moments that change tables.

Requests and tasks run as the application's role, which can neither create nor alter anything. What migrates,
or makes a tenant, swaps the thread's connection for the owner's inside `owner_connection()`: a connection of
its own, outside the pool, closed at the end.
"""

from __future__ import annotations

import contextlib
import copy
import random
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import connections

ALIAS = "default"


def owner_is_separate() -> bool:
    """Whether owner and application are different database users."""
    return bool(settings.DATABASE_OWNER["USER"] != settings.DATABASES[ALIAS]["USER"])


def _owner() -> Any:
    """A fresh connection of the owner's, not yet open, with no schema chosen."""
    application = connections[ALIAS]
    wanted = copy.deepcopy(application.settings_dict)
    for part in ("USER", "PASSWORD", "HOST", "PORT"):
        wanted[part] = settings.DATABASE_OWNER[part]
    # No pool (pools are per alias and hold the application's role), no time limit: an index may take long.
    wanted["OPTIONS"] = {"connect_timeout": 5}
    return type(application)(wanted, alias=ALIAS)


@contextlib.contextmanager
def owner_connection() -> Iterator[None]:
    """Inside, this thread's default connection is the owner's, with no schema chosen."""
    application = connections[ALIAS]
    if application.in_atomic_block:
        raise RuntimeError("The owner's connection cannot be taken inside a transaction of the application.")
    owner = _owner()
    connections[ALIAS] = owner
    try:
        yield
    finally:
        owner.close()
        connections[ALIAS] = application


@contextlib.contextmanager
def owner_lock(name: str, *, wait_seconds: float = 0.0) -> Iterator[bool]:
    """Hold the lock `name` for the whole deployment; yields False when another process keeps it so long.

    It lives in a connection of its own, because migrating closes the one it uses.
    """
    keeper = _owner()
    keeper.set_schema_to_public()
    until = time.monotonic() + wait_seconds
    try:
        with keeper.cursor() as cursor:
            while True:
                cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [f"murima {name}"])
                mine = bool(cursor.fetchone()[0])
                if mine or time.monotonic() >= until:
                    break
                time.sleep(random.uniform(0.05, 0.2))
            yield mine
    finally:
        keeper.close()
