"""An agent's browser: the real application in the real Chromium, with a tone for a microphone.

One `Browser` is one Chromium process, because its microphone is a file given at start; a `Desk` is one page
of it, signed in as one agent. Everything awaits what the page shows, never a length of time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import struct
import tempfile
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright, expect

from deployment.dev import tools

_WAIT_MS = 15_000


def microphone(frequency: float) -> Path:
    """A second of a sine at 48 kHz, which Chromium repeats for ever."""
    path = Path(tempfile.gettempdir()) / f"murima-microphone-{os.getuid()}-{int(frequency)}.wav"
    if not path.exists():
        rate = 48_000
        frames = b"".join(
            struct.pack("<h", int(12_000 * math.sin(2 * math.pi * frequency * n / rate))) for n in range(rate)
        )
        part = path.with_suffix(f".{os.getpid()}")
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(frames)
        part.rename(path)
    return path


@contextlib.asynccontextmanager
async def browser(frequency: float) -> AsyncIterator[Any]:
    """A Chromium whose microphone hears `frequency`."""
    arguments = [
        "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone(frequency)}",
        "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage",
    ]  # fmt: skip
    if os.getuid() == 0 or not _sandboxed():
        arguments.append("--no-sandbox")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=str(tools.chromium()), headless=True, args=arguments
        )
        try:
            yield chromium
        finally:
            await chromium.close()


def _sandboxed() -> bool:
    """Whether this kernel lets ordinary users make the namespaces that Chromium's sandbox is made of."""
    try:
        return Path("/proc/sys/user/max_user_namespaces").read_text().strip() != "0"
    except OSError:
        return False


async def kill(chromium: Any) -> None:
    """End a Chromium as a crash does: no page hears of it, nothing is said to anybody."""
    session = await chromium.new_browser_cdp_session()
    found = await session.send("SystemInfo.getProcessInfo")
    gone = asyncio.Event()
    chromium.on("disconnected", lambda _: gone.set())
    for one in found["processInfo"]:
        if one["type"] == "browser":
            os.kill(one["id"], signal.SIGKILL)
    async with asyncio.timeout(15):
        await gone.wait()


class Desk:
    """One agent's page."""

    def __init__(self, page: Page, url: str, email: str, password: str) -> None:
        self.page, self.url, self.email, self.password = page, url, email, password
        self.console: list[str] = []
        page.on("console", lambda line: self.console.append(line.text))
        page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))

    @classmethod
    async def open(cls, chromium: Any, tenant: dict[str, Any], agent: int = 0) -> Desk:
        """Sign the n-th agent of a tenant (from run.json) in, in a browser context of their own."""
        users = [user for user in tenant["users"] if user["role"] == "agent"]
        context = await chromium.new_context(
            viewport={"width": 1280, "height": 720}, permissions=["microphone", "notifications"]
        )
        context.set_default_timeout(_WAIT_MS)
        await context.add_init_script("localStorage.setItem('murima.test', '{\"rawAudio\": true}')")
        desk = cls(await context.new_page(), tenant["url"], users[agent]["email"], users[agent]["password"])
        await desk.sign_in()
        return desk

    async def sign_in(self) -> None:
        """Type e-mail and password; returns when the desk is there."""
        await self.page.goto(self.url)
        await self.page.fill("#email", self.email)
        await self.page.fill("#password", self.password)
        await self.page.press("#password", "Enter")
        await self.page.wait_for_selector("[data-test=go-on-shift], [data-test=status]")

    async def go_on_shift(self) -> None:
        """Through the gate (microphone, sounds, registration) to Ready; a shift that runs needs no click."""
        found = await self.page.wait_for_selector(
            "[data-test=go-on-shift]:not([disabled]), [data-test=status]:not([disabled])"
        )
        assert found is not None
        if await found.get_attribute("data-test") == "go-on-shift":
            await self.press("go-on-shift")
        found = await self.page.wait_for_selector(
            "[data-test=go-ready], [data-test=status][data-state-now=ready]"
        )
        assert found is not None
        if await found.get_attribute("data-test") == "go-ready":
            await self.press("go-ready")
        await self.state("ready")

    async def again(self) -> None:
        """Another tab of the same browser, once the first one is gone."""
        page = await self.page.context.new_page()
        self.page = page
        await page.goto(self.url)
        await page.wait_for_selector("[data-test=pill][data-pill=live]")

    async def crash(self) -> None:
        """Let the tab's process die; the browser lives."""
        session = await self.page.context.new_cdp_session(self.page)
        async with self.page.expect_event("crash"):
            crashing = asyncio.create_task(_forgiven(session.send("Page.crash")))
        crashing.cancel()
        await self.page.close()

    async def talks(self, frequency: float) -> None:
        """Wait until the call is here with its sound, and this tone is what is heard of it."""
        await self.page.wait_for_selector(
            "[data-test=call-bar][data-phase=talking][data-sound=true]", timeout=45_000
        )
        await self.page.wait_for_function(
            "f => Math.abs((window.murimaPhoneHears?.([f])?.peak ?? 0) - f) < 15", arg=frequency
        )

    async def state(self, effective: str, seconds: float = 15) -> None:
        """Wait until the status picker shows this effective state."""
        await self.page.wait_for_selector(
            f"[data-test=status][data-state-now={effective}]", timeout=seconds * 1000
        )

    async def rings(self, seconds: float = 15) -> str:
        """Wait for a ring card; its offer's id."""
        card = await self.page.wait_for_selector("[data-test=ring-card]", timeout=seconds * 1000)
        assert card is not None
        return await card.get_attribute("data-offer") or ""

    async def shows_caller(self, name: str, seconds: float = 15) -> None:
        """Wait until the ring card names the caller so."""
        await expect(self.page.locator("[data-test=ring-name]")).to_have_text(name, timeout=seconds * 1000)

    async def no_ring(self, seconds: float = 15) -> None:
        """Wait until no ring card is shown."""
        await self.page.wait_for_selector("[data-test=ring-card]", state="detached", timeout=seconds * 1000)

    async def accept(self) -> None:
        await self.page.click("[data-test=accept]")

    async def decline(self) -> None:
        await self.page.click("[data-test=decline]")

    async def phase(self, phase: str, seconds: float = 15) -> None:
        """Wait until the call bar shows this state of the call."""
        await self.page.wait_for_selector(f"[data-test=call-bar][data-phase={phase}]", timeout=seconds * 1000)

    async def press(self, what: str) -> None:
        """Press a control by its test name (hold, mute, hangup …)."""
        await self.page.click(f"[data-test={what}]")

    async def wraps_up(self, seconds: float = 15) -> None:
        """Wait for the wrap-up."""
        await self.page.wait_for_selector("[data-test=wrapup]", timeout=seconds * 1000)

    async def stats(self) -> dict[str, Any]:
        """Packets of the phone's connection so far."""
        found: dict[str, Any] | None = await self.page.evaluate("window.murimaPhoneStats()")
        assert found is not None, "the phone has no connection"
        return found

    async def hears(self, frequencies: list[float]) -> float:
        """The loudest frequency that the agent hears now, in Hz (0 while nothing is heard)."""
        found = await self.page.evaluate("f => window.murimaPhoneHears(f)", frequencies)
        return float(found["peak"]) if found else 0.0


async def _forgiven(work: Any) -> None:
    with contextlib.suppress(Exception):
        await work
