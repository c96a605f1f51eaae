"""A daemon inside the test, on a real Asterisk, over a log and a bus in memory.

`Store` survives `crash` and `start`, as the segment file and PostgreSQL would, so a test can end the daemon
without a farewell and look at what the next one makes of the same calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from deployment.dev.stack import Stack
from telephony import codec
from telephony.adapters.ari.switch import AriSwitch
from telephony.adapters.bus.memory import MemoryBus
from telephony.adapters.log.memory import MemoryLog, Store
from telephony.contract import asks
from telephony.contract.facts import Intent
from telephony.contract.frames import Ack
from telephony.contract.ids import AgentId, AskId, Endpoint, TenantId
from telephony.contract.view import AgentView, CallView, View
from telephony.daemon import Daemon, Parts
from telephony.ports.journal import Recorder
from tests.fakes.publication import Publication

KEY = b"key of a test"


class Rig:
    """`ari` is Asterisk's address; `published` what Django says."""

    def __init__(self, ari: str, user: str, password: str, published: Publication, tenant: str) -> None:
        self.ari, self.user, self.password = ari, user, password
        self.published, self.tenant = published, TenantId(tenant)
        self.store = Store()
        self.bus = MemoryBus(KEY)
        self.recorder: Recorder | None = None
        self.daemon: Daemon
        self.switch: AriSwitch
        self.task: asyncio.Task[None]

    # --- life ---

    @classmethod
    @contextlib.asynccontextmanager
    async def on(
        cls, stack: Stack, published: Publication, tenant: str, *, recorder: Recorder | None = None
    ) -> AsyncIterator[Rig]:
        """A daemon on this stack's Asterisk, where no call is before or after it."""
        made = cls(stack.asterisk.ari, "murima", stack.keys["ari"], published, tenant)
        made.recorder = recorder
        await made.sweep()
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
            await made.sweep()

    async def start(self, log: Any = None) -> None:
        """A new owner of the same log; returns when it makes offers."""
        await self.begin(log)
        await self.until(lambda: self.daemon.runtime is not None and self.daemon.runtime.offers_open)

    async def begin(self, log: Any = None) -> None:
        self.switch = AriSwitch(url=self.ari, user=self.user, password=self.password, shard="0", node="a")
        self.bus = MemoryBus(KEY)
        parts = Parts(
            log=log or MemoryLog(self.store),
            bus=self.bus,
            published=self.published.again(),
            sealer=self.published,
            switches={"a": self.switch},
            recorder=self.recorder,
            close=self.switch.close,
        )
        self.daemon = Daemon(parts, build="test", bind=("127.0.0.1", 0))
        self.task = asyncio.create_task(self.daemon.run(signals=False))

    async def crash(self) -> None:
        """End without draining: no checkpoint, no farewell."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def stop(self) -> None:
        if not self.task.done():
            self.daemon.stop()
        await asyncio.gather(self.task, return_exceptions=True)

    # --- looking ---

    @property
    def view(self) -> View:
        assert self.daemon.runtime is not None
        return self.daemon.runtime.view(self.tenant)

    def agent(self, agent: str) -> AgentView:
        return self.view.agents[AgentId(agent)]

    @property
    def calls(self) -> list[CallView]:
        return list(self.view.calls.values())

    def facts(self, kind: str) -> list[Any]:
        """All facts of a kind, oldest first, of every daemon so far."""
        entries = (codec.decode_entry(data) for what, _, data in self.store.frames if what == "fact")
        return [entry.fact for entry in entries if type(entry.fact).__name__ == kind]

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait for facts or asks to make a condition true; AssertionError when they do not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.task.done():
                self.task.result()
            left = deadline - time.monotonic()
            assert left > 0, f"in vain; the floor: {self.daemon.state()} {self.daemon.runtime and self.view}"
            await self.store.progress.until(condition, min(left, 0.05))

    # --- asking ---

    async def ask(self, body: Any) -> Ack:
        """Ask as the web tier would, and wait for the answer."""
        name = AskId(str(uuid.uuid4()))
        now = time.time_ns() // 1000
        envelope = asks.Envelope(
            id=name, tenant=self.tenant, actor="test", at=now, expires=now + 2_000_000, body=body
        )
        self.bus.post(self.tenant, codec.seal_ask(envelope, KEY))
        found: list[Ack] = []

        def answered() -> bool:
            found[:] = [each for each in self.bus.sent if isinstance(each, Ack) and each.ask == name]
            return bool(found)

        await self.until(answered, 3.0)
        return found[0]

    async def make_ready(self, agent: str, endpoint: str) -> None:
        """A shift on a registered phone that needs no desk, and ready."""
        await self.until(lambda: self.agent(agent).reachable.get(Endpoint(endpoint), False))
        ack = await self.ask(asks.StartShift(agent=AgentId(agent), endpoint=Endpoint(endpoint)))
        assert ack.ok, ack
        ack = await self.ask(asks.SetStatus(agent=AgentId(agent), intent=Intent.READY))
        assert ack.ok, ack

    # --- Asterisk ---

    async def rest(self, method: str, path: str) -> Any:
        headers = {"Authorization": aiohttp.encode_basic_auth(self.user, self.password)}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self.ari}/ari/{path}") as answer,
        ):
            return await answer.json() if answer.content_type == "application/json" else answer.status

    async def sweep(self) -> None:
        """Nothing is left in Asterisk."""
        for channel in await self.rest("GET", "channels"):
            await self.rest("DELETE", f"channels/{channel['id']}")
        for bridge in await self.bridges():
            await self.rest("DELETE", f"bridges/{bridge}")

    async def bridges(self) -> list[str]:
        """Ids of all bridges but the anchor."""
        found = [bridge["id"] for bridge in await self.rest("GET", "bridges")]
        return [each for each in found if not each.endswith("-anchor")]
