"""Fixtures that every test may use: real servers, started at most once per run (see stack_plugin)."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from deployment.dev import tools
from deployment.dev.stack import Stack


@dataclasses.dataclass(frozen=True)
class AsteriskAddress:
    """How to reach the run's Asterisk: ARI and its sockets below `ari`, SIP at `sip`."""

    ari: str
    user: str
    password: str
    ami: str
    sip: tuple[str, int]
    trunk_source: str
    websocket: str


@pytest.fixture(scope="session")
def stack_postgres(stack: Stack) -> str:
    """Address of the database `murima`, as the role of the application."""
    stack.start_part("postgres")
    return stack.postgres.url("app")


@pytest.fixture(scope="session")
def stack_redis(stack: Stack) -> str:
    """Address of the Redis."""
    stack.start_part("redis")
    return stack.redis.url()


@pytest.fixture(scope="session")
def stack_asterisk(stack: Stack) -> AsteriskAddress:
    """The Asterisk, started when the first test asks for it."""
    stack.start_part("asterisk")
    return AsteriskAddress(
        ari=stack.asterisk.ari,
        user="murima",
        password=stack.keys["ari"],
        ami=stack.asterisk.ami,
        sip=("127.0.0.1", stack.ports["sip"]),
        trunk_source="127.0.0.2",
        websocket=f"ws://127.0.0.1:{stack.ports['ari']}/ws",
    )


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A Chromium to give Playwright as `executable_path`."""
    named = os.environ.get("MURIMA_CHROMIUM")
    return Path(named) if named else tools.chromium()
