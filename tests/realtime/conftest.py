"""Fixtures of the socket tier: tenants and people as Django's tests have them, feeds on the real Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes.daemon import FakeDaemon
from tests.fakes.log_source import LogSource
from tests.realtime.mirror import Mirror
from tests.web.fixtures import *  # noqa: F403

TENANT = "t_aaaaaaaaaaaa"


async def eventually(holds: Callable[[], Any], within: float = 15.0) -> Any:
    """Wait until `holds()` is true and give its value; the deadline only says that it never will be."""
    async with asyncio.timeout(within):
        while not (value := holds()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return value


class DeskProbe:
    """A desk on a feed, without a socket: what it was sent, and what it believes."""

    def __init__(self, feed: Any, agent: str, position: tuple[int, int] | None = None) -> None:
        self.feed, self.mirror = feed, Mirror()
        self.frames: list[dict[str, Any]] = []
        self.audience, self.outbox = feed.desk(agent, position)
        self.blocked = asyncio.Event()
        self.blocked.set()
        self.task = asyncio.get_running_loop().create_task(self.outbox.pump(self._send))

    async def _send(self, text: str) -> None:
        await self.blocked.wait()
        self.mirror.take(text)
        self.frames.append(json.loads(text))

    def kinds(self) -> list[str]:
        return [each["type"] for each in self.frames]

    def fresh(self) -> dict[str, Any]:
        mirror = Mirror()
        for text in self.feed.replica.desk_snapshot(self.audience):
            mirror.take(text)
        return mirror.state

    def leave(self) -> None:
        self.task.cancel()
        self.feed.leave(self.audience, self.outbox)


@pytest.fixture
async def source() -> LogSource:
    return LogSource(TENANT)


@pytest.fixture
async def daemon(stack_redis: str) -> AsyncIterator[FakeDaemon]:
    found = FakeDaemon(stack_redis, TENANT)
    await found.redis.delete(f"murima:{TENANT}:up", f"murima:{TENANT}:down")
    yield found
    await found.stop()


@pytest.fixture
async def feed(stack_redis: str, source: LogSource, daemon: FakeDaemon) -> AsyncIterator[Any]:
    from realtime.feed import Feed
    from realtime.stream import Stream, connect

    redis = connect(stack_redis)
    made = Feed(TENANT, Stream(redis, f"murima:{TENANT}:up"), source)  # type: ignore[arg-type]
    yield made
    await made.stop()
    await redis.aclose()


# --- whole sockets ---------------------------------------------------------------------------------------


@pytest.fixture
def clean_log(tenants: list[Any], clean_redis: Any) -> None:
    """An empty log and Redis; every tenant has a key."""
    from tests.realtime import log_table
    from web.shared.core import keys

    log_table.clean()
    for tenant in tenants:
        keys._rings.pop(tenant.pk, None)
        keys.ensure(tenant.pk)


@pytest.fixture
async def sockets(clean_log: None) -> AsyncIterator[None]:
    """The process's follower is ended after the test; the channel layer ends with its loop."""
    from realtime.follower import follower

    yield
    await follower().close()


@dataclass
class Person:
    """Somebody with a browser."""

    user: Any
    cookie: str

    @property
    def id(self) -> str:
        return str(self.user.pk)


@pytest.fixture
def person(make_user: Any, api: Any) -> Callable[..., Any]:
    """`await person("agent")` → somebody of the first tenant (or `tenant=`) who is signed in."""
    from django.conf import settings

    from web.shared.tenants.context import public_db

    def make(role: str, tenant: Any, more: dict[str, Any]) -> Person:
        user = make_user(role, tenant=tenant, **more)
        cookies = api(user, tenant=tenant).cookies
        return Person(user, f"{settings.SESSION_COOKIE_NAME}={cookies[settings.SESSION_COOKIE_NAME].value}")

    async def signed_in(role: str = "agent", *, tenant: Any = None, **more: Any) -> Person:
        return await public_db(make, role, tenant, more)

    return signed_in
