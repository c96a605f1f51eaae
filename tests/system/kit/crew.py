"""People on SIP phones who serve a queue of their own, with a desk socket each and no browser.

    async with crew(world, 2, ring_seconds=5) as (first, second):
        await first.ready()
        call = await outside.dial(first.crew.number)
        ring = await first.phone.invited()

Every crew gets a new queue and number, so that tests on one stack never meet each other's callers; phones are
made once for each person and kept. On the way out shifts end and the number leads nowhere any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from tests.system.kit.desk_socket import Refused, Socket
from tests.system.kit.rest import Rest, shared
from tests.system.kit.sip import Agent, Do

if TYPE_CHECKING:
    from tests.system.conftest import World

SLUG = "umoja"
_PHONES: dict[tuple[str, str], tuple[str, str]] = {}


class Queue:
    """A queue with one number, made by the organisation's administrator."""

    def __init__(self, world: World, slug: str = SLUG, **policy: Any) -> None:
        self.world, self.slug = world, slug
        self.admin = rest(world, slug, "admin")
        values = {
            "name": f"Tested {uuid.uuid4().hex[:8]}",
            "ring_seconds": 20,
            "wrap_up_seconds": 0,
            **policy,
        }
        self.id = str(self.admin.post("/calls/queues/", values)["id"])
        self.number = f"+25420{secrets.randbelow(10**7):07d}"
        made = self.admin.post("/calls/numbers/", {"trunk": "trunk", "number": self.number, "queue": self.id})
        self._paths = [f"/calls/numbers/{made['id']}/"]

    def add(self, user: str, penalty: int = 0) -> None:
        """Let a user serve it."""
        path = f"/calls/queues/{self.id}/members/"
        made = self.admin.post(path, {"user": user, "penalty": penalty})
        self._paths.append(f"{path}{made['id']}/")

    def add_agent(self, n: int) -> None:
        """Let the organisation's n-th agent serve it."""
        self.add(str(rest(self.world, self.slug, "agent", n).get("/auth/me/")["user"]["id"]))

    def close(self) -> None:
        """Take number, members and queue away."""
        for path in [*self._paths, f"/calls/queues/{self.id}/"]:
            status, answer = self.admin.call("DELETE", path, If_Match="*")
            assert status == 204, (path, status, answer)

    def rows(self) -> list[dict[str, Any]]:
        """Its calls, oldest first."""
        found = rest(self.world, self.slug, "supervisor").get("/calls/?limit=50")["data"]
        return [row for row in reversed(found) if row["queue"] and row["queue"]["id"] == self.id]


def rest(world: World, slug: str, role: str, n: int = 0) -> Rest:
    """REST as somebody, signed in once a run."""
    user = world.user(slug, role, n)
    return shared(world.tenant(slug)["url"], str(user["email"]), str(user["password"]))


class Member:
    """One of the crew: `desk` is their socket, `phone` their SIP phone, which does nothing by itself."""

    def __init__(self, queue: Queue, desk: Socket, phone: Agent) -> None:
        self.queue, self.desk, self.phone = queue, desk, phone

    @property
    def number(self) -> str:
        """Where callers of this crew dial."""
        return self.queue.number

    async def ready(self) -> None:
        """Be ready, also after 'not responding'; a caller who waits rings in the same moment."""
        await self.desk.ask("status.set", intent="ready", reason="")
        await self.desk.until(lambda told: told["agent"]["effective"] in ("ready", "offered", "on_call"))

    async def pause(self) -> None:
        """Be not ready."""
        await self.desk.ask("status.set", intent="not_ready", reason="")
        await self.desk.effective("not_ready")

    async def waiting(self, count: int, seconds: float = 20) -> None:
        """Wait until so many callers wait in the queue."""
        mine = self.queue.id

        def holds(told: dict[str, Any]) -> bool:
            return any(each["id"] == mine and each["waiting"] == count for each in told["queues"])

        await self.desk.until(holds, seconds)

    async def offered(self, seconds: float = 20) -> dict[str, Any]:
        """Wait for an offer; what the desk shows of it."""
        await self.desk.until(lambda told: told.get("offer"), seconds)
        offer: dict[str, Any] = self.desk.state["offer"]
        return offer

    async def unoffered(self, seconds: float = 20) -> None:
        """Wait until the desk shows no offer."""
        await self.desk.until(lambda told: not told.get("offer"), seconds)


@contextlib.asynccontextmanager
async def crew(
    world: World, people: int, *, first: int = 0, penalty: int = 0, slug: str = SLUG, **policy: Any
) -> AsyncIterator[list[Member]]:
    """So many agents of an organisation, from the `first` on, on shift and not ready, in a new queue."""
    queue = await asyncio.to_thread(Queue, world, slug, **policy)
    async with contextlib.AsyncExitStack() as way_out:
        way_out.push_async_callback(asyncio.to_thread, queue.close)
        members = [await _member(way_out, queue, n, penalty) for n in range(first, first + people)]
        yield members


async def _member(way_out: contextlib.AsyncExitStack, queue: Queue, n: int, penalty: int) -> Member:
    world, slug = queue.world, queue.slug
    user = world.user(slug, "agent", n)
    desk = await way_out.enter_async_context(await Socket.open(world.tenant(slug), user))
    person = desk.state["agent"]["id"]
    login = await asyncio.to_thread(_phone, queue, str(user["email"]), person)
    await asyncio.to_thread(queue.add, person, penalty)
    await desk.until(lambda told: any(each["id"] == queue.id for each in told["queues"]), 20)
    host, _, port = world.run["sip"]["registrar"].rpartition(":")
    phone = Agent((host, int(port)), *login, do=Do.RING)
    await _register(phone)
    way_out.push_async_exit(_leaving(phone))
    await desk.ask("shift.start", endpoint=login[0])
    await desk.until(lambda told: told["agent"]["shift"] and not told["agent"]["missing"], 20)
    way_out.push_async_callback(end_shift, desk)
    return Member(queue, desk, phone)


def _phone(queue: Queue, email: str, person: str) -> tuple[str, str]:
    key = (queue.world.tenant(queue.slug)["url"], email)
    if key not in _PHONES:
        made = queue.admin.post("/calls/devices/", {"user": person, "label": "Tested"})
        _PHONES[key] = (made["endpoint"], made["secret"])
    return _PHONES[key]


async def _register(phone: Agent) -> None:
    """As soon as the daemon has told Asterisk of the phone."""
    await phone.line.open("127.0.0.1")
    async with asyncio.timeout(20):
        while True:
            try:
                return await phone.register()
            except ConnectionError:
                await asyncio.sleep(0.2)


def _leaving(phone: Agent) -> Any:
    return phone.__aexit__


async def end_shift(desk: Socket) -> None:
    """As soon as nobody rings or talks; who writes up or is off shift may do so at once."""
    with contextlib.suppress(TimeoutError):
        await desk.until(lambda told: told["agent"]["effective"] not in ("on_call", "offered"), 20)
    with contextlib.suppress(Refused):
        await desk.ask("shift.end")
