"""A SIP socket and the calls on it, seen from either side.

`Line` owns one UDP port and hands each datagram to the call it belongs to, or to the agent behind it.
`Call` is one dialog with its media: place it (`Caller`), or receive it (`Agent`); both then only talk,
hang up and look at what happened. Everything awaited has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from deployment.dev.sip.media import Media
from deployment.dev.sip.message import Message, media_of, sdp, tag_of, token

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY"
_RESEND_SECONDS = 0.5
_RESENDS = 7
Address = tuple[str, int]


class Line(asyncio.DatagramProtocol):
    """One UDP port for SIP; `incoming` gets requests that belong to no call."""

    def __init__(self, incoming: Callable[[Message, Address], None] | None = None) -> None:
        self.calls: dict[str, Call] = {}
        self.address: Address = ("", 0)
        self._incoming = incoming
        self._transport: asyncio.DatagramTransport | None = None
        self._answers: dict[tuple[str, str], asyncio.Future[Message]] = {}

    async def open(self, host: str, port: int = 0) -> None:
        """Bind."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self.address = self._transport.get_extra_info("sockname")[:2]

    def send(self, message: Message, to: Address) -> None:
        """Send once."""
        if self._transport:
            self._transport.sendto(message.encode(), to)

    async def ask(self, request: Message, to: Address, seconds: float = 5.0) -> Message:
        """Send a request (not INVITE) until its final answer comes; raises TimeoutError."""
        key = (request.get("call-id"), request.get("cseq"))
        future = self._answers[key] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self.send(request, to)
                    with contextlib.suppress(TimeoutError):
                        return await asyncio.wait_for(asyncio.shield(future), _RESEND_SECONDS)
        finally:
            self._answers.pop(key, None)

    def via(self) -> str:
        """A Via value of a new transaction."""
        return f"SIP/2.0/UDP {self.address[0]}:{self.address[1]};branch=z9hG4bK{token()};rport"

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Give a message to whom it belongs."""
        if len(data) < 8:
            return
        message = Message.parse(data)
        if message.status >= 200:
            future = self._answers.get((message.get("call-id"), message.get("cseq")))
            if future and not future.done():
                future.set_result(message)
        call = self.calls.get(message.get("call-id"))
        if call is not None:
            call.receive(message, addr)
        elif not message.status and message.method in {"OPTIONS", "NOTIFY"}:
            self.send(message.reply(200, "OK", token()), addr)
        elif not message.status and self._incoming:
            self._incoming(message, addr)

    async def close(self) -> None:
        """End the calls without ceremony and give the port back."""
        for call in list(self.calls.values()):
            await call.close()
        if self._transport:
            self._transport.close()
            self._transport = None


class Call:
    """One dialog. Times are the loop's clock; `status` is the INVITE's final answer so far."""

    def __init__(self, line: Line, call_id: str, media: Media | None) -> None:
        self.line, self.call_id, self.media = line, call_id, media
        self.peer: Address = ("", 0)
        self.local_tag = token()
        self.local = self.remote = self.target = ""
        self.routes: list[str] = []
        self.sequence = 1
        self.invite: Message | None = None
        self.status = 0
        self.ringing_at: float | None = None
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.ended_by_peer = False
        self.reason = ""
        self.held_sdp = 0
        self._final = asyncio.Event()
        self._ended = asyncio.Event()
        line.calls[call_id] = self

    # What a test asks for.

    async def answered(self, seconds: float = 10.0) -> None:
        """Wait for the answer; raises TimeoutError, or ConnectionError when it was refused."""
        async with asyncio.timeout(seconds):
            await self._final.wait()
        if self.answered_at is None:
            raise ConnectionError(f"the call was refused with {self.status}")

    async def final(self, seconds: float = 10.0) -> int:
        """Wait for the INVITE's final answer, whichever it is."""
        async with asyncio.timeout(seconds):
            await self._final.wait()
        return self.status

    async def ended(self, seconds: float = 10.0) -> None:
        """Wait until the call is over, however."""
        async with asyncio.timeout(seconds):
            await self._ended.wait()

    @property
    def over(self) -> bool:
        """Whether the call is over."""
        return self._ended.is_set()

    async def hang_up(self, reason: str = "") -> None:
        """BYE, with a Reason header if given (say, 'Q.850;cause=31')."""
        if self.over:
            return
        extra = (("Reason", reason),) if reason else ()
        with contextlib.suppress(TimeoutError):
            await self.line.ask(self._request("BYE", extra), self.peer, 3.0)
        await self.finish()

    async def finish(self) -> None:
        """Note the end and stop the sound."""
        if not self._ended.is_set():
            self.ended_at = asyncio.get_running_loop().time()
            self._ended.set()
            self._final.set()
        if self.media:
            await self.media.close()

    async def close(self) -> None:
        """Forget the call without telling the other side."""
        await self.finish()
        self.line.calls.pop(self.call_id, None)

    # What the line hands over.

    def receive(self, message: Message, addr: Address) -> None:
        """A message of this dialog."""
        if message.status:
            self.response(message)
        elif message.method == "INVITE":
            self.reinvite(message, addr)
        elif message.method == "BYE":
            self.line.send(message.reply(200, "OK"), addr)
            self.ended_by_peer, self.reason = True, message.get("reason")
            self._later(self.finish())
        elif message.method != "ACK":
            self.line.send(message.reply(200, "OK"), addr)

    def response(self, message: Message) -> None:
        """An answer to something that this side asked; the caller's side knows more of them."""

    def reinvite(self, message: Message, addr: Address) -> None:
        """The other side changes the sound's address or direction: agree."""
        self.held_sdp += "a=sendonly" in message.body or "a=inactive" in message.body
        self.listen_to(message.body)
        direction = "recvonly" if "a=sendonly" in message.body else "sendrecv"
        extra = (("Contact", self.contact()),)
        self.line.send(message.reply(200, "OK", self.local_tag, extra, self.offer(direction)), addr)

    # Helpers of both sides.

    def contact(self) -> str:
        """Where this side wants to be reached."""
        return f"<sip:kit@{self.line.address[0]}:{self.line.address[1]}>"

    def listen_to(self, body: str) -> None:
        """Send sound to where the SDP says."""
        if self.media and (target := media_of(body)):
            self.media.target = target

    def offer(self, direction: str = "sendrecv") -> str:
        """This side's SDP."""
        return sdp(self.line.address[0], self.port, direction)

    port = 9
    """The RTP port named in SDP; 9 (discard) while there is no media."""

    def mark_answered(self) -> None:
        """The call stands."""
        if self.answered_at is None:
            self.answered_at = asyncio.get_running_loop().time()
        self._final.set()

    def mark_refused(self) -> None:
        """The call never came to be."""
        self._final.set()
        self._later(self.finish())

    def _request(self, method: str, extra: tuple[tuple[str, str], ...] = ()) -> Message:
        self.sequence += 1
        routes = [("Route", route) for route in self.routes]
        return Message(f"{method} {self.target} SIP/2.0", [*self.headers(method), *routes, *extra])

    def headers(self, method: str) -> list[tuple[str, str]]:
        """What every request of this call begins with."""
        return [
            ("Via", self.line.via()),
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.sequence} {method}"),
        ]

    def _later(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)


_TASKS: set[object] = set()


def with_tag(header: str, tag: str) -> str:
    """The header's value with a tag, unless it has one."""
    return header if tag_of(header) else f"{header};tag={tag}"
