"""Changing and resetting passwords, and what an observer learns from it: nothing."""

from __future__ import annotations

import statistics
import time
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.fixtures import PASSWORD, TENANTS
from tests.web.test_accounts_invitations import send_all, token_in
from web.shared.accounts.models import OneTimeToken, OutgoingMail, Session
from web.shared.tenants.context import public_context

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_redis"),
]
CHANGE, ASK = "/api/v1/auth/password/", "/api/v1/auth/password/reset/"
CONFIRM, SESSION, TOKEN, ME = (
    f"{ASK}confirm/", "/api/v1/auth/session/", "/api/v1/auth/token/", "/api/v1/auth/me/",
)  # fmt: skip
FRESH = "an entirely different sentence"
MTO, ZIWA = (pk for pk, _ in TENANTS)


def enters(api, user, password) -> bool:
    return bool(api().post(SESSION, {"email": user.email, "password": password}).status_code == 200)


def test_a_change_needs_the_present_password_and_ends_every_sign_in(make_user, api):
    user = make_user("agent")
    here, elsewhere = api(user), api(user)
    token = api().post(TOKEN, {"email": user.email, "password": PASSWORD}).json()
    wrong = here.post(CHANGE, {"current_password": "nonsense", "new_password": FRESH})
    assert wrong.status_code == 403 and wrong.json()["code"] == "password_needed"
    done = here.post(CHANGE, {"current_password": PASSWORD, "new_password": FRESH})
    assert done.status_code == 204, done.content
    for client in (here, elsewhere):
        assert client.get(ME).status_code == 401
    assert api().get(ME, HTTP_AUTHORIZATION=f"Bearer {token['access_token']}").status_code == 401
    again = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    assert api().post(TOKEN, again).status_code == 401
    with public_context():
        assert not Session.objects.filter(user=user).exists()
    assert not enters(api, user, PASSWORD) and enters(api, user, FRESH)
    (message,) = send_all()
    assert message.to == [user.email] and "password-reset" in message.body


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        ("short", False),
        ("password123", False),
        ("1234567890", False),
        ("qwertyuiop", False),
        ("x7" * 32, True),
        ("å long passphrase, with spaces and 漢字", True),
        ("y8" * 128, True),
        ("y8" * 129, False),
    ],
)
def test_common_and_short_passwords_are_refused_and_long_ones_taken(make_user, api, password, accepted):
    user = make_user("agent")
    answer = api(user).post(CHANGE, {"current_password": PASSWORD, "new_password": password})
    assert answer.status_code == (204 if accepted else 422), answer.content
    if not accepted:
        assert answer.json()["errors"][0]["pointer"] == "/new_password"
        assert enters(api, user, PASSWORD)


def test_a_password_like_ones_own_address_is_refused(make_user, api):
    user = make_user("agent", email="halimawanjiru@example.org")
    answer = api(user).post(CHANGE, {"current_password": PASSWORD, "new_password": "halimawanjiru1"})
    assert answer.status_code == 422


def test_a_reset_works_once_on_its_host_and_ends_every_sign_in(make_user, api, tenants):
    user = make_user("agent")
    browser = api(user)
    assert api().post(ASK, {"email": user.email.upper()}).status_code == 202
    token = token_in(send_all()[0])
    with public_context():
        assert token not in str(list(OneTimeToken.objects.values()))
    body = {"token": token, "new_password": FRESH}
    assert api(tenant=tenants[1]).post(CONFIRM, body).json()["code"] == "link_refused"
    weak = api().post(CONFIRM, {**body, "new_password": "short"})
    assert weak.status_code == 422 and weak.json()["errors"][0]["pointer"] == "/new_password"
    done = api().post(CONFIRM, body)
    assert done.status_code == 204 and django_settings.SESSION_COOKIE_NAME not in done.cookies
    assert api().post(CONFIRM, body).json()["code"] == "link_refused"
    assert browser.get(ME).status_code == 401
    assert enters(api, user, FRESH) and not enters(api, user, PASSWORD)


def test_a_late_or_replaced_link_does_nothing(make_user, api):
    user = make_user("agent")
    api().post(ASK, {"email": user.email})
    first = token_in(send_all()[0])
    api().post(ASK, {"email": user.email})
    second = token_in(send_all()[0])
    assert api().post(CONFIRM, {"token": first, "new_password": FRESH}).json()["code"] == "link_refused"
    with public_context():
        OneTimeToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert api().post(CONFIRM, {"token": second, "new_password": FRESH}).json()["code"] == "link_refused"
    assert enters(api, user, PASSWORD)


def test_a_link_dies_with_a_change_of_the_password(make_user, api):
    user = make_user("agent")
    api().post(ASK, {"email": user.email})
    token = token_in(send_all()[0])
    api(user).post(CHANGE, {"current_password": PASSWORD, "new_password": FRESH})
    answer = api().post(CONFIRM, {"token": token, "new_password": "one more long sentence"})
    assert answer.json()["code"] == "link_refused" and enters(api, user, FRESH)


def test_asking_for_a_reset_is_the_same_whoever_has_the_address(make_user, api, tenants):
    member, stranger = make_user("agent"), make_user("agent", tenant=tenants[1])
    seen = set()
    for email in (member.email, stranger.email, "nobody@example.org"):
        with CaptureQueriesContext(connection) as queries:
            answer = api().post(ASK, {"email": email})
        verbs = tuple(one["sql"].split()[0] for one in queries)
        seen.add((answer.status_code, answer.content, verbs))
    assert len(seen) == 1
    assert [message.to for message in send_all()] == [[member.email]]
    with public_context():
        outcomes = sorted(OutgoingMail.objects.values_list("outcome", flat=True))
    assert outcomes == ["nobody", "nobody", "sent"]


def test_asking_again_and_again_is_slowed(make_user, api, settings):
    settings.SIGN_IN_LIMITS = {**settings.SIGN_IN_LIMITS, "reset_per_account": 2}
    user = make_user("agent")
    answers = [api().post(ASK, {"email": user.email}).status_code for _ in range(3)]
    unknown = [api().post(ASK, {"email": "nobody@example.org"}).status_code for _ in range(3)]
    assert answers == unknown == [202, 202, 429]


def test_the_time_of_a_refusal_says_nothing_about_who_exists(make_user, api, settings):
    """With a slow hasher, as in production: the two sorts of refusal lie among each other."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    settings.SIGN_IN_LIMITS = {"window_seconds": 900, "per_account": 1000, "per_address": 1000}
    member, client = make_user("agent"), api()
    times: dict[str, list[float]] = {member.email: [], "nobody@example.org": []}
    for _ in range(6):
        for email, taken in times.items():
            begun = time.perf_counter()
            assert client.post(SESSION, {"email": email, "password": "wrong one"}).status_code == 401
            taken.append(time.perf_counter() - begun)
    known, unknown = times.values()
    assert min(known) < max(unknown) and min(unknown) < max(known)
    # Without the hash for nobody, one of the two would be many times quicker.
    assert 1 / 3 < statistics.median(known) / statistics.median(unknown) < 3
