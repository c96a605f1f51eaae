"""The same sockets over TCP: under daphne, the default server, and under uvicorn, the fast extra."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.realtime.test_desk import Bench, bench  # noqa: F401

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_log"),
]


SERVERS = ["daphne", "uvicorn"]
"""uvicorn joins as soon as the requirements bring a WebSocket library for it (`websockets`)."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def serve(command: list[str], port: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        while True:
            assert process.returncode is None, "the server ended at once"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            return process


@dataclass
class Server:
    name: str
    port: int


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    port = free_port()
    commands = {
        "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"],
        "uvicorn": ["-m", "uvicorn", "--port", str(port), "--lifespan", "off", "config.asgi:application"],
    }
    process = await serve(commands[request.param], port)
    yield Server(request.param, port)
    process.terminate()
    await process.wait()


class Browser:
    def __init__(self, http: aiohttp.ClientSession, port: int, host: str) -> None:
        self.http, self.url, self.host = http, f"http://127.0.0.1:{port}/ws/v1/desk", host

    async def connect(self, cookie: str, origin: str | None = None) -> aiohttp.ClientWebSocketResponse:
        headers = {"Host": self.host, "Origin": origin or f"http://{self.host}", "Cookie": cookie}
        return await self.http.ws_connect(
            self.url, headers=headers, protocols=("murima.v1",), max_msg_size=1 << 22
        )


async def until(ws: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            message = await ws.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, (message, ws.close_code)
            frame: dict[str, Any] = json.loads(message.data)
            if frame["type"] == kind:
                return frame


async def test_a_desk_over_tcp(server, bench):  # noqa: F811
    port = f"{bench.host}:{server.port}"
    async with aiohttp.ClientSession() as http:
        browser = Browser(http, server.port, port)
        asha = bench.people[0]
        ws = await browser.connect(asha.cookie)
        assert ws.protocol == "murima.v1"
        await until(ws, "hello")
        assert (await until(ws, "snapshot"))["data"]["agent"]["effective"] == "ready"
        call = await bench.ring(asha)
        assert (await until(ws, "offer.created"))["data"]["call"] == call.call
        assert (await until(ws, "pop"))["data"]["party"]["number"] == "+254700000001"
        identity = str(uuid.uuid4())
        await ws.send_json({"v": 1, "type": "shift.end", "id": identity, "data": {}})
        assert (await until(ws, "ack"))["id"] == identity
        for wrong in ("null", f"http://{bench.host}.evil.example:{server.port}", "http://ziwa.localhost"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await browser.connect(asha.cookie, wrong)
            assert refused.value.status == 403
        await ws.send_str("x" * 70_000)
        async with asyncio.timeout(15):
            while not ws.closed:
                await ws.receive()
        assert ws.close_code == 1009
        nobody = await browser.connect("")
        await nobody.receive()
        assert nobody.close_code == 4401
