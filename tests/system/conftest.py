"""The whole product for system tests: one stack per run, every part real.

A test that only looks and calls shares it. A test that kills or holds a process puts it back before it
ends; the fixture checks between tests that everything runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

from deployment.dev.stack import Stack
from tests.stack_plugin import private_stack
from tests.system.kit import desk as desks
from tests.system.kit import survival
from tests.system.kit.mail import Mailbox
from tests.system.kit.rest import Rest
from tests.system.kit.sip import Caller


@dataclasses.dataclass
class World:
    """A running Murima and how to reach it."""

    stack: Stack
    run: dict[str, Any]
    mail: Mailbox

    def tenant(self, slug: str) -> dict[str, Any]:
        """The tenant's part of run.json."""
        return next(one for one in self.run["tenants"] if one["slug"] == slug)

    def number(self, slug: str, n: int = 0) -> str:
        """The tenant's n-th inbound number."""
        return str(self.tenant(slug)["numbers"][n]["number"])

    def user(self, slug: str, role: str = "supervisor", n: int = 0) -> dict[str, Any]:
        """The n-th user of a role."""
        found: dict[str, Any] = [u for u in self.tenant(slug)["users"] if u["role"] == role][n]
        return found

    def rest(self, slug: str, role: str = "supervisor", n: int = 0) -> Rest:
        """REST as the n-th user of a role."""
        user = self.user(slug, role, n)
        return Rest(self.tenant(slug)["url"], user["email"], user["password"])

    def trunk(self) -> tuple[str, int]:
        """Where a carrier's INVITE goes."""
        host, _, port = self.run["sip"]["trunk"].rpartition(":")
        return host, int(port)

    def caller(self) -> Caller:
        """Somebody outside."""
        return Caller(self.trunk(), self.run["sip"]["trunk_source"])


def eventually(look: Any, seconds: float = 15.0, what: str = "it") -> Any:
    """Call `look` until it gives something true; the last answer is in the failure's message."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s: {found!r}"
        time.sleep(0.1)


async def soon(look: Any, seconds: float = 15.0, what: str = "it") -> Any:
    """`eventually` for coroutines: `look` is a plain function run in a thread."""
    return await asyncio.to_thread(eventually, look, seconds, what)


@pytest.fixture(scope="session")
def murima() -> Iterator[World]:
    """Every process, two demo tenants, nothing borrowed."""
    mail = Mailbox()
    mail.start()
    parts, extra = {"postgres", "redis", "asterisk", "murima"}, {"MURIMA_EMAIL_URL": mail.url}
    try:
        with private_stack(parts, extra=extra) as stack:
            yield World(stack, stack.run(), mail)
    finally:
        mail.stop()


@pytest.fixture(scope="session")
def battlefield() -> Iterator[survival.Field]:
    """A stack of its own for tests that kill and hold its parts, with a capture of what is asked of ARI."""
    with survival.field() as made:
        yield made


@pytest.fixture
def battered(battlefield: survival.Field) -> Iterator[survival.Field]:
    """The same, whole again after each test; the report of one that fails holds what the daemon logged."""
    battlefield.begin()
    yield battlefield
    battlefield.heal()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the daemon's log to a failure on the battlefield."""
    report = yield
    field = getattr(item, "funcargs", {}).get("battered")
    if report.failed and isinstance(field, survival.Field):
        report.sections.append(("the daemon's log", field.said()))
    return report


@pytest.fixture
async def chromium() -> AsyncIterator[Any]:
    """A Chromium whose microphone hears 500 Hz."""
    async with desks.browser(500.0) as made:
        yield made
