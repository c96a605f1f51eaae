"""One AMI connection: panoramisk's Manager behind a supervisor of our own.

Panoramisk would reconnect by itself, repeat after a reconnect whatever was unanswered, and ping without
looking for the pong. All three are taken from it: a connection that ends is given up together with
everything that was asked on it, the next one begins after a full-jitter pause, and a pong that does not come
within nine seconds ends the connection. Texts of events are not kept: kinds are counted.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import structlog
from panoramisk import Manager
from prometheus_client import Counter, Gauge

from telephony.adapters.ami.actions import Action, Ping, fields

DEADLINE = 2.0
PING_SECONDS = 3.0
PONG_SECONDS = 9.0
BACKOFF_BASE, BACKOFF_CAP = 0.5, 10.0
FALLBACK_EVENTS = ("QueueCallerJoin", "QueueCallerLeave", "QueueCallerAbandon")
REGISTRATIONS = ("ContactStatus", "PeerStatus")
CLASSES = "agent,system"
"""What AMI is asked for: queues and registrations. The class of calls has dozens of events for each call,
none of them above, and reading them cost as much time as deciding the call."""

CONNECTED = Gauge("murima_ami_connected", "1 while AMI is signed in", ["node"])
EVENTS = Counter("murima_ami_events_total", "Events that we look at, by kind", ["node", "kind"])
FALLBACK = Gauge("murima_fallback_callers", "Callers whom Asterisk's own queue holds", ["node"])

log = structlog.get_logger("ami")


class AmiError(Exception):
    """Not connected, refused, or not answered in time."""


class _Once(Manager):  # type: ignore[misc]
    """A Manager for one connection: it neither comes back nor repeats anything."""

    def __init__(self, lost: asyncio.Event, **config: Any) -> None:
        super().__init__(**config)
        self._lost = lost

    def connection_lost(self, exc: object) -> None:
        self.awaiting_actions.clear()
        if self.pinger is not None:
            self.pinger.cancel()
        self._lost.set()

    async def send_awaiting_actions(self, *_: object) -> None:
        self.awaiting_actions.clear()


class AmiLink:
    """`run` for ever; `send` while connected."""

    def __init__(self, *, host: str, port: int, user: str, password: str, node: str) -> None:
        self._host, self._port, self._user, self._password = host, port, user, password
        self._node = node
        self._manager: _Once | None = None
        self.fallback: dict[str, str] = {}
        """Channels that the fallback's queue holds, and the queue's opaque name."""

    @property
    def connected(self) -> bool:
        return self._manager is not None

    async def run(self) -> None:
        attempt = 0
        while True:
            try:
                await self._connection()
                attempt = 0
            except (OSError, AmiError, TimeoutError) as error:
                log.warning("ami_away", node=self._node, error=type(error).__name__, attempt=attempt)
            await asyncio.sleep(random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2**attempt)))
            attempt = min(attempt + 1, 16)

    async def send(self, action: Action) -> Mapping[str, str]:
        """The answer's headers; AmiError unless AMI says Success. Nothing is repeated. Raises Refused."""
        wanted = fields(action)
        if self._manager is None:
            raise AmiError("AMI is not connected")
        return await self._send(self._manager, wanted)

    async def _send(self, manager: _Once, wanted: dict[str, str]) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(DEADLINE):
                answer = await manager.send_action(wanted)
        except TimeoutError as error:
            raise AmiError(f"{wanted['Action']} was not answered") from error
        first = answer[0] if isinstance(answer, list) else answer
        if not first.success:
            raise AmiError(f"{wanted['Action']} was refused")
        return dict(first.items())

    async def _connection(self) -> None:
        """One connection's life; returns when it ended after having been signed in."""
        lost = asyncio.Event()
        manager = self._made(lost)
        try:
            async with asyncio.timeout(DEADLINE):
                _, protocol = await asyncio.get_running_loop().create_connection(
                    manager.config["protocol_factory"], self._host, self._port
                )
            self._adopt(manager, protocol)
            await self._sign_in(manager)
            await self._stay(manager, lost)
        finally:
            self._manager = None
            self.fallback.clear()
            CONNECTED.labels(self._node).set(0)
            FALLBACK.labels(self._node).set(0)
            manager.close()

    def _made(self, lost: asyncio.Event) -> _Once:
        manager = _Once(lost, host=self._host, port=self._port, loop=asyncio.get_running_loop())
        for kind in (*FALLBACK_EVENTS, *REGISTRATIONS):
            manager.register_event(kind, self._heard)
        return manager

    @staticmethod
    def _adopt(manager: _Once, protocol: Any) -> None:
        """What panoramisk's `connection_made` does, without its reconnects and its pings."""
        manager.protocol = protocol
        protocol.factory, protocol.log, protocol.config = manager, manager.log, manager.config
        protocol.encoding = manager.encoding = manager.config["encoding"]
        manager.responses = protocol.responses = {}

    async def _sign_in(self, manager: _Once) -> None:
        login = {
            "Action": "Login",
            "Username": self._user,
            "Secret": self._password,
            "Events": CLASSES,
        }
        if any(not value.isprintable() for value in login.values()):
            raise AmiError("a control character in the AMI user or password")
        await self._send(manager, login)
        self._manager = manager
        CONNECTED.labels(self._node).set(1)
        log.info("ami_connected", node=self._node)

    async def _stay(self, manager: _Once, lost: asyncio.Event) -> None:
        heard = asyncio.get_running_loop().time()
        while not lost.is_set():
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await lost.wait()
                return
            except TimeoutError:
                pass
            try:
                await self._send(manager, fields(Ping()))
                heard = asyncio.get_running_loop().time()
            except AmiError:
                if asyncio.get_running_loop().time() - heard > PONG_SECONDS:
                    raise

    def _heard(self, manager: object, event: Mapping[str, str]) -> None:
        kind = str(event.get("event", ""))
        EVENTS.labels(self._node, kind).inc()
        channel = str(event.get("uniqueid", ""))
        if kind == "QueueCallerJoin":
            self.fallback[channel] = str(event.get("queue", ""))
        elif kind in FALLBACK_EVENTS:
            self.fallback.pop(channel, None)
        FALLBACK.labels(self._node).set(len(self.fallback))
