"""Pictures of every screen, for people who change them: wide and narrow, light and dark.

    python -m deployment.tools.screenshots [--run .murima/run.json] [--to .murima/screenshots]

Signs the demo's second agent in, goes on shift and takes a real call on the way. Without `--run` it starts a
stack of its own and throws it away afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployment.dev.sip.caller import Caller
from deployment.dev.stack import Stack
from tests.system.kit import desk as desks
from tests.system.kit.desk import Desk

SIZES = ((1280, 720), (360, 740))
SCHEMES = ("light", "dark")
KNOWN = "+254712550101"


class Camera:
    """Takes the same screen at every size and scheme; files are numbered in the order of the shift."""

    def __init__(self, place: Path) -> None:
        self.place, self.taken = place, 0

    async def take(self, page: Any, name: str, *, tall: bool = False) -> None:
        """`tall` shows the whole page and not only what fits."""
        self.taken += 1
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                file = self.place / f"{self.taken:02d}-{name}-{width}-{scheme}.png"
                await page.screenshot(path=str(file), full_page=tall)
        await page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})


async def shoot(run: dict[str, Any], place: Path) -> int:
    """All of them; how many screens."""
    camera, tenant = Camera(place), run["tenants"][0]
    async with desks.browser(500.0) as chromium:
        await _signed_out(camera, chromium, tenant["url"])
        desk = await Desk.open(chromium, tenant, 1)
        await camera.take(desk.page, "gate")
        await desk.go_on_shift()
        await camera.take(desk.page, "ready")
        await _call(camera, desk, run, tenant)
        await _pages(camera, desk)
        await desk.page.goto(tenant["url"])
        await desk.state("ready")
        await desk.press("status")
        await desk.press("end-shift")
        await desk.state("offline")
    return camera.taken


async def _signed_out(camera: Camera, chromium: Any, url: str) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(url)
    await page.wait_for_selector("#email")
    await camera.take(page, "sign-in")
    await page.fill("#email", "nobody@example.org")
    await page.fill("#password", "not the password")
    await page.press("#password", "Enter")
    await page.wait_for_selector("[role=alert]")
    await camera.take(page, "sign-in-refused")
    await context.close()


async def _call(camera: Camera, desk: Desk, run: dict[str, Any], tenant: dict[str, Any]) -> None:
    page = desk.page
    host, _, port = run["sip"]["trunk"].rpartition(":")
    async with Caller((host, int(port)), run["sip"]["trunk_source"]) as outside:
        call = await outside.dial(tenant["numbers"][0]["number"], caller=KNOWN)
        await desk.rings()
        await desk.shows_caller("Amina Hassan")
        await camera.take(page, "ring")
        await desk.accept()
        await desk.phase("talking")
        await page.fill("[data-test=note]", "Asks where to sleep tonight; safe for now.")
        await page.wait_for_selector("[data-test=draft-status][data-draft=saved]")
        await camera.take(page, "talking")
        await desk.press("keypad")
        await camera.take(page, "keypad")
        await desk.press("keypad")
        await desk.press("hold")
        await desk.phase("held")
        await camera.take(page, "held")
        await call.hang_up()
        await desk.wraps_up()
        await camera.take(page, "wrap-up", tall=True)
        await page.focus("[data-test=disposition-search]")
        await page.keyboard.press("1")
        await desk.press("finish")
        await desk.state("ready")


async def _pages(camera: Camera, desk: Desk) -> None:
    page = desk.page
    await desk.press("status")
    await page.wait_for_selector("[data-test=end-shift]")
    await camera.take(page, "status-menu")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await page.wait_for_selector("[role=dialog]")
    await camera.take(page, "keys")
    await page.keyboard.press("Escape")
    await page.goto(desk.url + "/calls")
    await page.wait_for_selector("[data-test=call-list] a")
    await camera.take(page, "calls")
    await page.click("[data-test=call-list] a >> nth=0")
    await page.wait_for_url("**/calls/*")
    await page.wait_for_load_state("networkidle")
    await camera.take(page, "call", tall=True)
    await page.goto(desk.url + "/contacts")
    await page.wait_for_load_state("networkidle")
    await camera.take(page, "contacts")
    await page.goto(desk.url + "/contacts/new")
    await page.wait_for_selector("[data-test=contact-form]")
    await camera.take(page, "contact-new", tall=True)


@contextlib.contextmanager
def _stack() -> Iterator[dict[str, Any]]:
    home = Path(tempfile.mkdtemp(prefix="murima-screenshots-"))
    home.chmod(0o755)
    stack = Stack(home)
    try:
        stack.start()
        yield stack.run()
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)


def main() -> int:
    """Exit code 0 when every screen was taken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, help="run.json of a running stack; without it one is started")
    parser.add_argument("--to", type=Path, default=Path(".murima/screenshots"))
    chosen = parser.parse_args()
    chosen.to.mkdir(parents=True, exist_ok=True)
    for old in chosen.to.glob("*.png"):
        old.unlink()
    if chosen.run is not None:
        taken = asyncio.run(shoot(json.loads(chosen.run.read_text()), chosen.to))
    else:
        with _stack() as run:
            taken = asyncio.run(shoot(run, chosen.to))
    sys.stdout.write(f"{taken} screens in {chosen.to}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
