"""The load: callers outside and phones inside, in a process of their own. Signalling only, no sound.

A call is known on both sides by the caller's number, which is used once. Instants are this one process's
monotonic clock: when the caller's INVITE was handed to the kernel, when the agent's INVITE was read, when
the agent's BYE was handed to the kernel. Agents answer after a tenth of a second and hang up after a
random talk.

- `free`: calls come at a rate, somebody is always free. A sample is caller's INVITE → agent's INVITE.
- `silent`: the same, and callers send no sound. Asterisk's Answer() then waits half a second, and with it
  whoever answers before looking for an agent.
- `waiting`: callers are kept in line. A sample is an agent's BYE → the next INVITE at that agent.

In the other two callers send a few packets of silence after the answer, all that Answer() waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import resource
import socket
import struct
from typing import Any

from deployment.dev.sip.agent import Agent, IncomingCall
from deployment.dev.sip.caller import TRUNK_SOURCE, Caller, OutgoingCall
from deployment.dev.sip.media import Media
from deployment.dev.sip.message import token
from deployment.dev.sip.sound import FRAME, SILENCE
from tests.bench.child import Failed, serve

REGISTER_SECONDS = 120
ANSWER_SECONDS = 90.0
TALK_SECONDS = 20.0
PACKETS = 6
RING_SECONDS = 0.1
"""A desk that learns of an offer when it is over is told nothing of it, by design: let it ring a little."""


class Phone(Agent):
    """An agent's phone; `floor` hears what happens to it."""

    floor: Load
    freed_at: float | None = None

    async def _react(self, call: IncomingCall) -> None:
        floor, after = self.floor, self.freed_at
        self.freed_at = None
        floor.rang(call, after)
        call.ring()
        await asyncio.sleep(RING_SECONDS)
        await call.accept()
        await asyncio.sleep(floor.talk())
        if not call.over:
            self.freed_at = asyncio.get_running_loop().time()
        await call.hang_up()


