"""Passkeys in a real Chromium: what we send is what browsers parse, and what they answer is what we take."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.web.fixtures import PASSWORD
from web.shared.accounts.models import Authenticator
from web.shared.tenants.context import public_context

pytestmark = [pytest.mark.database, pytest.mark.redis, pytest.mark.browser, pytest.mark.timeout(300)]
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip
SCRIPT = """async ([email, password]) => {
  let csrf = ''
  const call = async (method, path, body) => {
    const answer = await fetch('/api/v1/auth/' + path, {
      method, credentials: 'same-origin', body: body && JSON.stringify(body),
      headers: {'Content-Type': 'application/json', 'X-CSRFToken': csrf},
    })
    const said = answer.status === 204 ? null : await answer.json()
    if (!answer.ok) throw new Error(method + ' ' + path + ': ' + JSON.stringify(said))
    if (said && said.csrf_token) csrf = said.csrf_token
    return said
  }
  const asked = async (begun) => (await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(begun.options.publicKey),
  })).toJSON()

  await call('POST', 'session/', {email, password})
  const begun = await call('POST', 'mfa/passkeys/begin/', {})
  const made = await navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(begun.options.publicKey),
  })
  await call('POST', 'mfa/passkeys/', {ceremony: begun.ceremony, credential: made.toJSON(), name: 'Mine'})
  await call('DELETE', 'session/')

  const alone = await call('POST', 'session/passkey/begin/')
  const first = await call('POST', 'session/passkey/',
                           {ceremony: alone.ceremony, credential: await asked(alone)})
  await call('DELETE', 'session/')

  const {mfa} = await call('POST', 'session/', {email, password})
  const second = await call('POST', 'session/mfa/passkey/', {state: mfa.state})
  const done = await call('POST', 'session/mfa/', {
    state: mfa.state, method: 'passkey', ceremony: second.ceremony, credential: await asked(second),
  })
  return {methods: mfa.methods, alone: first.user.email, second: done.user.email}
}"""


@pytest.mark.django_db(transaction=True)
def test_a_browser_makes_a_passkey_and_signs_in_with_it_alone_and_as_second_factor(
    live_server, tenants, make_user, chromium, clean_redis
):
    user = make_user("agent", name="Amina")
    port = live_server.url.rpartition(":")[2]
    said = _in_browser(str(chromium), f"http://mto.localhost:{port}/api/docs/errors/", user.email)
    assert said == {"methods": ["passkey", "recovery_code"], "alone": user.email, "second": user.email}
    with public_context():
        row = Authenticator.objects.get(user=user)
    assert row.host == "mto.localhost" and row.name == "Mine" and row.last_used_at is not None


def _in_browser(executable: str, page_url: str, email: str) -> Any:
    arguments = [
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
    ]
    if os.getuid() == 0:
        arguments.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=arguments)
        try:
            page = browser.new_page()
            tools = page.context.new_cdp_session(page)
            tools.send("WebAuthn.enable")
            tools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
            page.goto(page_url)
            return page.evaluate(SCRIPT, [email, PASSWORD])
        finally:
            browser.close()
