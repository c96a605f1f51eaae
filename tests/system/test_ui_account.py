"""One's own account in a real browser: what can be changed there, and what is felt of it elsewhere.

One person per test. A virtual authenticator stands for the finger or the PIN behind a passkey.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.system.conftest import World, soon
from tests.system.kit import people
from tests.system.kit.look import TELEPHONE, WIDE, press, said, sound, tab_to, type_into, watch

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(300)]
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip
NEW_PASSWORD = "eleven boats on Lake Turkana"
LIVE = "[data-test=pill][data-pill=live]"


async def _browser(chromium: Any) -> tuple[Page, list[str]]:
    """A page of a browser of its own, and what went wrong on it."""
    context = await chromium.new_context(viewport=WIDE, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page, broken = await context.new_page(), []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda line: broken.append(line.text) if "Content Security" in line.text else None)
    return page, broken


async def _account(page: Page, person: people.Person, code: str = "") -> None:
    """Signed in, on the account's page."""
    await page.goto(person.url + "/account")
    await page.fill("#email", person.email)
    await page.fill("#password", person.password)
    await page.press("#password", "Enter")
    if code:
        await page.fill("#code", code)
        await page.press("#code", "Enter")
    await page.wait_for_selector("[data-test=factors]")
    await page.wait_for_selector("[data-test=signin-here]")


async def _kept(page: Page) -> list[str]:
    """The recovery codes that are shown, after saying that they are kept."""
    codes: list[str] = await page.locator("[data-test=one-code]").all_inner_texts()
    assert len(codes) == 10
    assert await page.is_disabled("[data-test=go-on]")
    await page.check("[data-test=stored]")
    await page.click("[data-test=go-on]")
    await page.wait_for_selector("[data-test=recovery-codes]", state="detached")
    return codes


async def test_name_and_language_by_keyboard(murima: World, chromium: Any) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    page, broken = await _browser(chromium)
    strangers = watch(page, {urlsplit(person.url).netloc, urlsplit(murima.run["sip"]["websocket"]).netloc})
    await page.goto(person.url)
    await type_into(page, "#email", person.email)
    await type_into(page, "#password", person.password)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(LIVE)
    await press(page, "[data-test=user-menu]")
    await page.wait_for_selector("[data-test=account]")
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-test=signin-here]")
    await sound(page, "account en", TELEPHONE)
    await type_into(page, "#account-name", "Neema W. Baraka")
    await tab_to(page, "#account-language")
    await page.keyboard.type("Kis")
    await press(page, "[data-test=save-profile]")
    await expect(page.locator("main h1")).to_have_text(said("sw", "account.title"))
    await sound(page, "account sw", TELEPHONE)
    await page.evaluate("localStorage.clear()")
    await page.reload()
    await expect(page.locator("main h1")).to_have_text(said("sw", "account.title"))
    assert await page.input_value("#account-name") == "Neema W. Baraka"
    me = person.rest.get("/auth/me/")["user"]
    assert (me["name"], me["language"]) == ("Neema W. Baraka", "sw")
    assert strangers == [] and broken == []
    await page.context.close()


async def test_a_new_password_keeps_this_browser_and_no_other(murima: World, chromium: Any) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    other, _ = await _browser(chromium)
    await _account(other, person)
    page, broken = await _browser(chromium)
    await _account(page, person)
    await page.wait_for_selector(LIVE)
    await expect(page.locator("[data-test=signin]")).to_have_count(1)
    await page.fill("#current-password", "not this one")
    await page.fill("#new-password", NEW_PASSWORD)
    await page.press("#new-password", "Enter")
    await expect(page.locator("#current-password-error")).to_have_text(said("en", "error.password_needed"))
    await expect(page.locator("#current-password")).to_be_focused()
    await page.fill("#current-password", person.password)
    await page.fill("#new-password", person.email)
    await page.press("#new-password", "Enter")
    await expect(page.locator("#new-password-error")).to_have_text(said("en", "error.password_too_similar"))
    await sound(page, "account refused en", TELEPHONE)
    await page.fill("#current-password", person.password)
    await page.fill("#new-password", NEW_PASSWORD)
    await page.press("#new-password", "Enter")
    await expect(page.get_by_text(said("en", "account.password.done"))).to_be_visible()
    await expect(page.locator("[data-test=signin]")).to_have_count(0)
    await page.wait_for_selector(LIVE)
    assert await page.locator("[role=dialog]").count() == 0
    await other.wait_for_selector("[role=dialog] #password")
    person.password = NEW_PASSWORD
    await other.fill("[role=dialog] #password", NEW_PASSWORD)
    await other.press("[role=dialog] #password", "Enter")
    await other.wait_for_selector("[role=dialog]", state="detached")
    assert broken == []
    await page.context.close()
    await other.context.close()


