"""The way in, as people go it: by keyboard alone, in both languages, each step looked at by axe.

Invitations and resets come with the link of a real mail; what is refused must say what to do next, and say it
where the keyboard is. Each test has a person of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from playwright.async_api import Page, expect

from tests.system.conftest import World, soon
from tests.system.kit import people
from tests.system.kit.look import LOCALES, TELEPHONE, WIDE, press, said, sound, tab_to, type_into

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(300)]
both_languages = pytest.mark.parametrize("language", sorted(LOCALES))
INSIDE = "[data-test=go-on-shift]"


@contextlib.asynccontextmanager
async def _visitor(chromium: Any, language: str) -> AsyncIterator[Page]:
    """A page of somebody whose browser speaks `language`; a broken policy or script fails the test."""
    context = await chromium.new_context(viewport=WIDE, locale=LOCALES[language], reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page, broken = await context.new_page(), []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda line: broken.append(line.text) if "Content Security" in line.text else None)
    yield page
    assert await page.evaluate("document.documentElement.lang") == language
    assert broken == []
    await context.close()


async def _refused(page: Page, text: str, failure: str = "#failure") -> None:
    """The message is there, says this, and has the focus, so that it is read aloud."""
    await expect(page.locator(failure)).to_have_text(text)
    await expect(page.locator(failure)).to_be_focused()


async def _sign_in(page: Page, person: people.Person, password: str | None = None) -> None:
    """From the sign-in page, by keyboard."""
    await page.wait_for_selector("#email")
    await type_into(page, "#email", person.email)
    await type_into(page, "#password", password or person.password)
    await page.keyboard.press("Enter")


async def _open(page: Page, url: str, field: str) -> None:
    """Follow a link: its secret must not stay in the address bar, and the first field has the focus."""
    await page.goto(url)
    await expect(page.locator(field)).to_be_focused()
    assert "#" not in page.url


@both_languages
async def test_a_password_signs_in_and_a_wrong_one_says_so(
    murima: World, chromium: Any, language: str
) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    async with _visitor(chromium, language) as page:
        await page.goto(person.url + "/calls")
        await expect(page.locator("#email")).to_be_focused()
        await sound(page, f"sign-in {language}", TELEPHONE)
        await _sign_in(page, person, "not this one")
        await _refused(page, said(language, "error.bad_credentials"))
        await sound(page, f"sign-in refused {language}", TELEPHONE)
        assert await page.input_value("#email") == person.email
        await type_into(page, "#password", person.password)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[data-test=call-list], main")
        await expect(page).to_have_url(person.url + "/calls")
        await press(page, "[data-test=user-menu]")
        await page.wait_for_selector("[data-test=sign-out]")
        await page.keyboard.press("End")
        await page.keyboard.press("Enter")
        await expect(page.locator("#email")).to_be_focused()


@both_languages
async def test_too_many_tries_say_when_to_try_again(murima: World, chromium: Any, language: str) -> None:
    stranger = people.Person(murima.tenant("amani")["url"], people.address())
    body = {"email": stranger.email, "password": "a guess"}
    for _ in range(10):
        status, _answer = stranger.rest.once("POST", "/auth/session/", body)
        assert status == 401
    async with _visitor(chromium, language) as page:
        await page.goto(stranger.url)
        await _sign_in(page, stranger, "another guess")
        await _refused(page, said(language, "error.throttled_for", minutes=15))
        await sound(page, f"sign-in throttled {language}", TELEPHONE)


@both_languages
async def test_an_app_is_the_second_factor(murima: World, chromium: Any, language: str) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    person.set_up_app()
    async with _visitor(chromium, language) as page:
        await page.goto(person.url)
        await _sign_in(page, person)
        await expect(page.locator("#code")).to_be_focused()
        await sound(page, f"second factor {language}", TELEPHONE)
        await page.keyboard.type("000000" if person.code() != "000000" else "111111")
        await page.keyboard.press("Enter")
        await _refused(page, said(language, "error.second_factor_refused"))
        await sound(page, f"second factor refused {language}", TELEPHONE)
        await type_into(page, "#code", person.code())
        await page.keyboard.press("Enter")
        await page.wait_for_selector(INSIDE)


@both_languages
async def test_a_recovery_code_lets_in_once(murima: World, chromium: Any, language: str) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    person.set_up_app()
    code = person.recovery_codes[0]
    for first in (True, False):
        async with _visitor(chromium, language) as page:
            await page.goto(person.url)
            await _sign_in(page, person)
            await expect(page.locator("#code")).to_be_focused()
            await press(page, "[data-test=use-recovery_code]")
            await expect(page.locator("#recovery-code")).to_be_focused()
            if first:
                await sound(page, f"recovery code {language}", TELEPHONE)
            await page.keyboard.type(code.lower())
            await page.keyboard.press("Enter")
            if first:
                await page.wait_for_selector(INSIDE)
            else:
                await _refused(page, said(language, "error.second_factor_refused"))


@both_languages
async def test_an_invitation_leads_to_the_desk(murima: World, chromium: Any, language: str) -> None:
    email = people.address()
    link = await soon(lambda: people.invite(murima, email), 60, "the mail")
    async with _visitor(chromium, language) as page:
        await _open(page, link, "#name")
        assert await page.input_value("#email") == email
        await sound(page, f"invitation {language}", TELEPHONE)
        await page.keyboard.type("Neema Wafula")
        await type_into(page, "#new-password", "short")
        await page.keyboard.press("Enter")
        await _refused(page, said(language, "error.password_too_short"))
        await sound(page, f"invitation refused {language}", TELEPHONE)
        await type_into(page, "#new-password", people.PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(INSIDE)
    async with _visitor(chromium, language) as page:
        await page.goto(link)
        await _refused(page, said(language, "invitation.refused"))
        await sound(page, f"invitation used {language}", TELEPHONE)
        await press(page, "[data-test=to-sign-in]")
        await expect(page.locator("#email")).to_be_focused()


@both_languages
async def test_a_forgotten_password_is_replaced_by_mail(murima: World, chromium: Any, language: str) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    async with _visitor(chromium, language) as page:
        await page.goto(person.url)
        await press(page, "[data-test=forgot]")
        await expect(page.locator("#email")).to_be_focused()
        await sound(page, f"reset ask {language}", TELEPHONE)
        await page.keyboard.type(person.email)
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-test=reset-done]")).to_have_text(said(language, "reset.done.asked"))
        await sound(page, f"reset asked {language}", TELEPHONE)
        links = await soon(lambda: murima.mail.links(person.email, "/password-reset"), 30, "the mail")
        await _open(page, links[0], "#new-password")
        await page.keyboard.type("password123")
        await page.keyboard.press("Enter")
        await _refused(page, said(language, "error.password_too_common"))
        await sound(page, f"reset refused {language}", TELEPHONE)
        await type_into(page, "#new-password", "eleven boats on Lake Turkana")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-test=reset-done]")).to_have_text(
            said(language, "reset.done.changed")
        )
        await sound(page, f"reset done {language}", TELEPHONE)
        await press(page, "[data-test=to-sign-in]")
        await _sign_in(page, person)
        await _refused(page, said(language, "error.bad_credentials"))
        await type_into(page, "#password", "eleven boats on Lake Turkana")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(INSIDE)


@both_languages
async def test_a_link_that_is_too_old_leads_to_a_new_one(murima: World, chromium: Any, language: str) -> None:
    person = await soon(lambda: people.join(murima), 60, "joining")
    person.rest.once("POST", "/auth/password/reset/", {"email": person.email})
    links = await soon(lambda: murima.mail.links(person.email, "/password-reset"), 30, "the mail")
    with psycopg.connect(murima.stack.postgres.url("owner")) as database:
        aged = database.execute(
            "UPDATE accounts_onetimetoken SET expires_at = now() - interval '1 second'"
            " FROM accounts_user WHERE accounts_user.id = user_id AND email = %s",
            [person.email],
        )
        assert aged.rowcount == 1
    async with _visitor(chromium, language) as page:
        await _open(page, links[0], "#new-password")
        await page.keyboard.type("eleven boats on Lake Turkana")
        await page.keyboard.press("Enter")
        await _refused(page, said(language, "error.link_refused"))
        await sound(page, f"reset expired {language}", TELEPHONE)
        await tab_to(page, "#email")
        await page.keyboard.type(person.email)
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-test=reset-done]")).to_have_text(said(language, "reset.done.asked"))


@both_languages
async def test_who_must_have_a_second_factor_sets_one_up(murima: World, chromium: Any, language: str) -> None:
    person = await soon(lambda: people.join(murima, slug="umoja"), 60, "joining")
    boss = murima.rest("umoja", "admin")
    required = boss.get("/auth/mfa/policy/")["required_roles"]
    try:
        boss.call("PATCH", "/auth/mfa/policy/", {"required_roles": ["agent"]})
        async with _visitor(chromium, language) as page:
            await page.goto(person.url)
            await _sign_in(page, person)
            await expect(page.locator("#code")).to_be_focused()
            await page.wait_for_selector("[data-test=qr]")
            await sound(page, f"enrol {language}", TELEPHONE)
            person.secret = (await page.inner_text("[data-test=secret]")).replace(" ", "")
            await page.keyboard.type(person.code())
            await page.keyboard.press("Enter")
            await page.wait_for_selector("[data-test=recovery-codes]")
            assert await page.locator("[data-test=one-code]").count() == 10
            await sound(page, f"recovery codes {language}", TELEPHONE)
            await tab_to(page, "[data-test=stored]")
            await page.keyboard.press("Space")
            await press(page, "[data-test=go-on]")
            await page.wait_for_selector(INSIDE)
    finally:
        boss.call("PATCH", "/auth/mfa/policy/", {"required_roles": required})
