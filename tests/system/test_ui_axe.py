"""Every screen of the desk, by axe: signed out, the gate, ready, ringing, talking, wrapping up, lists.

Each state is looked at in light and dark at 1280 by 720 and at the width of a telephone, where nothing may be
wider than the screen either. On the way the page must ask nothing of any other host and break no policy.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.system.conftest import World
from tests.system.kit.desk import Desk
from tests.system.kit.look import WIDE, faults, sound, watch

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(240)]


async def test_the_sign_in_page_is_sound_and_says_what_is_wrong(murima: World, chromium: Any) -> None:
    context = await chromium.new_context(viewport=WIDE)
    page = await context.new_page()
    await page.goto(murima.tenant("amani")["url"])
    await page.wait_for_selector("#email")
    await sound(page, "sign-in")
    await page.fill("#email", "nobody@amani.example")
    await page.fill("#password", "certainly wrong")
    await page.press("#password", "Enter")
    await page.wait_for_selector("[role=alert]")
    assert await page.input_value("#email") == "nobody@amani.example"
    await sound(page, "sign-in refused")
    await context.close()


async def test_every_state_of_the_desk_is_sound(murima: World, chromium: Any) -> None:
    tenant = murima.tenant("amani")
    desk = await Desk.open(chromium, tenant, 0)
    page = desk.page
    allowed = {urlsplit(tenant["url"]).netloc, urlsplit(murima.run["sip"]["websocket"]).netloc}
    strangers = watch(page, allowed)
    await page.reload()
    await page.wait_for_selector("[data-test=pill][data-pill=live]")
    await page.wait_for_selector("[data-test=go-on-shift]")
    await sound(page, "the gate")
    await desk.go_on_shift()
    await sound(page, "ready")
    async with murima.caller() as outside:
        await outside.dial(murima.number("amani"), frequency=800.0, display="Asha")
        await desk.rings()
        await sound(page, "ringing")
        await page.keyboard.press("Alt+Shift+KeyA")
        await desk.phase("talking")
        await desk.press("keypad")
        await sound(page, "talking")
        await desk.press("keypad")
        await page.keyboard.press("Alt+Shift+KeyE")
        await desk.wraps_up()
        await sound(page, "wrapping up")
        await page.focus("[data-test=disposition-search]")
        await page.keyboard.press("1")
        await page.keyboard.press("Alt+Shift+KeyW")
        await desk.state("ready")
    await page.click("[data-test=status]")
    await page.click("[data-test^=reason-] >> nth=0")
    await desk.state("not_ready")
    for path, shown in (("/calls", "call-list"), ("/contacts/new", "contact-form")):
        await page.goto(tenant["url"] + path)
        await page.wait_for_selector(f"[data-test={shown}]")
        await sound(page, path)
    await page.keyboard.press("Tab")
    await page.keyboard.press("?")
    await page.wait_for_selector("[role=dialog]")
    assert await faults(page) == [], "the sheet of keys"
    assert strangers == []
    broken = [line for line in desk.console if "Content Security Policy" in line or "pageerror" in line]
    assert broken == []
    await page.context.close()
