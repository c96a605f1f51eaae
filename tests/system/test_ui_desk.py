"""What a browser can do to a desk: reload, open it twice, lose its sign-in. No call and no word is lost."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from playwright.async_api import expect

from tests.system.conftest import World
from tests.system.kit.desk import Desk

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(240)]


async def _leave(desk: Desk) -> None:
    """File the wrap-up and end the shift, for the next test."""
    await _file(desk)
    await _end(desk)


async def _file(desk: Desk) -> None:
    await desk.wraps_up()
    await desk.page.focus("[data-test=disposition-search]")
    await desk.page.keyboard.press("1")
    await desk.press("finish")
    await desk.state("ready")


async def _end(desk: Desk) -> None:
    await desk.press("status")
    await desk.press("end-shift")
    await desk.state("offline")
    await desk.page.context.close()


async def test_a_reload_gives_caller_sound_and_note_back(murima: World, chromium: Any) -> None:
    desk = await Desk.open(chromium, murima.tenant("amani"), 1)
    await desk.go_on_shift()
    async with murima.caller() as outside:
        call = await outside.dial(murima.number("amani"), frequency=800.0)
        await desk.rings()
        await desk.accept()
        await desk.phase("talking")
        await desk.page.fill("[data-test=note]", "typed and not waited for")
        desk.page.on("dialog", lambda dialog: dialog.accept())
        await desk.page.reload()
        await desk.page.wait_for_selector("[data-test=call-bar][data-phase=talking][data-sound=true]")
        await expect(desk.page.locator("[data-test=note]")).to_have_value("typed and not waited for")
        # Asked over and over, because the first words come a moment after the answer.
        await desk.page.wait_for_function(
            "() => Math.abs((window.murimaPhoneHears?.([800])?.peak ?? 0) - 800) < 15"
        )
        assert not call.over
        await desk.press("hangup")
        await _leave(desk)


async def test_one_tab_has_the_phone_and_another_may_take_it(murima: World, chromium: Any) -> None:
    desk = await Desk.open(chromium, murima.tenant("amani"), 1)
    await desk.go_on_shift()
    second = await desk.page.context.new_page()
    await second.goto(murima.tenant("amani")["url"])
    await second.wait_for_selector("[data-test=mirror]")
    await second.wait_for_selector("[data-test=status][data-state-now=ready]")
    await second.click("[data-test=take-over]")
    await desk.page.wait_for_selector("[data-test=mirror]")
    await second.wait_for_selector("[data-test=mirror]", state="detached")
    async with murima.caller() as outside:
        await outside.dial(murima.number("amani"), frequency=800.0)
        await desk.rings()
        assert await desk.page.locator("[data-test=accept]").count() == 0
        await second.click("[data-test=accept]")
        await second.wait_for_selector("[data-test=call-bar][data-phase=talking][data-sound=true]")
        await desk.page.wait_for_selector("[data-test=call-bar][data-phase=talking][data-sound=false]")
        await desk.press("hangup")  # from the tab without the sound: by asking
        await _leave(desk)


async def test_a_lost_sign_in_asks_again_and_keeps_what_was_typed(murima: World, chromium: Any) -> None:
    tenant = murima.tenant("amani")
    desk = await Desk.open(chromium, tenant, 1)
    page = desk.page
    await page.goto(tenant["url"] + "/contacts/new")
    await page.fill("#contact-first_name", "Half a na")
    await page.context.clear_cookies()
    await page.click("[data-test=contact-form] button[type=submit]")
    await page.wait_for_selector("[role=dialog] #password")
    await page.fill("[role=dialog] #password", desk.password)
    await page.press("[role=dialog] #password", "Enter")
    await page.wait_for_selector("[role=dialog]", state="detached")
    assert await page.input_value("#contact-first_name") == "Half a na"
    await page.wait_for_selector("[data-test=pill][data-pill=live]")
    await page.context.close()


async def test_hostile_names_are_shown_as_text_and_nothing_runs(murima: World, chromium: Any) -> None:
    markup = "<img src=x onerror=document.title='run'><b>Bold</b>"
    rest, number = murima.rest("amani"), f"+2547{uuid.uuid4().int % 10**8:08d}"
    desk = await Desk.open(chromium, murima.tenant("amani"), 1)
    await desk.go_on_shift()
    page = desk.page
    async with murima.caller() as outside:
        shown = {markup: markup, "\u202eevil\u202c \u200bname": "evil name", "{{ 7*7 }}": "{{ 7*7 }}"}
        for display, text in shown.items():
            call = await outside.dial(murima.number("amani"), caller=number, display=display, sound=False)
            await desk.rings()
            await desk.shows_caller(text)
            await call.hang_up()
            await desk.no_ring()
        contact = rest.post("/contacts/", {"first_name": markup, "last_name": "\u202eX", "phone": number})
        call = await outside.dial(murima.number("amani"), caller=number, sound=False)
        await desk.rings()
        await expect(page.locator("[data-test=ring-name]")).to_contain_text("<b>Bold</b>")
        await expect(page.locator("[data-test=context] h2")).to_contain_text("<b>Bold</b>")
        await desk.accept()
        await desk.phase("talking")
        await expect(page.locator("[data-test=call-name]")).to_contain_text("<b>Bold</b>")
        await call.hang_up()
        await _file(desk)
    for path, place in (
        ("/calls", "[data-test=call-list]"),
        (f"/contacts/{contact['id']}", "main"),
        ("/contacts", "main"),
    ):
        await page.goto(murima.tenant("amani")["url"] + path)
        await expect(page.locator(place)).to_contain_text("onerror=")
        assert await page.locator("img[src=x], b").count() == 0, path
    assert await page.evaluate("document.title") != "run"
    assert not [line for line in desk.console if "Content Security Policy" in line or "pageerror" in line]
    await page.goto(murima.tenant("amani")["url"])
    await desk.state("ready")
    await _end(desk)
