"""The environment, read once.

Every setting of a deployment is an environment variable whose name begins with MURIMA_. This module is the
only reader for Django's side; `telephony/settings.py` is the daemon's. A `.env` file in the checkout is
honoured in development only, and never overrides what is already set.

In production nothing secret has a default: a missing variable stops the start and says which one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE = Path(__file__).resolve().parent.parent

env = environ.Env()
if env.str("MURIMA_ENV", default="development") == "development":
    environ.Env.read_env(BASE / ".env")
    # A running `make up` writes down how to reach its servers, so that commands beside it find them.
    _STACK = Path(os.environ.get("MURIMA_HOME") or BASE / ".murima") / "environment"
    if _STACK.is_file():
        environ.Env.read_env(_STACK)

KINDS = ("development", "test", "production")
KIND: str = env.str("MURIMA_ENV", default="development")
if KIND not in KINDS:
    raise ImproperlyConfigured(f"MURIMA_ENV is {KIND!r}; it must be one of {', '.join(KINDS)}.")

HOME: Path = Path(env.str("MURIMA_HOME", default=str(BASE / ".murima")))


def required(name: str, *, development: str) -> str:
    """The variable's text; outside production `development` stands in for a missing one."""
    value: str = env.str(name, default="")
    if value:
        return value
    if KIND == "production":
        raise ImproperlyConfigured(f"{name} is not set. Production has no default for it.")
    return development


def database(name: str, *, default: str) -> dict[str, Any]:
    """Django's description of the database at the URL in variable `name`."""
    config: dict[str, Any] = env.db_url(name, default=default)
    config["ENGINE"] = "web.shared.tenants.backend"
    config.setdefault("OPTIONS", {})
    return config
