"""The database's owner, for the few moments that change tables.

Requests and tasks run as the application's role, which can neither create nor alter anything. What migrates,
or makes a tenant, swaps the thread's connection for the owner's inside `owner_connection()`: a connection of
its own, outside the pool, closed at the end.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

from django.conf import settings
from django.db import connections

ALIAS = "default"


def owner_is_separate() -> bool:
    """Whether owner and application are different database users."""
    return bool(settings.DATABASE_OWNER["USER"] != settings.DATABASES[ALIAS]["USER"])


@contextlib.contextmanager
def owner_connection() -> Iterator[None]:
    """Inside, this thread's default connection is the owner's, with no schema chosen."""
    application = connections[ALIAS]
    if application.in_atomic_block:
        raise RuntimeError("The owner's connection cannot be taken inside a transaction of the application.")
    wanted = copy.deepcopy(application.settings_dict)
    for part in ("USER", "PASSWORD", "HOST", "PORT"):
        wanted[part] = settings.DATABASE_OWNER[part]
    # No pool (pools are per alias and hold the application's role), no time limit: an index may take long.
    wanted["OPTIONS"] = {"connect_timeout": 5}
    owner = type(application)(wanted, alias=ALIAS)
    connections[ALIAS] = owner
    try:
        yield
    finally:
        owner.close()
        connections[ALIAS] = application
