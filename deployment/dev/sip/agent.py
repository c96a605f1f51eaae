"""An agent's SIP phone: registers with a digest and does with calls what it was told to.

    async with Agent(("127.0.0.1", 15060), "d0123456789ab", "secret", do=Do.ACCEPT, frequency=800) as phone:
        ring = await phone.invited(10)        # the IncomingCall, with `invited_at`

Every INVITE's arrival is kept in `arrivals`, whatever is done with it; with Do.RING the test decides by
calling `accept`, `refuse` on the ring.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum

from deployment.dev.sip.line import ALLOW, Address, Call, Line, with_tag
from deployment.dev.sip.media import Media
from deployment.dev.sip.message import Message, digest, token, uri_of, user_of


class Do(enum.Enum):
    """What the phone does with a call."""

    ACCEPT = "accept"
    BUSY = "busy"
    DECLINE = "decline"
    RING = "ring"


class IncomingCall(Call):
    """A call that rings, or rang, at the phone."""

    def begin(self, invite: Message, addr: Address) -> None:
        """Take the dialog from its INVITE and let it ring."""
        self.invite, self.peer = invite, addr
        self.invited_at = asyncio.get_running_loop().time()
        self.shown_user = user_of(invite.get("from"))
        self.target = uri_of(invite.get("contact"))
        self.routes = invite.all("record-route")
        self.local, self.remote = with_tag(invite.get("to"), self.local_tag), invite.get("from")
        self.listen_to(invite.body)
        self.line.send(invite.reply(100, "Trying"), addr)

    def ring(self) -> None:
        """180."""
        assert self.invite
        self.line.send(
            self.invite.reply(180, "Ringing", self.local_tag, (("Contact", self.contact()),)), self.peer
        )

    async def accept(self) -> None:
        """200 with our SDP, repeated until it is acknowledged."""
        assert self.invite
        if self.over:
            return
        if self.media:
            self.port = await self.media.open(self.line.address[0])
        extra = (("Contact", self.contact()), ("Allow", ALLOW))
        answer = self.invite.reply(200, "OK", self.local_tag, extra, self.offer())
        self._acknowledged = asyncio.Event()
        self.status = 200
        self.mark_answered()
        self.line.send(answer, self.peer)
        self._later(self._repeat(answer))

    async def _repeat(self, answer: Message) -> None:
        for _ in range(5):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._acknowledged.wait(), 0.5)
                return
            if self.over:
                return
            self.line.send(answer, self.peer)

    def refuse(self, status: int = 603, reason: str = "Decline") -> None:
        """Turn the call down."""
        assert self.invite
        if self.status < 200:
            self.status = status
            self.line.send(self.invite.reply(status, reason, self.local_tag), self.peer)
            self.mark_refused()

    def receive(self, message: Message, addr: Address) -> None:
        """As a call does, and: the INVITE again, CANCEL, ACK."""
        if message.method == "INVITE" and not message.status and self.answered_at is None:
            return  # a repetition of the first one
        if message.method == "ACK" and not message.status:
            if self.status == 200:
                self._acknowledged.set()
            return
        if message.method == "CANCEL":
            self.line.send(message.reply(200, "OK", self.local_tag), addr)
            self.reason = message.get("reason")
            self.ended_by_peer = True
            self.refuse(487, "Request Terminated")
            return
        super().receive(message, addr)


class Agent:
    """A registered phone on a port of its own."""

    def __init__(
        self, registrar: Address, user: str, secret: str, *, do: Do = Do.ACCEPT,
        frequency: float | None = 800.0, sound: bool = True, after_seconds: float = 0.0,
        address: str = "127.0.0.1", talk_seconds: float | None = None, speech: bytes | None = None,
    ) -> None:  # fmt: skip
        self.user, self.do = user, do
        self.arrivals: list[IncomingCall] = []
        self.line = Line(self._incoming)
        self._registrar, self._secret, self._address = registrar, secret, address
        self._frequency, self._sound = frequency, sound
        self._after_seconds, self._talk_seconds = after_seconds, talk_seconds
        self._speech = speech
        self._rings: asyncio.Queue[IncomingCall] = asyncio.Queue()
        self._register_id, self._register_tag, self._sequence = token(), token(), 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Agent:
        await self.line.open(self._address)
        await self.register()
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            for call in list(self.line.calls.values()):
                if call.answered_at is not None and not call.over:
                    await call.hang_up()
            await self.register(expires=0)
        for task in self._tasks:
            task.cancel()
        await self.line.close()

    async def register(self, expires: int = 300) -> None:
        """REGISTER with the digest that is asked for; raises ConnectionError when refused."""
        answer = await self.line.ask(self._register(expires, ""), self._registrar)
        if answer.status == 401:
            uri = f"sip:{self._registrar[0]}:{self._registrar[1]}"
            proof = digest(answer.get("www-authenticate"), self.user, self._secret, "REGISTER", uri)
            answer = await self.line.ask(self._register(expires, proof), self._registrar)
        if answer.status != 200:
            raise ConnectionError(f"the registrar answers {answer.status}")

    async def invited(self, seconds: float = 10.0) -> IncomingCall:
        """The next call that rings here; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            return await self._rings.get()

    def _register(self, expires: int, proof: str) -> Message:
        self._sequence += 1
        host = f"{self._registrar[0]}:{self._registrar[1]}"
        own = f"sip:{self.user}@{self.line.address[0]}:{self.line.address[1]}"
        headers = [("Via", self.line.via()), ("Max-Forwards", "70"),
                   ("From", f"<sip:{self.user}@{host}>;tag={self._register_tag}"),
                   ("To", f"<sip:{self.user}@{host}>"), ("Call-ID", self._register_id),
                   ("CSeq", f"{self._sequence} REGISTER"),
                   ("Contact", f"<{own}>"), ("Expires", str(expires))]  # fmt: skip
        if proof:
            headers.append(("Authorization", proof))
        return Message(f"REGISTER sip:{host} SIP/2.0", headers)

    def _incoming(self, message: Message, addr: Address) -> None:
        if message.method == "CANCEL":
            self.line.send(message.reply(481, "Call Does Not Exist", token()), addr)
        if message.method != "INVITE":
            return
        media = Media(self._frequency, self._speech) if self._sound else None
        call = IncomingCall(self.line, message.get("call-id"), media)
        call.begin(message, addr)
        self.arrivals.append(call)
        self._rings.put_nowait(call)
        task = asyncio.create_task(self._react(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _react(self, call: IncomingCall) -> None:
        if self.do is Do.BUSY:
            call.refuse(486, "Busy Here")
        elif self.do is Do.DECLINE:
            call.refuse(603, "Decline")
        else:
            call.ring()
        if self.do is not Do.ACCEPT:
            return
        if self._after_seconds:
            await asyncio.sleep(self._after_seconds)
        await call.accept()
        if self._talk_seconds is not None:
            await asyncio.sleep(self._talk_seconds)
            await call.hang_up()
