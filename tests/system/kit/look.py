"""Looking at a page as its readers do: by axe, in light and dark, on two screens, and by keyboard alone."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page

UI = Path(__file__).parents[3] / "web/ui"
AXE = UI / "node_modules/axe-core/axe.min.js"
WIDE, NARROW = {"width": 1280, "height": 720}, {"width": 360, "height": 740}
TELEPHONE = {"width": 390, "height": 844}
LOCALES = {"en": "en-GB", "sw": "sw-KE"}
# A directory for a picture of everything that is looked at, for people.
PICTURES = os.environ.get("MURIMA_TEST_PICTURES", "")


async def faults(page: Page) -> list[str]:
    """What axe has to say about the page as it stands."""
    if not await page.evaluate("typeof axe !== 'undefined'"):
        await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} at {node['target']}: {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


async def sound(page: Page, where: str, narrow: dict[str, int] = NARROW) -> None:
    """Nothing for axe to say about this state of the page, however it is looked at, and nothing too wide."""
    for size in (WIDE, narrow):
        await page.set_viewport_size(size)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await _picture(page, f"{where} {size['width']} {scheme}")
            assert await faults(page) == [], f"{where}, {scheme}, {size['width']} px"
        wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, f"{where}: {wider} px wider than a screen of {size['width']}"
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await page.set_viewport_size(WIDE)  # type: ignore[arg-type]


async def _picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=f"{PICTURES}/{name.replace(' ', '-').replace('/', '_')}.png")


def watch(page: Page, allowed: set[str]) -> list[str]:
    """Collects requests to hosts other than these."""
    strangers: list[str] = []

    def asked(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc not in allowed:
            strangers.append(url)

    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda socket: asked(socket.url))
    return strangers


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until this has the focus, and see that the focus can be seen."""
    for _ in range(60):
        if await page.evaluate("s => Boolean(document.activeElement?.matches(s))", selector):
            ring = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none", f"{selector} has the focus and does not show it"
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


async def type_into(page: Page, selector: str, text: str) -> None:
    """By keyboard: to this field, over what is in it."""
    await tab_to(page, selector)
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type(text)


async def press(page: Page, selector: str) -> None:
    """By keyboard: to this button or link, and Enter."""
    await tab_to(page, selector)
    await page.keyboard.press("Enter")


@functools.cache
def _texts(language: str) -> Any:
    return json.loads((UI / f"src/i18n/{language}.json").read_text())


def said(language: str, key: str, **gaps: object) -> str:
    """The words for a key in a language, as the page shows them."""
    found: Any = _texts(language)
    for part in key.split("."):
        found = found[part]
    text = str(found)
    for name, value in gaps.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
