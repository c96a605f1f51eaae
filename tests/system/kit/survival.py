"""What the tests of survival share: a stack with a capture in it, and agents with SIP phones and desks.

Retry of the dialplan is shortened, so that callers reach the fallback within seconds. Both demo tenants have
one agent with a SIP phone; a `Seat` puts that agent on shift.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deployment.dev.sounds import ANNOUNCEMENT_HZ, MUSIC_HZ
from deployment.dev.stack import Stack
from tests.stack_plugin import temporary_home
from tests.system.kit.capture import Capture
from tests.system.kit.desk_socket import Refused, Socket
from tests.system.kit.oracle import Oracle
from tests.system.kit.sip import Agent, Caller, Do, IncomingCall, OutgoingCall

RETRY_SECONDS = 14
AGENT_HZ = {"amani": 800.0, "umoja": 1300.0}
CALLER_HZ = {"amani": 1000.0, "umoja": 1900.0}
OTHER_HZ = 1600.0
TONES = (*MUSIC_HZ, *ANNOUNCEMENT_HZ, *AGENT_HZ.values(), *CALLER_HZ.values(), OTHER_HZ)
DISPOSITION = {"amani": "COUNSELLED", "umoja": "ANSWERED"}
_NUMBERS = itertools.count(254_733_000_000)


class Field:
    """A running Murima that may be beaten."""

    def __init__(self, stack: Stack, capture: Capture) -> None:
        self.stack, self.capture = stack, capture
        self.oracle = Oracle(stack)
        self.keeper = stack.keeper
        self.run = stack.run()
        self.tenants = {one["slug"]: one for one in self.run["tenants"]}
        self._log_begins = 0

    @property
    def place(self) -> tuple[str, int]:
        """Where SIP goes, from phones and from the trunk."""
        return "127.0.0.1", self.stack.ports["sip"]

    def id(self, slug: str) -> str:
        return str(self.tenants[slug]["id"])

    def number(self, slug: str) -> str:
        return str(self.tenants[slug]["numbers"][0]["number"])

    async def dial(self, outside: Caller, slug: str, frequency: float | None = None) -> OutgoingCall:
        """Somebody new calls a tenant's first number."""
        caller = f"+{next(_NUMBERS)}"
        return await outside.dial(self.number(slug), caller=caller, frequency=frequency or CALLER_HZ[slug])

    def readiness(self) -> dict[str, Any]:
        """What the daemon says of itself; {} while it does not answer."""
        address = f"http://127.0.0.1:{self.stack.ports['metrics_daemon']}/readyz"
        try:
            with urllib.request.urlopen(address, timeout=1) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            return dict(json.loads(error.read() or b"{}"))
        except (OSError, ValueError):
            return {}

    def ready(self) -> bool:
        return self.readiness().get("ready") is True

    def kill(self, name: str = "daemon", number: signal.Signals = signal.SIGKILL) -> float:
        """Send a signal at once (not through the keeper's queue); the moment."""
        pid = self.keeper.status()[name]["pid"]
        if pid is None:
            raise ProcessLookupError(name)
        os.kill(int(str(pid)), number)
        return time.monotonic()

    def leased(self) -> bool:
        """Whether the daemon's lease in Asterisk holds for another second at least."""
        values = [self.oracle.ari(f"asterisk/variable?variable={name}")["value"]
                  for name in ("MURIMA_LEASE", "EPOCH")]  # fmt: skip
        return bool(values[0]) and int(values[0]) > int(values[1])

    async def recovered(self, before: int, seconds: float = 15.0) -> float:
        """Wait until a daemon started after `before` starts is ready; the moment."""
        await soon(lambda: self.starts() > before and self.ready(), seconds, "a daemon that is ready")
        return time.monotonic()

    def starts(self, name: str = "daemon") -> int:
        return int(str(self.keeper.status()[name]["starts"]))

    def log_size(self) -> int:
        """How much the daemon has logged, to be given to `logged`."""
        return self.keeper.log("daemon").stat().st_size

    def begin(self) -> None:
        """A test begins: `said` tells from here."""
        self._log_begins = self.log_size()

    def said(self, most: int = 200) -> str:
        """The last lines that the daemon logged in this test, and how ready it is."""
        with self.keeper.log("daemon").open("rb") as source:
            source.seek(self._log_begins)
            lines = source.read().decode(errors="replace").splitlines()
        return "\n".join([*lines[-most:], json.dumps(self.readiness())])

    def logged(self, event: str, after: int) -> bool:
        """Whether the daemon has logged an event after that much."""
        with self.keeper.log("daemon").open("rb") as source:
            source.seek(after)
            return f'"event": "{event}"'.encode() in source.read()

    def heal(self) -> None:
        """After a test, however it ended: every process runs, nothing is frozen, no channel is left."""
        for one in self.oracle.ari("channels") if self.keeper.ready("asterisk") else []:
            self.oracle.hang_up(one["id"])
        self.capture.thaw()
        with contextlib.suppress(ProcessLookupError):
            self.kill("daemon", signal.SIGCONT)
        for name, state in self.keeper.status().items():
            if not state["wanted"]:
                self.keeper.release(name)
        until = time.monotonic() + 30
        while not self.ready():
            assert time.monotonic() < until, "the daemon does not get ready again"
            time.sleep(0.1)

    def note(self, **figures: object) -> None:
        """One line of figures, for whoever asked for them."""
        if path := os.environ.get("MURIMA_FIGURES"):
            with Path(path).open("a") as target:
                target.write(json.dumps(figures) + "\n")