class Load:
    """Answers `register`, `run` and `stop`."""

    def __init__(self) -> None:
        self._phones: list[Phone] = []
        self._keeper: asyncio.Task[None] | None = None
        self._trunk = ("", 0)
        self._chance = random.Random(0)
        self._quiet = _quiet_port()
        self._talk, self._packets = 0.0, PACKETS
        self._next_number = 0
        self._rings: dict[str, list[float]] = {}
        self._gaps: list[float] = []

    async def answer(self, ask: dict[str, Any]) -> dict[str, Any]:
        match ask["do"]:
            case "register":
                return await self._register(ask)
            case "run":
                return await self._run(ask)
        raise Failed("no such order")

    # --- phones -----------------------------------------------------------------------------------------

    async def _register(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Register {user: secret}; a phone that Asterisk does not know yet is tried again."""
        self._trunk = (ask["host"], ask["port"])
        self._chance = random.Random(ask["seed"])
        for user, secret in ask["phones"].items():
            phone = Phone(self._trunk, user, secret, sound=False)
            phone.floor = self
            await phone.line.open("127.0.0.1")
            self._phones.append(phone)
        async with asyncio.timeout(60):
            await asyncio.gather(*(self._until_registered(phone) for phone in self._phones))
        self._keeper = asyncio.create_task(self._keep_registered())
        return {"registered": len(self._phones)}

    async def _until_registered(self, phone: Phone) -> None:
        while True:
            try:
                return await phone.register()
            except (ConnectionError, TimeoutError):
                await asyncio.sleep(0.5)

    async def _keep_registered(self) -> None:
        while True:
            for phone in self._phones:
                await asyncio.sleep(REGISTER_SECONDS / len(self._phones))
                with contextlib.suppress(ConnectionError, TimeoutError):
                    await phone.register()

    def rang(self, call: IncomingCall, freed_at: float | None) -> None:
        self._rings.setdefault(call.shown_user, []).append(call.invited_at)
        if freed_at is not None:
            self._gaps.append(call.invited_at - freed_at)

    def talk(self) -> float:
        return self._talk * self._chance.uniform(0.5, 1.5)

    # --- a run ------------------------------------------------------------------------------------------

    async def _run(self, ask: dict[str, Any]) -> dict[str, Any]:
        """{in_line, number, calls, rate, talk, waiting, silent} → samples in ms, counts, own CPU."""
        self._talk, self._rings, self._gaps = ask["talk"], {}, []
        self._packets = 0 if ask["silent"] else PACKETS
        for phone in self._phones:
            phone.freed_at = None
        gc.collect()
        gc.disable()
        loop, used = asyncio.get_running_loop(), _cpu()
        begun = loop.time()
        async with Caller(self._trunk) as outside:
            try:
                tasks = await (self._in_line if ask["in_line"] else self._at_rate)(outside, ask)
                ended = await asyncio.gather(*tasks)
            finally:
                gc.enable()
            seconds = loop.time() - begun
        used = _cpu() - used
        await self._forget()
        good = [call for call in ended if call is not None]
        return {
            "samples": self._samples(good, in_line=ask["in_line"]),
            "placed": len(ended),
            "served": sum(len(self._rings.get(caller, [])) >= 1 for caller, _ in good),
            "rings": sum(map(len, self._rings.values())),
            "seconds": seconds,
            "cpu": used,
        }

    def _samples(self, calls: list[tuple[str, float]], *, in_line: bool) -> list[float]:
        rung = [self._rings[caller][0] - at for caller, at in calls if caller in self._rings]
        return [1000 * delay for delay in (self._gaps if in_line else rung)]

    async def _at_rate(
        self, outside: Caller, ask: dict[str, Any]
    ) -> list[asyncio.Task[tuple[str, float] | None]]:
        """Calls at even intervals, each shifted by up to half of one."""
        loop, tasks = asyncio.get_running_loop(), []
        begun, pause = loop.time(), 1 / ask["rate"]
        for n in range(ask["calls"]):
            due = begun + pause * (n + self._chance.uniform(0, 1))
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.append(loop.create_task(self._call(outside, ask["number"])))
        return tasks

    async def _in_line(
        self, outside: Caller, ask: dict[str, Any]
    ) -> list[asyncio.Task[tuple[str, float] | None]]:
        """`waiting` callers first; whenever one is served, the next dials."""
        loop, tasks = asyncio.get_running_loop(), []
        room = asyncio.Semaphore(ask["waiting"])

        async def one() -> tuple[str, float] | None:
            try:
                return await self._call(outside, ask["number"])
            finally:
                room.release()

        for n in range(ask["calls"]):
            await room.acquire()
            if n < ask["waiting"]:
                await asyncio.sleep(0.01)
            tasks.append(loop.create_task(one()))
        return tasks

    async def _call(self, outside: Caller, number: str) -> tuple[str, float] | None:
        """(caller, when the INVITE left) of a call that went from dialling to its end, None of one that
        did not."""
        self._next_number += 1
        caller = f"+2547{self._next_number:08d}"
        call = OutgoingCall(outside.line, token(), Hush(self._quiet, self._packets))
        await call.place(self._trunk, number, caller, "", ())
        try:
            await call.answered(ANSWER_SECONDS)
            await call.ended(ANSWER_SECONDS + TALK_SECONDS)
        except (TimeoutError, ConnectionError):
            await call.cancel()
            await call.hang_up()
            return None
        return caller, call.invited_at

    async def _forget(self) -> None:
        """Let go of the calls' memory."""
        await asyncio.sleep(0.5)
        for phone in self._phones:
            for call in phone.arrivals:
                await call.close()
            phone.arrivals.clear()
            while not phone._rings.empty():
                phone._rings.get_nowait()
        gc.collect()


class Hush(Media):
    """A caller's sound: a few packets of silence to where the answer says, from a port that all callers
    share and nobody reads."""

    def __init__(self, port: socket.socket, packets: int) -> None:
        super().__init__(None)
        self._port, self._packets = port, packets

    async def open(self, address: str) -> int:
        self._task = asyncio.create_task(self._send())
        return int(self._port.getsockname()[1])

    async def _send(self) -> None:
        while self.target is None:  # noqa: ASYNC110 - the kit says it by assigning
            await asyncio.sleep(0.005)
        for n in range(self._packets):
            header = struct.pack("!BBHII", 0x80, 0, n, n * FRAME, 1)
            with contextlib.suppress(BlockingIOError):
                self._port.sendto(header + SILENCE[:FRAME], self.target)
            await asyncio.sleep(0.02)


def _quiet_port() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((TRUNK_SOURCE, 0))
    return made


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    asyncio.run(serve(Load().answer))
