"""What a story is told with: phones by name, callers, asks, and waiting for facts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

from deployment.dev.stack import Stack
from telephony.contract import asks
from telephony.contract.frames import Ack
from telephony.contract.ids import AgentId, LegId
from telephony.contract.view import CallState, CallView, Effective
from tests.fakes.ari_rig import Rig
from tests.replay.cast import NUMBERS, PEOPLE, TENANT
from tests.system.kit.sip import Agent, Caller, Do, OutgoingCall

TALK_SECONDS = 0.3


class Stage:
    def __init__(self, stack: Stack, rig: Rig, outside: Caller, stack_of: contextlib.AsyncExitStack) -> None:
        self.stack, self.rig, self.outside, self._open = stack, rig, outside, stack_of

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, stack: Stack, rig: Rig) -> AsyncIterator[Stage]:
        async with contextlib.AsyncExitStack() as opened:
            outside = await opened.enter_async_context(Caller(("127.0.0.1", stack.ports["sip"])))
            yield cls(stack, rig, outside, opened)

    # --- who plays ---

    async def phone(self, name: str, do: Do = Do.ACCEPT, **options: Any) -> Agent:
        """A registered phone of one of the cast."""
        made = Agent(("127.0.0.1", self.stack.ports["sip"]), PEOPLE[name].phone, "pw", do=do, **options)
        return await self._open.enter_async_context(made)

    async def ready(self, name: str, do: Do = Do.ACCEPT, **options: Any) -> Agent:
        """As `phone`, on shift and ready."""
        made = await self.phone(name, do, **options)
        await self.rig.make_ready(PEOPLE[name].agent, PEOPLE[name].phone)
        return made

    async def dial(self, tenant: str = TENANT, **options: Any) -> OutgoingCall:
        return await self.outside.dial(NUMBERS[tenant], **options)

    async def arrive(self, **options: Any) -> OutgoingCall:
        """As `dial`; returns when the floor knows the caller and the caller was answered."""
        before = len(self.rig.facts("CallArrived"))
        call = await self.dial(**options)
        await self.facts("CallArrived", before + 1)
        await call.answered()
        return call

    # --- what is ---

    @property
    def live(self) -> list[CallView]:
        return [call for call in self.rig.calls if call.state is not CallState.ENDED]

    def agent(self, name: str) -> Any:
        return self.rig.agent(PEOPLE[name].agent)

    async def facts(self, kind: str, count: int = 1, seconds: float = 15.0) -> Any:
        """Wait for so many facts of a kind; the last of them."""
        await self.rig.until(lambda: len(self.rig.facts(kind)) >= count, seconds)
        return self.rig.facts(kind)[count - 1]

    async def connected(self, count: int = 1, seconds: float = 15.0) -> None:
        """Wait for so many connections, then let the two talk for a moment."""
        await self.facts("CallConnected", count, seconds)
        await self.rig.daemon._executor.drained()
        await asyncio.sleep(TALK_SECONDS)

    async def effective(self, name: str, wanted: Effective, seconds: float = 15.0) -> None:
        await self.rig.until(lambda: self.agent(name).effective is wanted, seconds)

    # --- what is asked ---

    async def ask(self, name: str, kind: type, **given: Any) -> Ack:
        """Ask as this agent; about the present or the last call if the ask names one and none is given."""
        if "call" in kind.__annotations__ and "call" not in given:
            given["call"] = self.agent(name).call or self.rig.facts("CallArrived")[-1].call
        return await self.rig.ask(kind(agent=AgentId(PEOPLE[name].agent), **given))

    async def write_up(self, name: str, disposition: str = "SOLD") -> None:
        await self.effective(name, Effective.WRAP_UP)
        wrapping = self.agent(name).wrap_up
        assert wrapping is not None
        await self.ask(name, asks.FinishWrapUp, call=wrapping.call, disposition=disposition)

    async def decline(self, name: str) -> None:
        offer = self.agent(name).offer
        assert offer is not None
        await self.ask(name, asks.DeclineOffer, offer=LegId(offer))

    # --- what breaks ---

    async def deafen_daemon(self) -> None:
        """What it hears from now on it does not decide any more: as if it died with the frame in its hand."""
        for watch in self.rig.daemon.watches:
            watch.take = lambda note: None  # type: ignore[method-assign]

    async def in_application(self, count: int) -> None:
        """Wait until so many channels are in Stasis."""

        async def inside() -> int:
            channels = await self.rig.rest("GET", "channels")
            return sum(channel["dialplan"]["app_name"] == "Stasis" for channel in channels)

        async with asyncio.timeout(10):
            while await inside() < count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def restart_daemon(self) -> None:
        await self.rig.crash()
        await self.rig.start()

    def kill_asterisk(self) -> None:
        self.stack.keeper.kill("asterisk", signal.SIGKILL)
