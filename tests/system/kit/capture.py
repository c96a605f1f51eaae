"""A recording TCP proxy between the daemon and Asterisk's ARI, and a way to break that connection.

It decodes what the daemon asks (HTTP requests, and REST requests in WebSocket frames) and the answers that
come on sockets, with the time of each, by code of its own. It can reset every connection, or let them go
silent: a frozen connection swallows bytes both ways for ever, without FIN, and so do new ones until `thaw`.
A trap calls a function when a request matches, before or after that request has gone on.

It runs in a thread with a loop of its own, so that it outlives the loops of tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

_LINGER_RESET = struct.pack("ii", 1, 0)


@dataclasses.dataclass(slots=True)
class Request:
    """What the daemon asked of ARI; `at` and `answered` are monotonic seconds.

    `status` is 0 without an answer; answers to plain HTTP are not read.
    """

    at: float
    connection: int
    method: str
    path: str
    body: dict[str, Any]
    over: str
    status: int = 0
    answered: float = 0.0

    @property
    def acts(self) -> bool:
        """Whether it changes something about calls."""
        return self.method != "GET" and self.path.split("/")[0] in ("channels", "bridges")


@dataclasses.dataclass(frozen=True, slots=True)
class Beat:
    """A WebSocket ping of the daemon on its event socket, or Asterisk's pong."""

    at: float
    kind: str
    label: str


class Capture:
    """`url` for the daemon; set `target` to Asterisk's (host, port) before anybody connects."""

    def __init__(self) -> None:
        self.target: tuple[str, int] = ("", 0)
        self.requests: list[Request] = []
        self.beats: list[Beat] = []
        self.swallowed = 0
        self.resets = 0
        self._frozen = False
        self._links: set[_Link] = set()
        self._count = 0
        self._trap: tuple[Callable[[Request], bool], Callable[[], None], bool] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="capture", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._do(self._listen())

    @property
    def url(self) -> str:
        """What the daemon is given as ARI's address."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def since(self, moment: float) -> list[Request]:
        """Requests after a moment."""
        return [one for one in list(self.requests) if one.at >= moment]

    def reset(self) -> None:
        """RST on every connection, both ways."""
        self._do(self._reset())

    def freeze(self) -> None:
        """Silence: what is connected stays so and says nothing more, and so do newcomers until `thaw`."""
        self._do(self._freeze())

    def thaw(self) -> None:
        """New connections are served again; frozen ones stay dead."""
        self._frozen = False

    def trap(self, matches: Callable[[Request], bool], action: Callable[[], None], *, drop: bool) -> None:
        """Once: call `action` at the first request that matches; with `drop` it never reaches Asterisk."""
        self._trap = (matches, action, drop)

    def close(self) -> None:
        """Stop."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    # In the proxy's own loop.

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        link = _Link(self, self._count, writer)
        link.frozen = self._frozen
        self._links.add(link)
        try:
            await link.run(reader)
        finally:
            if not link.frozen:
                self._links.discard(link)

    async def _reset(self) -> None:
        for link in list(self._links):
            if not link.frozen:
                self.resets += 1
                link.reset()

    async def _freeze(self) -> None:
        self._frozen = True
        for link in self._links:
            link.frozen = True

    async def _close(self) -> None:
        self._server.close()
        for link in list(self._links):
            link.reset()

    def take(self, request: Request) -> bool:
        """Note a request; False when it must not go on."""
        self.requests.append(request)
        if self._trap is None or not self._trap[0](request):
            return True
        _, action, drop = self._trap
        self._trap = None
        if drop:
            action()
            return False
        self._loop.call_later(0.002, action)
        return True


