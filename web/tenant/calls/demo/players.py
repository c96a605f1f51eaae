"""Synthetic agents: they answer what no person takes, talk, and write it up.

Each has a real SIP phone. What it does next follows from the floor's own state, folded from the log like
everybody else's: off shift → start one; not ready, or set aside → ready; in wrap-up for a few seconds →
finish it through the same service as a person's click. So it recovers from whatever happened in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from typing import Any

from deployment.dev.sip.agent import Agent, Do
from telephony.contract import asks as a
from telephony.contract.facts import Intent
from telephony.contract.ids import AgentId, AskId, CallId, Endpoint
from telephony.contract.view import AgentView, Effective, View, apply
from web.shared.core import asks, log
from web.shared.tenants.context import tenant_db
from web.tenant.calls import services
from web.tenant.calls.demo.cast import Player, Stage

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 4.0
"""How long an ask may take to show in the log before it is sent anew."""
REGISTER_SECONDS = 60.0
ANSWER_SECONDS = 9.0
WRITE_SECONDS = (3.0, 9.0)
LEAVE_SECONDS = 8.0


class Players:
    """All synthetic agents of one organisation; `run` until cancelled, then they go off shift."""

    def __init__(self, stage: Stage, registrar: tuple[str, int], voice: bytes, chance: random.Random) -> None:
        self._stage, self._registrar, self._voice, self._chance = stage, registrar, voice, chance
        self._view = View(tenant=stage.tenant)
        self._asked: dict[str, float] = {}
        self._write_until: dict[str, float] = {}
        self._hurry = False

    async def run(self) -> None:
        async with contextlib.AsyncExitStack() as open_phones:
            phones = [await open_phones.enter_async_context(self._phone(one)) for one in self._stage.players]
            try:
                await self._play(phones)
            finally:
                await asyncio.shield(self._leave())

    def _phone(self, player: Player) -> Agent:
        return Agent(
            self._registrar,
            player.endpoint,
            player.secret,
            do=Do.ACCEPT,
            after_seconds=ANSWER_SECONDS,
            speech=self._voice,
        )

    async def _play(self, phones: list[Agent]) -> None:
        registered = time.monotonic()
        while True:
            await self._look()
            for player in self._stage.players:
                with contextlib.suppress(OSError, TimeoutError):
                    await self._next(player)
            for phone in phones:
                await _forget_the_past(phone)
            if time.monotonic() - registered > REGISTER_SECONDS:
                registered = time.monotonic()
                for phone in phones:
                    with contextlib.suppress(ConnectionError, TimeoutError):
                        await phone.register()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        """Bring the view up to the log's last entry."""
        tenant = self._stage.tenant
        if self._view.seq == 0:
            kept: View | None = await tenant_db(tenant, log.checkpoint, tenant)
            self._view = kept or self._view
        while entries := await tenant_db(tenant, log.read, tenant, after=self._view.seq):
            for entry in entries:
                apply(self._view, entry)

    async def _next(self, player: Player) -> None:
        agent = self._view.agents.get(AgentId(player.user))
        if agent is None:
            return  # the daemon has not adopted its roster row yet
        if agent.effective is Effective.OFFLINE:
            await self._ask(player, a.StartShift(agent=agent.agent, endpoint=Endpoint(player.endpoint)))
        elif agent.effective in (Effective.NOT_READY, Effective.NOT_RESPONDING):
            await self._ask(player, a.SetStatus(agent=agent.agent, intent=Intent.READY))
        elif agent.effective is Effective.WRAP_UP:
            await self._write_up(player, agent)

    async def _write_up(self, player: Player, agent: AgentView) -> None:
        wrap_up = agent.wrap_up
        if wrap_up is None:
            return
        until = self._write_until.setdefault(
            wrap_up.call, time.monotonic() + self._chance.uniform(*WRITE_SECONDS)
        )
        if (time.monotonic() < until and not self._hurry) or self._just_asked(player.user):
            return
        code = self._chance.choice(self._stage.dispositions)
        tenant, call = self._stage.tenant, CallId(wrap_up.call)
        await tenant_db(tenant, services.wrap_up_finish, call, player.user, code, "Written by the demo.")
        if len(self._write_until) > 100:
            self._write_until.clear()

    async def _ask(self, player: Player, body: Any) -> None:
        if not self._just_asked(f"{player.user} {type(body).__name__}"):
            await self._send(player, body)

    def _just_asked(self, what: str) -> bool:
        """True while an earlier ask of this kind may still be on its way; else it counts as sent now."""
        if time.monotonic() - self._asked.get(what, float("-inf")) < AGAIN_SECONDS:
            return True
        self._asked[what] = time.monotonic()
        return False

    async def _leave(self) -> None:
        """Take nothing more, write up what is left, go off shift; at most LEAVE_SECONDS for all of it."""
        with contextlib.suppress(Exception):  # nobody may be there to hear it
            async with asyncio.timeout(LEAVE_SECONDS):
                for player in self._stage.players:
                    await self._send(player, a.SetStatus(agent=AgentId(player.user), intent=Intent.NOT_READY))
                self._hurry = True
                for _ in range(int(LEAVE_SECONDS / LOOK_SECONDS)):
                    if not await self._somebody_works():
                        break
                    await asyncio.sleep(LOOK_SECONDS)
        for player in self._stage.players:
            with contextlib.suppress(Exception):
                await self._send(player, a.EndShift(agent=AgentId(player.user)))

    async def _somebody_works(self) -> bool:
        """Whether anybody is in a call or a wrap-up; wrap-ups are finished on the way."""
        await self._look()
        busy = False
        for player in self._stage.players:
            agent = self._view.agents.get(AgentId(player.user))
            if agent is not None and agent.effective is Effective.WRAP_UP:
                await self._write_up(player, agent)
            busy |= agent is not None and agent.effective in (Effective.WRAP_UP, Effective.ON_CALL)
        return busy

    async def _send(self, player: Player, body: Any) -> None:
        ask = AskId(str(uuid.uuid4()))
        await asks.send_async(self._stage.tenant, body, actor=player.user, ask_id=ask)


async def _forget_the_past(phone: Agent) -> None:
    """A phone remembers every call for tests to look at; a demo runs for hours."""
    for call in [call for call in phone.arrivals if call.over]:
        phone.arrivals.remove(call)
        await call.close()
