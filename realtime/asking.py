"""What a desk asks of the daemon, and how the answer comes back.

Each message becomes one ask of the contract. Its id is made from the person and the id the client chose, so
that the same message sent twice acts once and nobody can take another's id. The answer comes up the tenant's
stream; when none came within ANSWER_SECONDS but the replica has folded a fact of this ask, it did happen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

from realtime import messages as m
from realtime import meters
from realtime.feed import Feed
from realtime.sources import send_ask
from realtime.stream import AWAY
from telephony.contract import asks
from telephony.contract.frames import Ack
from telephony.contract.ids import AgentId, AskId, CallId, LegId, TenantId

ANSWER_SECONDS = 2.0
SETTLE_SECONDS = 0.25


class NotDone(Exception):
    """The ask was refused or not answered; `code` is a stable code, `detail` a sentence of ours."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail or _WORDS.get(code, "The ask was refused.")


BUILD: dict[str, Callable[[AgentId, Any], Any]] = {
    "shift.end": lambda who, data: asks.EndShift(agent=who),
    "status.set": lambda who, data: asks.SetStatus(agent=who, intent=data.intent, reason=data.reason),
    "offer.decline": lambda who, data: asks.DeclineOffer(
        agent=who, offer=LegId(data.offer), reason=data.reason
    ),
    "call.hold": lambda who, data: asks.HoldCall(agent=who, call=CallId(data.call)),
    "call.unhold": lambda who, data: asks.ResumeCall(agent=who, call=CallId(data.call)),
    "call.hangup": lambda who, data: asks.HangUpCall(agent=who, call=CallId(data.call)),
    "call.mute": lambda who, data: asks.MuteCall(agent=who, call=CallId(data.call), muted=data.muted),
    "call.dtmf": lambda who, data: asks.SendDigits(agent=who, call=CallId(data.call), digits=data.digits),
    "wrapup.extend": lambda who, data: asks.ExtendWrapUp(agent=who, call=CallId(data.call)),
}


def ask_id(user: UUID, client: UUID) -> AskId:
    return AskId(str(uuid5(user, str(client))))


async def ask(feed: Feed, user: UUID, identity: AskId, body: Any, within: float = ANSWER_SECONDS) -> Ack:
    """Send an ask and wait for its answer; raises NotDone."""
    with feed.expect(identity) as answer:
        try:
            async with asyncio.timeout(within):
                await send_ask(feed.tenant, f"user:{user}", identity, body)
                ack = await answer
        except TimeoutError:
            return _late(feed, identity)
        except AWAY as error:
            meters.ASKS.labels("unavailable").inc()
            raise NotDone("unavailable") from error
    return await _settle(feed, ack)


async def await_answer(feed: Feed, identity: AskId) -> Ack:
    """Wait for the answer to an ask that somebody else sent on its way; raises NotDone."""
    with feed.expect(identity) as answer:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                ack = await answer
        except TimeoutError:
            return _late(feed, identity)
    return await _settle(feed, ack)


async def _settle(feed: Feed, ack: Ack) -> Ack:
    """Hand on an answer once the replica shows what it did, so that a client hears of the effect first."""
    meters.ASKS.labels("ok" if ack.ok else "refused").inc()
    if not ack.ok:
        raise NotDone(ack.code, _words(ack))
    await feed.until(lambda view: view.seq >= ack.seq, SETTLE_SECONDS)
    return ack


def _late(feed: Feed, identity: AskId) -> Ack:
    seq = feed.replica.view.asks.get(identity)
    if seq is None:
        meters.ASKS.labels("no_answer").inc()
        raise NotDone("no_answer")
    meters.ASKS.labels("ok").inc()
    return Ack(tenant=TenantId(feed.tenant), ask=identity, ok=True, seq=seq)


def _words(ack: Ack) -> str:
    return f"Missing: {ack.detail}." if ack.code == "not_ready" and ack.detail else ""


def acknowledged(ack: Ack) -> m.Ack:
    return m.Ack(code="pending" if ack.code == "pending" else "ok")


_WORDS = {
    "no_answer": "The telephone side did not answer within two seconds. It may still act.",
    "unavailable": "The way to the telephone side is closed. The phone itself goes on working.",
    "expired": "The telephone side got it too late and did nothing.",
    "unknown_agent": "The telephone side does not know this agent yet.",
    "unknown_call": "That call is over.",
    "not_yours": "That call or offer belongs to somebody else.",
    "wrong_state": "That is not possible in the present state.",
    "not_ready": "Something is missing to be ready.",
    "fenced": "The telephone side is changing hands. Try again in a moment.",
    "invalid": "The telephone side did not accept it.",
}
