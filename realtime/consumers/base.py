"""What every socket does: the door, the envelope, the limits, the second look at rights, the way out.

One consumer per socket. What the client says is read one frame at a time and never waits for the world: asks
run as tasks. What it hears goes through its outbox. A frame that is too big ends the socket; any other bad
frame is answered with a problem, counted, and changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec
import structlog
from channels.generic.websocket import AsyncWebsocketConsumer

from realtime import auth, frames, groups, meters
from realtime import messages as m
from realtime.audience import Audience
from realtime.auth import Refused, Visitor
from realtime.feed import Feed
from realtime.follower import follower
from realtime.limits import Bucket
from realtime.outbox import Outbox
from realtime.stream import AWAY
from web.shared.accounts.registry import MEMBER, code_for_message

LOOK_AGAIN_SECONDS = 60.0
GUARD_SECONDS = 1.0
SOCKETS_PER_USER = 20
TASKS_PER_SOCKET = 20

log = structlog.get_logger(__name__)
_frame = msgspec.json.Decoder(m.ClientFrame)
_open_sockets: Counter[uuid.UUID] = Counter()
sockets: set[Socket] = set()
"""The open ones of this process."""


class Refusal(Exception):
    """A client's message is answered with a problem."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


class Socket(AsyncWebsocketConsumer):  # type: ignore[misc]
    channel: ClassVar[m.Channel]
    needs: ClassVar[str]
    """The permission code without which this socket does not open."""
    personal: ClassVar[bool] = True
    """Whether the screen is one person's: what hangs on a wall shows nobody's notices."""

    visitor: Visitor
    feed: Feed
    audience: Audience
    outbox: Outbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.id = uuid.uuid4().hex
        self.takes = {each.name: each for each in self.channel.takes}
        self.heard = time.monotonic()
        self._bucket = Bucket(self.heard)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._open = False
        self._groups: list[str] = []

    # --- the door --------------------------------------------------------------------------------------

    async def connect(self) -> None:
        try:
            self.visitor = await auth.admit(self.scope)
            if not self.visitor.may(self.needs):
                raise Refused(m.CLOSE_CODES["FORBIDDEN"], said=True)
            if _open_sockets[self.visitor.user] >= SOCKETS_PER_USER:
                raise Refused(m.CLOSE_CODES["TOO_SLOW"], said=True)
        except Refused as no:
            meters.REFUSED.labels(str(no.code)).inc()
            if no.said:
                await self.accept(m.SUBPROTOCOL)
            await self.close(no.code)
            return
        except AWAY:
            await self.accept(m.SUBPROTOCOL)
            await self.close(m.CLOSE_CODES["TOO_SLOW"])
            return
        await self.accept(m.SUBPROTOCOL)
        self._enter()

    def _enter(self) -> None:
        self._open = True
        sockets.add(self)
        _open_sockets[self.visitor.user] += 1
        meters.SOCKETS.labels(self.channel.name).inc()
        self.feed = follower().join(self.visitor.tenant.id)
        query = parse_qs(self.scope.get("query_string", b"").decode("ascii", "replace"))
        position = _position(query)
        self.audience, self.outbox = self.attach(position)
        # Nothing was shown yet: a client that loses us after this frame must not think it saw more.
        epoch, seq = position if position is not None and self.outbox.resumed else (0, 0)
        self.outbox.greet(frames.frame("hello", self._hello(), epoch, seq))
        self.spawn(self._pump())
        self.spawn(self._guard())
        self.spawn(self._join_groups())
        self.entered(query)

    def attach(self, position: tuple[int, int] | None) -> tuple[Audience, Outbox]:
        """The audience of this socket and its way out."""
        raise NotImplementedError

    def entered(self, query: dict[str, list[str]]) -> None:
        """Hook: the socket is open."""

    def left(self) -> None:
        """Hook: the socket is gone."""

    def _hello(self) -> m.Hello:
        return m.Hello(
            server_time=frames.now_text(),
            tenant=self.visitor.tenant,
            user=self.visitor.card,
            ping_seconds=m.PING_SECONDS,
            lost_seconds=m.LOST_SECONDS,
        )

    async def disconnect(self, code: int) -> None:
        if not self._open:
            return
        self._open = False
        sockets.discard(self)
        self.left()
        _open_sockets[self.visitor.user] -= 1
        if not _open_sockets[self.visitor.user]:
            del _open_sockets[self.visitor.user]
        meters.SOCKETS.labels(self.channel.name).dec()
        self.feed.leave(self.audience, self.outbox)
        follower().leave(self.feed)
        for task in list(self._tasks):
            task.cancel()
        for group in self._groups:
            try:
                await self.channel_layer.group_discard(group, self.channel_name)
            except AWAY:
                pass

    # --- what comes in ---------------------------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self._open or self.outbox.closing:
            return
        self.heard = time.monotonic()
        if len(bytes_data or b"") > m.MAX_FRAME_BYTES or _too_long(text_data):
            meters.REFUSED.labels("too_large").inc()
            self.outbox.close(m.CLOSE_CODES["TOO_BIG"])
            return
        answers = None
        try:
            if not self._bucket.take(self.heard):
                raise Refusal("throttled", "At most 20 messages a second.")
            if text_data is None:
                raise Refusal("malformed", "Messages are text frames with JSON.")
            frame = _read(text_data)
            answers = str(frame.id)
            await self._take(frame)
        except Refusal as no:
            self.refuse(no.code, no.detail, answers)

    async def _take(self, frame: m.ClientFrame) -> None:
        message = self.takes.get(frame.type)
        if message is None:
            raise Refusal("unknown_type", "This socket takes no such message.")
        code = code_for_message(message.name)
        if code is None or (code != MEMBER and not self.visitor.may(code)):
            raise Refusal("forbidden", "Your role here does not allow this.")
        try:
            data = msgspec.json.decode(frame.data, type=message.data)
        except msgspec.MsgspecError as error:
            raise Refusal("invalid", "The data of this message does not have its shape.") from error
        if message is m.PING:
            self.say("pong", m.Pong(server_time=frames.now_text()), str(frame.id))
            await self.pinged()
        elif len(self._tasks) > TASKS_PER_SOCKET:
            raise Refusal("throttled", "Too many messages wait for their answers.")
        else:
            self.spawn(self._carry_out(message.name, str(frame.id), data))

    async def _carry_out(self, kind: str, identity: str, data: Any) -> None:
        try:
            await self.handle(kind, identity, data)
        except Refusal as no:
            self.refuse(no.code, no.detail, identity)
        except Exception as error:  # one message fails, the socket lives
            log.warning(
                "message_failed",
                tenant=self.feed.tenant,
                kind=kind,
                error=type(error).__name__,
                exc_info=True,
            )
            self.refuse("internal_error", "Quote the request_id when you report it.", identity)

    async def handle(self, kind: str, identity: str, data: Any) -> None:
        """Carry out a message of this socket; raises Refusal."""
        raise Refusal("unknown_type", "This socket takes no such message.")

    async def pinged(self) -> None:
        """Hook: the client said that it lives."""

    # --- what goes out ---------------------------------------------------------------------------------

    def say(self, kind: str, data: Any, answers: str | None = None) -> None:
        self.outbox.answer(self.feed.replica.text(kind, data, answers))

    def refuse(self, code: str, detail: str, answers: str | None) -> None:
        meters.REFUSED.labels(code).inc()
        self.say("error", frames.problem(code, detail, uuid.uuid4().hex), answers)

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("socket_task_failed", tenant=self.visitor.tenant.id, exc_info=error)

    async def _pump(self) -> None:
        code = await self.outbox.pump(self._send_text)
        await self.close(code)

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)

    # --- rights and life -------------------------------------------------------------------------------

    async def _guard(self) -> None:
        """End a socket that fell silent, and look at rights again from time to time."""
        looked = time.monotonic() + random.uniform(0, LOOK_AGAIN_SECONDS / 6)
        while True:
            await asyncio.sleep(GUARD_SECONDS)
            now = time.monotonic()
            if now - self.heard > m.LOST_SECONDS:
                self.outbox.close(m.CLOSE_CODES["LOST"])
            if now - looked > LOOK_AGAIN_SECONDS:
                looked = now
                await self._look_again()

    async def _look_again(self) -> None:
        try:
            fresh = await auth.look_again(self.visitor)
        except Exception as error:  # the database is away: nobody loses a live desk for that
            log.warning("rights_not_read", tenant=self.visitor.tenant.id, error=type(error).__name__)
            return
        if fresh is None:
            self.outbox.close(m.CLOSE_CODES["NOT_SIGNED_IN"])
        elif not fresh.may(self.needs):
            self.outbox.close(m.CLOSE_CODES["FORBIDDEN"])
        else:
            self.visitor = fresh

    async def _join_groups(self) -> None:
        tenant, user = self.visitor.tenant.id, self.visitor.user
        wanted = [groups.everybody(tenant), groups.person(user), groups.member(tenant, user)]
        for group in wanted:
            for attempt in range(8):
                try:
                    await self.channel_layer.group_add(group, self.channel_name)
                    self._groups.append(group)
                    break
                except AWAY as error:
                    log.warning("group_not_joined", tenant=tenant, error=type(error).__name__)
                    await asyncio.sleep(random.uniform(0.5, 1.0) * 0.25 * 2**attempt)

    async def access_changed(self, event: dict[str, Any]) -> None:
        """Django says that rights may have changed."""
        if self._open:
            self.spawn(self._look_again())

    async def person_told(self, event: dict[str, Any]) -> None:
        """Django has a notice for this person, in this tenant."""
        if self._open and self.personal:
            try:
                told = msgspec.convert(event["data"], m.NotificationCard)
            except msgspec.ValidationError:
                log.warning("notice_not_understood", tenant=self.visitor.tenant.id)
                return
            level: m.Level = "warning" if told.urgent else "info"
            said = m.Notice(code="notification", level=level, detail=told.title, notification=told)
            self.say("notice", said)

    async def tab_opened(self, event: dict[str, Any]) -> None:
        """Only desks have tabs."""

    async def media_claimed(self, event: dict[str, Any]) -> None:
        """Only desks have sound."""


def _too_long(text: str | None) -> bool:
    if text is None or len(text) * 4 <= m.MAX_FRAME_BYTES:
        return False
    return len(text) > m.MAX_FRAME_BYTES or len(text.encode()) > m.MAX_FRAME_BYTES


def _read(text: str) -> m.ClientFrame:
    try:
        return _frame.decode(text)
    except msgspec.ValidationError as error:
        raise Refusal("invalid", "The envelope is {v: 1, type, id: a UUID, data}.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal("malformed", "The frame is not JSON.") from error


def _position(query: dict[str, list[str]]) -> tuple[int, int] | None:
    """(epoch, seq) that the client saw last, when it says so well."""
    try:
        epoch, seq = query["epoch"][0], query["seq"][0]
    except KeyError:
        return None
    well = all(each.isascii() and each.isdigit() and len(each) < 19 for each in (epoch, seq))
    return (int(epoch), int(seq)) if well else None
