"""The caller: somebody outside who dials a number on the trunk.

    async with Caller(("127.0.0.1", 15060)) as outside:
        call = await outside.dial("+254700000001", frequency=500, display="Asha")
        await call.answered(); ...; await call.hang_up()

INVITEs come from 127.0.0.2, by which Asterisk knows the trunk. With `sound=False` no RTP is opened: for
load. A From display may hold anything, however hostile; it is sent as it is.
"""

from __future__ import annotations

import asyncio
import contextlib

from deployment.dev.sip.line import ALLOW, Address, Call, Line
from deployment.dev.sip.media import Media
from deployment.dev.sip.message import Message, token, uri_of

TRUNK_SOURCE = "127.0.0.2"
_RESENDS = 7


class OutgoingCall(Call):
    """A call that this side placed."""

    request_uri = ""

    async def place(
        self, to: Address, number: str, caller: str, display: str, extra: tuple[tuple[str, str], ...]
    ) -> None:
        """Send the INVITE, again and again until something answers."""
        host = f"{self.line.address[0]}:{self.line.address[1]}"
        self.peer = to
        self.target = self.request_uri = f"sip:{number}@{to[0]}:{to[1]}"
        name = f'"{display}" ' if display else ""
        self.local = f"{name}<sip:{caller}@{host}>;tag={self.local_tag}"
        self.remote = f"<{self.target}>"
        if self.media:
            self.port = await self.media.open(self.line.address[0])
        headers = [
            *self.headers("INVITE"),
            ("Contact", self.contact()),
            ("Allow", ALLOW),
            ("Content-Type", "application/sdp"),
            *extra,
        ]
        self.invite = Message(f"INVITE {self.target} SIP/2.0", headers, self.offer())
        self.invited_at = asyncio.get_running_loop().time()
        self._heard = False
        self.line.send(self.invite, to)
        self._later(self._resend())

    async def _resend(self) -> None:
        wait = 0.5
        for _ in range(_RESENDS):
            await asyncio.sleep(wait)
            if self._heard or self.over or self.invite is None:
                return
            self.line.send(self.invite, self.peer)
            wait = min(wait * 2, 4.0)

    async def cancel(self) -> None:
        """Give up before the answer; waits for the 487."""
        if self.invite is None or self.answered_at is not None:
            return
        kept = {"via", "from", "to", "call-id", "max-forwards"}
        headers = [(n, v) for n, v in self.invite.headers if n.lower() in kept]
        headers.append(("CSeq", f"{self.invite.get('cseq').split()[0]} CANCEL"))
        self.line.send(Message(f"CANCEL {self.request_uri} SIP/2.0", headers), self.peer)
        await self.final(5)

    async def hang_up(self, reason: str = "") -> None:
        """BYE, or CANCEL while nothing has answered; should the answer cross that, BYE all the same."""
        if self.answered_at is None and not self.over:
            with contextlib.suppress(TimeoutError):
                await self.cancel()
            if self.answered_at is None:
                await self.finish()
        await super().hang_up(reason)

    def response(self, message: Message) -> None:
        """Answers to the INVITE; those to others are the line's business."""
        if message.method != "INVITE":
            return
        self._heard = True
        status = message.status
        if status == 180 and self.ringing_at is None:
            self.ringing_at = asyncio.get_running_loop().time()
        if 180 <= status < 300:
            self.listen_to(message.body)
        if status < 200:
            return
        self.status = status
        self.remote = message.get("to")
        if status < 300:
            self.target = uri_of(message.get("contact"))
            self.routes = list(reversed(message.all("record-route")))
            self._acknowledge(message, self.target, self.line.via())
            self.mark_answered()
        else:
            self.reason = message.get("reason")
            via = self.invite.get("via") if self.invite else self.line.via()
            self._acknowledge(message, self.request_uri, via)
            self.mark_refused()

    def _acknowledge(self, answer: Message, uri: str, via: str) -> None:
        number = answer.get("cseq").split()[0]
        headers = [("Via", via), ("Max-Forwards", "70"), ("From", self.local), ("To", answer.get("to")),
                   ("Call-ID", self.call_id), ("CSeq", f"{number} ACK")]  # fmt: skip
        headers += [("Route", route) for route in self.routes]
        self.line.send(Message(f"ACK {uri} SIP/2.0", headers), self.peer)


class Caller:
    """Somebody (or many) outside, on one SIP port."""

    def __init__(self, trunk: Address, source: str = TRUNK_SOURCE) -> None:
        self._trunk, self._source = trunk, source
        self.line = Line()

    async def __aenter__(self) -> Caller:
        await self.line.open(self._source)
        return self

    async def __aexit__(self, *_: object) -> None:
        for call in list(self.line.calls.values()):
            if call.answered_at is not None and not call.over:
                await call.hang_up()
        await self.line.close()

    async def dial(
        self,
        number: str,
        *,
        caller: str = "+254711000001",
        display: str = "",
        frequency: float | None = 500.0,
        sound: bool = True,
        speech: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> OutgoingCall:
        """Place a call; returns as soon as the INVITE is out. `speech` is u-law that replaces the tone."""
        media = Media(frequency, speech) if sound else None
        call = OutgoingCall(self.line, token(), media)
        await call.place(self._trunk, number, caller, display, headers)
        return call
