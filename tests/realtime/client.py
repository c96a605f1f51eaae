"""A browser's side of a socket, in the same process: the real ASGI application, without a server."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from channels.testing import WebsocketCommunicator

from tests.realtime.mirror import Mirror


class Closed(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Client:
    def __init__(
        self,
        *,
        host: str = "mto.localhost",
        origin: str | None = "",
        cookie: str = "",
        path: str = "/ws/v1/desk",
        subprotocols: tuple[str, ...] = ("murima.v1",),
    ) -> None:
        from config.asgi import application

        headers = [(b"host", host.encode())]
        if origin is not None:
            headers.append((b"origin", (origin or f"http://{host}").encode()))
        if cookie:
            headers.append((b"cookie", cookie.encode()))
        self.socket = WebsocketCommunicator(
            application, path, headers=headers, subprotocols=list(subprotocols)
        )
        self.mirror = Mirror()
        self.frames: list[dict[str, Any]] = []
        self.closed: int | None = None

    async def open(self) -> int | None:
        """None when the handshake went through; else the code with which it was refused (HTTP 403)."""
        accepted, said = await self.socket.connect(timeout=10)
        if not accepted:
            return int(said or 0)
        assert said == "murima.v1"
        return None

    async def next(self, within: float = 10.0) -> dict[str, Any]:
        output = await self.socket.receive_output(timeout=within)
        if output["type"] == "websocket.close":
            self.closed = output.get("code", 1000)
            raise Closed(self.closed)
        frame = self.mirror.take(output["text"])
        self.frames.append(frame)
        return frame

    async def until(self, kind: str, within: float = 10.0) -> dict[str, Any]:
        """The next frame of this type; those before it are taken in."""
        async with asyncio.timeout(within):
            while True:
                frame = await self.next(within)
                if frame["type"] == kind:
                    return frame

    async def until_closed(self, within: float = 10.0) -> int:
        try:
            async with asyncio.timeout(within):
                while True:
                    await self.next(within)
        except Closed as closed:
            return closed.code

    async def send(self, kind: str, data: Any = None, identity: str | None = None) -> str:
        identity = identity or str(uuid.uuid4())
        await self.raw(json.dumps({"v": 1, "type": kind, "id": identity, "data": data or {}}))
        return identity

    async def raw(self, text: str) -> None:
        await self.socket.send_to(text_data=text)

    async def ask(self, kind: str, data: Any = None, identity: str | None = None) -> dict[str, Any]:
        """Send and wait for what answers it."""
        identity = await self.send(kind, data, identity)
        async with asyncio.timeout(10):
            while True:
                frame = await self.next()
                if frame.get("id") == identity:
                    return frame

    async def quiet(self) -> bool:
        return bool(await self.socket.receive_nothing(timeout=0.3))

    async def close(self) -> None:
        await self.socket.disconnect()