async def test_an_app_is_set_up_asked_for_and_removed(murima: World, chromium: Any) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    page, broken = await _browser(chromium)
    await _account(page, person)
    await page.click("[data-test=add-app]")
    await expect(page.locator("#code")).to_be_focused()
    await sound(page, "account app en", TELEPHONE)
    person.secret = (await page.inner_text("[data-test=secret]")).replace(" ", "")
    await page.fill("#code", "000000" if person.code(-1) != "000000" else "111111")
    await page.press("#code", "Enter")
    await expect(page.locator("#failure")).to_have_text(said("en", "error.second_factor_refused"))
    await page.fill("#code", person.code(-1))
    await page.press("#code", "Enter")
    await page.wait_for_selector("[data-test=recovery-codes]")
    await page.keyboard.press("Escape")
    await sound(page, "account codes en", TELEPHONE)
    await page.emulate_media(media="print")
    await expect(page.locator("[data-test=one-code]").last).to_be_visible()
    await expect(page.get_by_text(urlsplit(person.url).hostname or "")).to_be_visible()
    await expect(page.locator("[data-test=go-on]")).to_be_hidden()
    await page.emulate_media(media="screen")
    first = await _kept(page)
    await expect(page.locator("[data-test=codes]")).to_contain_text(said("en", "account.codes.left", n=10))
    await page.click("[data-test=renew-codes]")
    await page.wait_for_selector("[data-test=confirm-act]")
    await sound(page, "account confirm en", TELEPHONE)
    await page.click("[data-test=confirm-act]")
    await page.wait_for_selector("[data-test=recovery-codes]")
    second = await _kept(page)
    assert set(first).isdisjoint(second)

    elsewhere, _ = await _browser(chromium)
    await _account(elsewhere, person, person.code())
    await page.reload()
    await page.click("[data-test=end-signin]")
    await page.click("[data-test=confirm-act]")
    await elsewhere.wait_for_selector("[role=dialog] #password")
    await elsewhere.context.close()

    await page.click("[data-test=remove-app]")
    await expect(page.locator("[role=dialog]")).to_contain_text(said("en", "account.factors.last"))
    await page.click("[data-test=confirm-act]")
    await page.wait_for_selector("[data-test=add-app]")
    assert person.rest.get("/auth/mfa/")["recovery_codes_left"] == 0
    assert broken == []
    await page.context.close()


async def test_a_passkey_is_made_named_used_and_removed(murima: World, chromium: Any) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    page, broken = await _browser(chromium)
    tools = await page.context.new_cdp_session(page)
    await tools.send("WebAuthn.enable")
    await tools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    await _account(page, person)
    await page.click("[data-test=add-passkey]")
    assert await page.input_value("#passkey-name") == "Chrome, Linux"
    await sound(page, "account passkey en", TELEPHONE)
    await page.fill("#passkey-name", "Reception")
    await page.press("#passkey-name", "Enter")
    await page.wait_for_selector("[data-test=recovery-codes]")
    await _kept(page)
    await expect(page.locator("[data-test=passkey]")).to_contain_text("Reception")
    await page.click("[data-test=add-passkey]")
    await page.click("[data-test=save-passkey]")
    await expect(page.locator("#passkey-failure")).to_have_text(said("en", "account.passkeys.known"))
    await page.keyboard.press("Escape")
    await page.click("[data-test=rename-passkey]")
    await page.fill("#passkey-name", "Reception desk")
    await page.press("#passkey-name", "Enter")
    await expect(page.locator("[data-test=passkey]")).to_contain_text("Reception desk")
    await sound(page, "account with passkey en", TELEPHONE)

    await page.click("[data-test=user-menu]")
    await page.click("[data-test=sign-out]")
    await page.click("[data-test=sign-in-passkey]")
    await page.wait_for_selector(LIVE)
    # A passkey alone has shown no password: what lets one in changes only with it.
    await page.goto(person.url + "/account")
    await page.click("[data-test=remove-passkey]")
    await page.click("[data-test=confirm-act]")
    await expect(page.locator("#proof-password")).to_be_focused()
    await sound(page, "account proof en", TELEPHONE)
    await page.keyboard.type("not this one")
    await page.keyboard.press("Enter")
    await expect(page.locator("#proof-password-error")).to_have_text(said("en", "error.password_needed"))
    await page.fill("#proof-password", person.password)
    await page.press("#proof-password", "Enter")
    await expect(page.locator("[data-test=passkey]")).to_have_count(0)
    assert broken == []
    await page.context.close()
