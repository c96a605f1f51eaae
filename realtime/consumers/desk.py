"""An agent's desk: presence while the socket lives, asks down, own state up.

The desktop counts as open while any socket of the agent pings (realtime.presence). One tab has the sound: the
last that claimed it; the agent's other sockets, in whichever process, hear so over the channel layer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError

from realtime import asking, groups
from realtime import messages as m
from realtime.asking import NotDone
from realtime.audience import Audience
from realtime.consumers.base import Refusal, Socket
from realtime.follower import follower
from realtime.outbox import Outbox
from realtime.sources import finish_wrap_up, shift_credentials
from realtime.stream import AWAY
from telephony.contract.asks import StartShift
from telephony.contract.ids import AgentId, AskId, Endpoint
from web.shared.accounts.permissions import DESK_USE
from web.shared.api.problems import Problem

REALM = "asterisk"
ROSTER_SECONDS = 1.0
"""How long a shift waits to see that the daemon took the new account."""


class DeskSocket(Socket):
    channel = m.DESK
    needs = DESK_USE
    tab = ""

    @property
    def agent(self) -> AgentId:
        return AgentId(str(self.visitor.user))

    def attach(self, position: tuple[int, int] | None) -> tuple[Audience, Outbox]:
        return self.feed.desk(self.agent, position)

    def entered(self, query: dict[str, list[str]]) -> None:
        self.tab = _uuid(query.get("tab", [""])[0])
        self.presence = follower().presence(self.feed)
        self.spawn(self.presence.renew(self.agent, self.id, first=True))
        if self.tab:
            self.spawn(self._to_others(groups.tab_opened(self.id, self.tab)))

    async def pinged(self) -> None:
        self.spawn(self.presence.renew(self.agent, self.id))

    def left(self) -> None:
        follower().later(self.presence.renew(self.agent, self.id))

    # --- asks ------------------------------------------------------------------------------------------

    async def handle(self, kind: str, identity: str, data: Any) -> None:
        try:
            if kind == "media.claim":
                await self._claim(identity, str(data.tab))
            elif kind == "shift.start":
                await self._start_shift(identity, str(data.endpoint))
            elif kind == "wrapup.finish":
                await self._finish(identity, data)
            else:
                body = asking.BUILD[kind](self.agent, data)
                ack = await asking.ask(self.feed, self.visitor.user, self._ask_id(identity), body)
                self.say("ack", asking.acknowledged(ack), identity)
        except NotDone as no:
            raise Refusal(no.code, no.detail) from no
        except Problem as no:
            raise Refusal(no.code, no.detail) from no
        except ValidationError as no:
            raise Refusal("invalid", " ".join(no.messages)) from no

    def _ask_id(self, identity: str) -> AskId:
        return asking.ask_id(self.visitor.user, UUID(identity))

    async def _start_shift(self, identity: str, endpoint: str) -> None:
        """On an own SIP phone at once; else a new secret for the browser first, and then the shift."""
        if endpoint:
            body = StartShift(agent=self.agent, endpoint=Endpoint(endpoint))
            ack = await asking.ask(self.feed, self.visitor.user, self._ask_id(identity), body)
            self.say("ack", asking.acknowledged(ack), identity)
            return
        await self._start_browser_shift(identity)

    async def _start_browser_shift(self, identity: str) -> None:
        """The phone's account must have reached the daemon before the shift does."""
        until = time.monotonic() + asking.ANSWER_SECONDS
        known = self.feed.replica.agent(self.agent).version
        endpoint, secret = await shift_credentials(self.feed.tenant, self.visitor.user)
        await self.feed.until(lambda _: self.feed.replica.agent(self.agent).version > known, ROSTER_SECONDS)
        body = StartShift(agent=self.agent, endpoint=Endpoint(endpoint))
        left = max(0.5, until - time.monotonic())
        ack = await asking.ask(self.feed, self.visitor.user, self._ask_id(identity), body, left)
        host = settings.SIP_REGISTRAR.rpartition(":")[0] or "murima.invalid"
        sip = m.SipCredentials(
            user=endpoint,
            password=secret,
            uri=f"sip:{endpoint}@{host}",
            websocket=settings.SIP_WEBSOCKET,
            realm=REALM,
        )
        self.say("ack", m.ShiftStartedAck(code=asking.acknowledged(ack).code, sip=sip), identity)

    async def _finish(self, identity: str, data: m.WrapupFinish) -> None:
        wanted = self._ask_id(identity)
        try:
            async with asyncio.timeout(asking.ANSWER_SECONDS):
                sent = await finish_wrap_up(self.feed.tenant, self.visitor.user, data, wanted)
        except TimeoutError as error:
            said = "The database did not answer within two seconds. It may still act."
            raise NotDone("no_answer", said) from error
        except DatabaseError as error:
            raise NotDone("unavailable", "The database does not answer. Try again soon.") from error
        ack = await asking.await_answer(self.feed, sent)
        self.say("ack", asking.acknowledged(ack), identity)

    # --- tabs and sound --------------------------------------------------------------------------------

    async def _claim(self, identity: str, tab: str) -> None:
        self.tab = tab
        await self._to_others(groups.media_claimed(self.id, tab), needed=True)
        self.say("ack", m.Ack(code="ok"), identity)

    async def _to_others(self, event: dict[str, Any], *, needed: bool = False) -> None:
        try:
            await self.channel_layer.group_send(
                groups.member(self.visitor.tenant.id, self.visitor.user), event
            )
        except AWAY as error:
            if needed:
                raise NotDone("unavailable") from error

    async def tab_opened(self, event: dict[str, Any]) -> None:
        if self._open and event["socket"] != self.id and event["tab"] == self.tab:
            self.outbox.close(m.CLOSE_CODES["REPLACED"])

    async def media_claimed(self, event: dict[str, Any]) -> None:
        if self._open and event["socket"] != self.id and event["tab"] != self.tab:
            said = m.Notice(code="elsewhere", level="info", detail="Another tab has the sound now.")
            self.say("notice", said)


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""