@contextlib.contextmanager
def field(**settings: str) -> Iterator[Field]:
    """A stack of its own, with a capture between daemon and Asterisk; `settings` are MURIMA_* variables."""
    capture = Capture()
    parts = {"postgres", "redis", "asterisk", "murima"}
    extra = {"MURIMA_ARI_URL": capture.url, **settings}
    stack = Stack(temporary_home(), parts, retry_seconds=RETRY_SECONDS, extra=extra)
    capture.target = ("127.0.0.1", stack.ports["ari"])
    try:
        stack.start()
        yield Field(stack, capture)
    finally:
        stack.stop()
        capture.close()
        if os.environ.get("MURIMA_TEST_KEEP") != "1":
            shutil.rmtree(stack.home, ignore_errors=True)


class Seat:
    """A tenant's agent with a SIP phone: on shift and ready, seen through a desk socket."""

    def __init__(self, field: Field, slug: str, do: Do = Do.RING) -> None:
        self._field, self.slug = field, slug
        self.tenant = field.tenants[slug]
        self.user = next(user for user in self.tenant["users"] if "sip" in user)
        sip = self.user["sip"]
        self.phone = Agent(field.place, sip["user"], sip["password"], do=do, frequency=AGENT_HZ[slug])
        self.desk: Socket

    async def __aenter__(self) -> Seat:
        await self._plug_in()
        self.desk = await Socket.open(self.tenant, self.user)
        if self.desk.state["agent"]["shift"] is None:
            await self.desk.ask("shift.start", endpoint=self.phone.user)
        await self.be_ready()
        return self

    async def _plug_in(self) -> None:
        """Register; a stack that has just started, or Asterisk, may not know the phone yet."""
        async with asyncio.timeout(15):
            while True:
                try:
                    await self.phone.__aenter__()
                    return
                except ConnectionError:
                    await self.phone.line.close()
                    await asyncio.sleep(0.25)

    async def be_ready(self) -> None:
        """Wait until nothing is missing, and say so."""
        await self.desk.until(lambda told: not told["agent"]["missing"])
        await self.desk.ask("status.set", intent="ready", reason="")
        await self.desk.effective("ready")

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(Refused, TimeoutError):
            await self.desk.ask("shift.end")
        await self.desk.__aexit__()
        await self.phone.__aexit__()

    @property
    def call(self) -> dict[str, Any]:
        """The desk's call as it is told now."""
        found: dict[str, Any] | None = self.desk.state.get("call")
        assert found is not None, self.desk.state
        return found

    async def rings(self, seconds: float = 15.0) -> IncomingCall:
        return await self.phone.invited(seconds)

    async def takes(self, seconds: float = 15.0) -> IncomingCall:
        """Answer the next call; returns when the desk says that they talk."""
        ring = await self.rings(seconds)
        await ring.accept()
        await self.desk.phase("talking")
        return ring

    async def writes_up(self, call: str) -> None:
        """Finish the wrap-up; returns when it is over."""
        await self.desk.effective("wrap_up")
        await self.desk.ask("wrapup.finish", call=call, disposition=DISPOSITION[self.slug], note="")
        await self.desk.until(lambda told: told["agent"]["wrap_up"] is None)


async def soon(look: Callable[[], Any], seconds: float, what: str) -> Any:
    """Look (in a thread) until there is something true; AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        found = await asyncio.to_thread(look)
        if found:
            return found
        assert time.monotonic() < until, f"{what} did not come within {seconds:g} s: {found!r}"
        await asyncio.sleep(0.05)


async def heard(call: Any, tones: tuple[float, ...], seconds: float = 20.0) -> float:
    """Wait until the last half second of a call held one of `tones` above all others; the moment."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        while True:
            now: float = loop.time()
            if call.media.ear.strongest(TONES, now - 0.5, now) in tones:
                return now
            await asyncio.sleep(0.1)


async def talk(slug: str, call: OutgoingCall, ring: IncomingCall, seconds: float = 10.0) -> None:
    """Wait until each side hears the other."""
    await heard(call, (AGENT_HZ[slug],), seconds)
    await heard(ring, (CALLER_HZ[slug],), seconds)


def unbroken(call: Any, tone: float, start: float, end: float, slack: float = 0.35) -> float:
    """The longest silence of a leg between two moments; every whole second of it must hold the tone."""
    times = [start, *(at for at, _ in call.media.ear.packets if start <= at < end), end]
    longest: float = max(b - a for a, b in itertools.pairwise(times))
    at = start
    while at + 1 <= end:
        assert call.media.ear.strongest(TONES, at, at + 1) == tone, f"{at - start:.1f} s after the start"
        at += 1
    assert call.media.ear.count(start, end) >= 45 * (end - start - slack), "packets are missing"
    return longest
