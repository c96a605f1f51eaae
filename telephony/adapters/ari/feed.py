"""The event socket: one reader that only reads and enqueues, one supervisor that keeps it connected.

Asterisk writes events from one thread and gives up on a reader that is slow for a second, so nothing is
decoded where frames are read. The queue is bounded; when it is full frames are dropped, and once the rest
has been taken a `Doubt` says that lists must be compared. A ping goes every 3 s; nothing heard for 9 s is
death. Reconnects wait with full jitter. Marks travel through the same queue: `ping` returns when whoever
takes the items has come past everything that was sent before the pong.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

import aiohttp
import structlog

from telephony.adapters.ari import meters
from telephony.adapters.ari.rest import Http
from telephony.ports.switch import Doubt, SwitchDown, SwitchError, SwitchUp

PING_SECONDS = 3.0
DEAD_SECONDS = 9.0
PING_DEADLINE = 5.0
BACKOFF_BASE = 0.25
BACKOFF_CAP = 5.0
CAPACITY = 20_000
FRAME_LIMIT = 256 * 1024
_HARD_LIMIT = 8 * 1024 * 1024

log = structlog.get_logger("ari")


@dataclass(frozen=True, slots=True)
class Frame:
    data: str | bytes


@dataclass(frozen=True, slots=True)
class _Mark:
    passed: asyncio.Future[None]


Item = Frame | SwitchUp | SwitchDown | Doubt


class Feed:
    """Frames and connection notes of one node, in order."""

    def __init__(
        self,
        http: Http,
        application: str,
        node: str,
        prepare: Callable[[], Awaitable[str]],
        capacity: int = CAPACITY,
    ) -> None:
        """`prepare` runs when the socket is open and before any frame is read; it returns the boot's name."""
        self._http = http
        self._application = application
        self._node = node
        self._prepare = prepare
        self._capacity = capacity
        self._items: deque[Item | _Mark] = deque()
        self._some = asyncio.Event()
        self._overflowed = False
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._pings = 0
        self._heard = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._socket is not None

    # --- taking -------------------------------------------------------------------------------------

    async def items(self) -> AsyncIterator[Item]:
        """Until cancelled. An item counts as taken when the next one is asked for."""
        self._task = asyncio.create_task(self._supervise(), name="ari-feed")
        try:
            while True:
                while self._items:
                    item = self._items.popleft()
                    if isinstance(item, _Mark):
                        if not item.passed.done():
                            item.passed.set_result(None)
                    else:
                        yield item
                if self._overflowed:
                    self._overflowed = False
                    yield Doubt(node=self._node, why="overflow")
                    continue
                if self._task.done():
                    self._task.result()
                    return
                self._some.clear()
                await self._some.wait()
        finally:
            self._task.cancel()

    async def ping(self) -> None:
        """See the module's text. SwitchError when no pong came within 5 s."""
        socket = self._socket
        if socket is None:
            raise SwitchError("ping", 0)
        self._pings += 1
        label = str(self._pings).encode()
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pongs[label] = passed
        try:
            async with asyncio.timeout(PING_DEADLINE):
                await socket.ping(label)
                await passed
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise SwitchError("ping", 0) from error
        finally:
            self._pongs.pop(label, None)

    # --- reading ------------------------------------------------------------------------------------

    def _put(self, item: Item | _Mark) -> None:
        self._items.append(item)
        self._some.set()

    def _put_frame(self, data: str | bytes) -> None:
        if len(data) > FRAME_LIMIT:
            meters.dropped(self._node, "oversized").inc()
        elif len(self._items) >= self._capacity:
            self._overflowed = True
            meters.dropped(self._node, "overflow").inc()
        else:
            self._put(Frame(data))

    async def _supervise(self) -> None:
        attempt = 0
        try:
            while True:
                try:
                    await self._connected_once()
                    attempt = 0
                except (aiohttp.ClientError, SwitchError, TimeoutError, OSError) as error:
                    meters.CONNECTS.labels(self._node, "failed").inc()
                    log.warning(
                        "switch_unreachable", node=self._node, error=type(error).__name__, attempt=attempt
                    )
                pause = random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2**attempt))
                attempt = min(attempt + 1, 16)
                await asyncio.sleep(pause)
        finally:
            self._some.set()

    async def _connected_once(self) -> None:
        """One connection's life; returns when it ended after having been up."""
        address = self._http.address(f"events?app={self._application}&subscribeAll=false")
        async with asyncio.timeout(5.0):
            socket = await self._http.session().ws_connect(
                address, autoping=False, max_msg_size=_HARD_LIMIT, compress=0
            )
        try:
            boot = await self._prepare()
            self._socket = socket
            self._heard = monotonic()
            meters.CONNECTS.labels(self._node, "ok").inc()
            meters.CONNECTED.labels(self._node).set(1)
            log.info("switch_connected", node=self._node)
            self._put(SwitchUp(node=self._node, boot=boot))
            await self._live(socket)
        finally:
            await self._end(socket)

    async def _live(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        keeper = asyncio.create_task(self._keep_alive(socket), name="ari-ping")
        try:
            await self._read(socket)
        finally:
            keeper.cancel()

    async def _end(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        if self._socket is not None:
            self._socket = None
            meters.CONNECTED.labels(self._node).set(0)
            log.warning("switch_disconnected", node=self._node)
            self._put(SwitchDown(node=self._node))
        try:
            async with asyncio.timeout(0.5):
                await socket.close()
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            self._heard = monotonic()
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                self._put_frame(message.data)
            elif message.type is aiohttp.WSMsgType.PONG:
                passed = self._pongs.get(bytes(message.data))
                if passed is not None:
                    self._put(_Mark(passed))
            elif message.type is aiohttp.WSMsgType.PING:
                await socket.pong(message.data)
            else:
                return

    async def _keep_alive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            due = monotonic() + PING_SECONDS
            await asyncio.sleep(PING_SECONDS)
            if monotonic() - due < 1.0 and monotonic() - self._heard > DEAD_SECONDS:
                log.warning("switch_silent", node=self._node)
                await socket.close()
                return
            try:
                await socket.ping(b"k")
            except (aiohttp.ClientError, ConnectionError):
                return

    def reconnect(self) -> None:
        """Give this connection up, for whatever reason; the supervisor makes a new one."""
        socket = self._socket
        if socket is not None:
            self._closing = asyncio.get_running_loop().create_task(socket.close())
