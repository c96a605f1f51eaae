"""A desk without a browser: the desk socket with its snapshot, deltas, asks and answers.

    async with await Socket.open(tenant, user) as desk:
        await desk.ask("status.set", intent="ready", reason="")
        offer = await desk.told("offer.created")

`state` follows what the server says (agent, offer, call, queues, live); `log` keeps every frame.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.system.kit.rest import shared


class Refused(Exception):
    """An ask was answered with an error."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("code")))
        self.problem = problem


class Socket:
    """One desk socket, signed in by a ticket; answers pings by sending its own."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._http, self._socket = http, socket
        self.log: list[dict[str, Any]] = []
        self.state: dict[str, Any] = {}
        self.sip: dict[str, Any] = {}
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._news = asyncio.Condition()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._ping())]

    @classmethod
    async def open(cls, tenant: dict[str, Any], user: dict[str, Any]) -> Socket:
        """Sign in, take a ticket, open the socket and wait for the snapshot."""
        rest = shared(tenant["url"], user["email"], user["password"])
        ticket = (await asyncio.to_thread(rest.post, "/auth/tickets/", {}))["ticket"]
        parts = urlsplit(tenant["url"])
        http = aiohttp.ClientSession()
        socket = await http.ws_connect(
            f"http://127.0.0.1:{parts.port}/ws/v1/desk?tab={uuid.uuid4()}",
            protocols=("murima.v1", f"ticket.{ticket}"),
            headers={"Host": parts.netloc, "Origin": tenant["url"]},
        )
        desk = cls(http, socket)
        await desk.until(lambda state: "agent" in state)
        return desk

    async def __aenter__(self) -> Socket:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._socket.close()
        await self._http.close()

    async def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        """Send an ask; the ack's data. Raises Refused, TimeoutError."""
        number = str(uuid.uuid4())
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps({"v": 1, "type": kind, "id": number, "data": data}))
        async with asyncio.timeout(5):
            frame = await answer
        if frame["type"] == "error":
            raise Refused(frame["data"])
        found: dict[str, Any] = frame["data"]
        return found

    async def send(self, text: str | bytes) -> None:
        """Send something as it is; what answers it is in `log`."""
        if isinstance(text, bytes):
            await self._socket.send_bytes(text)
        else:
            await self._socket.send_str(text)

    async def start_shift(self) -> None:
        """Go on shift; `sip` then holds the browser phone's credentials."""
        self.sip = (await self.ask("shift.start"))["sip"]

    async def until(self, holds: Callable[[dict[str, Any]], object], seconds: float = 15) -> None:
        """Wait until what the server told makes `holds` true."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: holds(self.state))

    async def effective(self, state: str, seconds: float = 15) -> None:
        """Wait for the agent's effective state."""
        await self.until(lambda told: told["agent"]["effective"] == state, seconds)

    async def phase(self, phase: str | None, seconds: float = 15) -> None:
        """Wait for the call's state, None for no call."""
        await self.until(lambda told: (told.get("call") or {}).get("state") == phase, seconds)

    def frames(self, kind: str) -> list[dict[str, Any]]:
        """The data of every frame of a type so far."""
        return [frame["data"] for frame in self.log if frame["type"] == kind]

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            self.log.append(frame)
            waiting = self._answers.pop(frame.get("id") or "", None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
            async with self._news:
                self._fold(frame["type"], frame["data"])
                self._news.notify_all()

    def _fold(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "snapshot":
            self.state = dict(data)
        elif kind == "agent.state":
            self.state["agent"] = data
        elif kind == "offer.created":
            self.state["offer"] = data
        elif kind == "offer.withdrawn":
            self.state["offer"] = None
        elif kind == "call.state":
            self.state["call"] = None if data["state"] == "ended" else data
        elif kind == "pop":
            self.state["pop"] = data
        elif kind == "queue.state":
            others = [each for each in self.state.get("queues", []) if each["id"] != data["id"]]
            self.state["queues"] = [*others, data]
        elif kind == "notice" and data["code"] in ("live", "stale", "offline"):
            self.state["live"] = data["code"]

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(4)
            await self._socket.send_str(
                json.dumps({"v": 1, "type": "ping", "id": str(uuid.uuid4()), "data": {}})
            )
