"""REST over WebSocket on sockets of our own, one for each lane.

Asterisk executes one request at a time per socket, so a slow channel delays only its own lane. Lanes are
many, so that few conversations share one: with eight, at 50 calls a second, one ring of ten waited 8 ms and
more for the requests of other calls, with 32 a millisecond. A socket costs Asterisk a sleeping thread.

Each socket registers a dummy application without subscriptions: all that ever arrives on it are answers. A
request is sent, its answer awaited, then the next one goes; an answer that comes after its deadline closes
the socket, because nothing may be mistaken for the answer to something else.

A socket may be dead without knowing: the path broke, and no farewell came. So one that was open before has
only a part of the deadline, and whatever fails is tried again on a new socket, with a short pause, until the
deadline is over: every command may be sent more than once. When the event socket had to be made anew, so are
all of these.
"""

import asyncio
import random
from time import monotonic

import aiohttp
import msgspec

from telephony.adapters.ari import meters, wire
from telephony.adapters.ari.rest import DEADLINE, Http
from telephony.ports.switch import LANES, SwitchError

_FRAME_LIMIT = 1 << 20
PATIENCE = 0.6
"""Seconds for an answer on a socket that was open before."""
PAUSE = (0.02, 0.1)
"""Seconds before another try, drawn anew each time."""
_encoder = msgspec.json.Encoder()


class ControlSocket:
    """One lane."""

    def __init__(self, http: Http, application: str, node: str) -> None:
        self._http = http
        self._application = application
        self._node = node
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._lock = asyncio.Lock()
        self._count = 0
        self._seconds = meters.REQUEST_SECONDS.labels(node)

    async def request(self, method: str, uri: str, body: dict[str, object]) -> tuple[int, str]:
        """(status, body) of the answer; SwitchError with status 0 when none came in time."""
        async with self._lock:
            try:
                async with asyncio.timeout(DEADLINE):
                    return await self._insist(method, uri, body)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                await self._drop()
                meters.requests(self._node, "none").inc()
                raise SwitchError(f"{method} {uri.split('/')[0]}", 0) from error
            except asyncio.CancelledError:
                await self._drop()
                raise

    async def _insist(self, method: str, uri: str, body: dict[str, object]) -> tuple[int, str]:
        """Try until there is an answer; the caller's deadline ends it."""
        started = monotonic()
        while True:
            try:
                answer = await self._exchange(method, uri, body)
            except (TimeoutError, aiohttp.ClientError, OSError):
                await self._drop()
                meters.requests(self._node, "again").inc()
                await asyncio.sleep(random.uniform(*PAUSE))
                continue
            self._seconds.observe(monotonic() - started)
            meters.requests(self._node, meters.outcome(answer.status_code)).inc()
            return answer.status_code, answer.message_body

    async def _exchange(self, method: str, uri: str, body: dict[str, object]) -> wire.RestResponse:
        self._count += 1
        frame = _frame(str(self._count), method, uri, body)
        if self._socket is not None and not self._socket.closed:
            async with asyncio.timeout(PATIENCE):
                return await self._send(self._socket, frame)
        self._socket = await self._connect()
        return await self._send(self._socket, frame)

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, frame: str) -> wire.RestResponse:
        """The answer to this frame; ClientError when the socket closes first."""
        await socket.send_str(frame)
        expected = str(self._count)
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise aiohttp.ClientError("the control socket closed under a request")
            try:
                _, event = wire.decode(message.data)
            except wire.Malformed:
                meters.dropped(self._node, "malformed").inc()
                continue
            if isinstance(event, wire.RestResponse) and event.request_id == expected:
                return event

    async def renew(self) -> None:
        """A new socket ahead of the next request; SwitchError when that fails."""
        async with self._lock:
            await self._drop()
            try:
                async with asyncio.timeout(DEADLINE):
                    self._socket = await self._connect()
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                raise SwitchError("GET events", 0) from error

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        return await self._http.session().ws_connect(
            self._http.address(f"events?app={self._application}"), max_msg_size=_FRAME_LIMIT, compress=0
        )

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await _quietly_close(socket)

    async def close(self) -> None:
        async with self._lock:
            await self._drop()


class Control:
    """All lanes of one node."""

    def __init__(self, http: Http, application: str, node: str) -> None:
        self._lanes = [ControlSocket(http, f"{application}-ctl-{k}", node) for k in range(LANES)]

    async def request(self, lane: int, method: str, uri: str, body: dict[str, object]) -> tuple[int, str]:
        return await self._lanes[lane].request(method, uri, body)

    async def renew(self) -> None:
        """All sockets anew: what broke the event socket may have broken these without a word."""
        await asyncio.gather(*(lane.renew() for lane in self._lanes))

    async def close(self) -> None:
        await asyncio.gather(*(lane.close() for lane in self._lanes))


def _frame(number: str, method: str, uri: str, body: dict[str, object]) -> str:
    frame: dict[str, object] = {"type": "RESTRequest", "request_id": number, "method": method, "uri": uri}
    if body:
        frame["content_type"] = "application/json"
        frame["message_body"] = _encoder.encode(body).decode()
    return _encoder.encode(frame).decode()


async def _quietly_close(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Close without waiting for the other end's farewell: it may be what is dead."""
    try:
        async with asyncio.timeout(0.2):
            await socket.close()
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