class _Link:
    """One connection and its other half."""

    def __init__(self, owner: Capture, number: int, down: asyncio.StreamWriter) -> None:
        self.frozen = False
        self._owner, self._number, self._down = owner, number, down
        self._up: asyncio.StreamWriter | None = None
        self._asked, self._told = _Asked(self), _Told(self)
        self.upgraded = ""
        self.waiting: dict[str, Request] = {}

    async def run(self, reader: asyncio.StreamReader) -> None:
        try:
            upstream, self._up = await asyncio.open_connection(*self._owner.target)
        except OSError:
            self._down.close()
            return
        back = asyncio.create_task(self._pump(upstream, self._down, self._told))
        await self._pump(reader, self._up, self._asked)
        with contextlib.suppress(asyncio.CancelledError):
            await back

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, parser: _Asked | _Told
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self.frozen:
                    self._owner.swallowed += len(data)
                    continue
                if parser.feed(data):
                    sink.write(data)
                    await sink.drain()
        if not self.frozen:
            sink.close()

    def reset(self) -> None:
        for writer in (self._down, self._up):
            if writer is not None:
                with contextlib.suppress(OSError):
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
                writer.transport.abort()

    @property
    def on_events(self) -> bool:
        return "app=murima-" in self.upgraded and "-ctl-" not in self.upgraded

    def request(self, method: str, path: str, body: dict[str, Any], over: str) -> tuple[Request, bool]:
        made = Request(time.monotonic(), self._number, method, path, body, over)
        return made, self._owner.take(made)

    def beat(self, kind: str, label: bytes) -> None:
        if self.on_events:
            self._owner.beats.append(Beat(time.monotonic(), kind, label.decode("latin-1")))


class _Asked:
    """What the daemon sends: HTTP requests, then, after an upgrade, masked frames."""

    def __init__(self, link: _Link) -> None:
        self._link, self._buffer = link, b""

    def feed(self, data: bytes) -> bool:
        """Decode; False when this piece must not go on."""
        self._buffer += data
        wanted = True
        while True:
            taken = self._frame() if self._link.upgraded else self._head()
            if taken is None:
                return wanted
            wanted = taken and wanted

    def _head(self) -> bool | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        path = target.partition("/ari/")[2]
        self._buffer = rest[length:]
        if headers.get("upgrade", "").lower() == "websocket":
            self._link.upgraded = path
            return True
        return self._link.request(method, path, _object(rest[:length]), "http")[1]

    def _frame(self) -> bool | None:
        parsed = _frame(self._buffer)
        if parsed is None:
            return None
        code, payload, self._buffer = parsed
        if code == 9:
            self._link.beat("ping", payload)
        if code != 1:
            return True
        asked = _object(payload)
        if asked.get("type") != "RESTRequest":
            return True
        body = _object(str(asked.get("message_body", "")).encode())
        made, wanted = self._link.request(asked["method"], asked["uri"], body, "socket")
        self._link.waiting[str(asked["request_id"])] = made
        return wanted


class _Told:
    """What Asterisk sends: only sockets are read."""

    def __init__(self, link: _Link) -> None:
        self._link, self._buffer, self._open = link, b"", False

    def feed(self, data: bytes) -> bool:
        if not self._link.upgraded:
            return True
        self._buffer += data
        if not self._open:
            _, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return True
            self._open, self._buffer = True, rest
        while (parsed := _frame(self._buffer)) is not None:
            code, payload, self._buffer = parsed
            if code == 10:
                self._link.beat("pong", payload)
            elif code == 1:
                self._answer(payload)
        return True

    def _answer(self, payload: bytes) -> None:
        if b"RESTResponse" not in payload[:200]:
            return
        told = _object(payload)
        made = self._link.waiting.pop(str(told.get("request_id")), None)
        if made is not None:
            made.status, made.answered = int(told.get("status_code", 0)), time.monotonic()


def _frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """(opcode, payload, rest) of the first whole frame; fragments are not expected."""
    if len(data) < 2:
        return None
    code, length, at = data[0] & 0x0F, data[1] & 0x7F, 2
    if length >= 126:
        size = 2 if length == 126 else 8
        if len(data) < at + size:
            return None
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    mask = b""
    if data[1] & 0x80:
        mask, at = data[at : at + 4], at + 4
    if len(data) < at + length or (data[1] & 0x80 and len(mask) < 4):
        return None
    payload = data[at : at + length]
    if mask:
        whole = mask * (length // 4 + 1)
        payload = bytes(a ^ b for a, b in zip(payload, whole, strict=False))
    return code, payload, data[at + length :]


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
