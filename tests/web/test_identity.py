"""Signing in, being bound to one tenant, tokens, tickets, and losing all of them."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import jwt
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.utils import timezone

from tests.web.fixtures import PASSWORD, TENANTS
from tests.web.kit_events import at_once
from web.shared.accounts import signing, tickets
from web.shared.accounts.api.fields import MemberField
from web.shared.accounts.models import RefreshToken, Session, TenantMembership, TenantRole, TokenFamily, User
from web.shared.accounts.queries import permissions_of
from web.shared.accounts.roles import ROLES, default_permissions, role_rows_sync
from web.shared.accounts.services import membership_ensure, password_set, user_deactivate
from web.shared.api.serializers import Body
from web.shared.core.actor import system
from web.shared.core.stores import redis_client
from web.shared.records.models import AuditEvent
from web.shared.tenants.context import public_context, tenant_context

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_redis"),
]
SESSION, TOKEN, ME, TICKETS = (f"/api/v1/auth/{name}/" for name in ("session", "token", "me", "tickets"))
ACTOR = system("tests")
MTO, ZIWA = (pk for pk, _ in TENANTS)


def bearer(token: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def pair(client, user) -> Any:
    answer = client.post(TOKEN, {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    return answer.json()


# --- sessions ----------------------------------------------------------------------------------------------


def test_sign_in_me_and_out(make_user, api):
    user, client = make_user("agent", name="Amina"), api()
    answer = client.post(SESSION, {"email": user.email.upper(), "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    assert answer.json()["user"] == {"id": str(user.pk), "email": user.email, "name": "Amina", "language": ""}
    assert answer.json()["csrf_token"] and answer.json()["mfa_required"] is False
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and not cookie["domain"]
    me = client.get(ME).json()
    assert me["tenant"]["id"] == MTO and me["tenant"]["slug"] == "mto"
    assert me["role"]["name"] == "agent" and me["permissions"]["desk.use"] == "all"
    assert client.get(SESSION).json()["user"]["id"] == str(user.pk)
    assert client.delete(SESSION).status_code == 204
    assert client.get(ME).status_code == 401 and client.delete(SESSION).status_code == 204
    with tenant_context(MTO):
        assert set(AuditEvent.objects.filter(actor_id=user.pk).values_list("action", flat=True)) == {
            "sign_in",
            "sign_out",
        }
        assert user.email not in str(list(AuditEvent.objects.values()))


def test_one_changes_ones_own_name_and_language_and_nothing_else(make_user, api):
    user, other = make_user("agent", name="Amina"), make_user("agent", name="Baraka")
    client = api(user)
    answer = client.patch(ME, {"name": " Amina Otieno ", "language": "sw"})
    assert answer.status_code == 200, answer.content
    assert answer.json() == client.get(ME).json()
    said = answer.json()["user"]
    assert (said["name"], said["language"]) == ("Amina Otieno", "sw")
    refusals: list[dict[str, Any]] = [
        {"name": ""}, {"name": "x" * 151}, {"language": "xx"}, {"name": None}, {"email": "a@b.example"},
        {"is_platform_admin": True},
    ]  # fmt: skip
    for wrong in refusals:
        assert client.patch(ME, wrong).status_code == 422, wrong
    assert client.patch(ME, {"language": ""}).json()["user"]["language"] == ""
    with public_context():
        rows = {row.pk: row for row in User.objects.filter(pk__in=[user.pk, other.pk])}
    assert rows[user.pk].email == user.email and not rows[user.pk].is_platform_admin
    assert rows[other.pk].name == "Baraka"
    with tenant_context(MTO):
        audited = AuditEvent.objects.filter(actor_id=user.pk, action="update").order_by("id")
        fields = [row.changes["fields"] for row in audited]
        assert fields == [["language", "name"], ["language"]]
        assert "Otieno" not in str(list(AuditEvent.objects.values()))
    assert client.get(ME).status_code == 200, "nobody is signed out by it"


def test_every_reason_not_to_sign_in_looks_the_same(make_user, api):
    member, stranger, gone = make_user(), make_user(tenant_of(ZIWA)), make_user()
    user_deactivate_in_public(gone)
    seen = []
    for email, password in (
        (member.email, "wrong password"),
        ("nobody@example.org", PASSWORD),
        (stranger.email, PASSWORD),
        (gone.email, PASSWORD),
    ):
        answer = api().post(SESSION, {"email": email, "password": password})
        body = answer.json()
        seen.append(
            (answer.status_code, body["code"], body["detail"], settings.SESSION_COOKIE_NAME in answer.cookies)
        )
    assert set(seen) == {(401, "bad_credentials", seen[0][2], False)}


@pytest.fixture
def make_user(make_user):
    """Also takes a tenant first: make_user(tenant_of(ZIWA))."""

    def make(role="agent", **kwargs):
        return (
            make_user("agent", tenant=role, **kwargs)
            if not isinstance(role, str)
            else make_user(role, **kwargs)
        )

    return make


def tenant_of(pk):
    from web.shared.tenants.models import Tenant

    with public_context():
        return Tenant.objects.get(pk=pk)


def user_deactivate_in_public(user):
    with public_context():
        user_deactivate(actor=ACTOR, user=user)


def test_a_session_of_one_tenant_is_nothing_on_anothers_host(make_user, api, tenants):
    user = make_user("agent")
    with public_context():
        membership_ensure(actor=ACTOR, user=user, tenant_id=ZIWA, role="admin")
    client = api(user)
    assert client.get(ME).status_code == 200
    for host in ("ziwa.localhost", "localhost"):
        answer = client.get(ME, HTTP_HOST=host)
        assert answer.status_code == 401, "a member of both, but signed in to one"
        assert client.get(SESSION, HTTP_HOST=host).json()["user"] is None


def test_signing_in_gives_a_new_session_key_and_only_takes_json(make_user, api):
    user, client = make_user(), api()
    client.cookies[settings.SESSION_COOKIE_NAME] = "prepared0by0somebody0else0123456"
    client.post(SESSION, {"email": user.email, "password": PASSWORD})
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != "prepared0by0somebody0else0123456"
    form = api().generic(
        "POST",
        SESSION,
        f"email={user.email}&password={PASSWORD}",
        content_type="application/x-www-form-urlencoded",
    )
    assert form.status_code == 415


def test_writes_with_a_session_need_the_csrf_token(make_user, api):
    user = make_user("agent")
    client = api(None, enforce_csrf_checks=True)
    token = client.post(SESSION, {"email": user.email, "password": PASSWORD}).json()["csrf_token"]
    refused = client.post(TICKETS)
    assert refused.status_code == 403 and refused.json()["code"] == "csrf_refused"
    assert client.post(TICKETS, HTTP_X_CSRFTOKEN=token).status_code == 201
    evil = client.post(TICKETS, HTTP_X_CSRFTOKEN=token, HTTP_ORIGIN="http://ziwa.localhost")
    assert evil.status_code == 403


def test_a_new_password_or_deactivation_ends_every_session_and_token(make_user, api):
    for end in (lambda user: password_set(actor=ACTOR, user=user, password="another long one"), _deactivate):
        user = make_user()
        browser, tokens_of = api(user), pair(api(), user)
        assert browser.get(ME).status_code == 200
        with public_context():
            end(user)
            assert not Session.objects.filter(user=user).exists()
        assert browser.get(ME).status_code == 401
        assert api().get(ME, **bearer(tokens_of["access_token"])).status_code == 401
        again = api().post(
            TOKEN, {"grant_type": "refresh_token", "refresh_token": tokens_of["refresh_token"]}
        )
        assert again.status_code == 401


def _deactivate(user):
    user_deactivate(actor=ACTOR, user=user)


def test_losing_the_membership_or_the_role_is_felt_at_once(make_user, api):
    user = make_user("supervisor")
    client = api(user)
    with public_context():
        TenantRole.objects.filter(tenant_id=MTO, name="supervisor").update(permissions={"users.view": "all"})
    assert client.get("/api/v1/contacts/").status_code == 403
    assert client.get(ME).json()["permissions"] == {"users.view": "all"}
    with public_context():
        TenantMembership.objects.filter(user=user).update(is_active=False)
    assert client.get(ME).status_code == 401 and permissions_in_public(user) == {}


def permissions_in_public(user):
    with public_context():
        return permissions_of(user.pk, MTO)


def test_users_are_never_deleted(make_user):
    with pytest.raises(TypeError):
        make_user().delete()


# --- limits ------------------------------------------------------------------------------------------------


def test_guessing_is_slowed_per_account_and_address_without_locking_the_owner_out(make_user, api, settings):
    settings.SIGN_IN_LIMITS = {"window_seconds": 900, "per_account": 3, "per_address": 100}
    user = make_user()
    guess = {"email": user.email, "password": "wrong password"}
    answers = [api().post(SESSION, guess, REMOTE_ADDR="203.0.113.5") for _ in range(5)]
    assert [one.status_code for one in answers] == [401, 401, 401, 429, 429]
    assert 0 < int(answers[-1]["Retry-After"]) <= 900
    right = {"email": user.email, "password": PASSWORD}
    assert api().post(SESSION, right, REMOTE_ADDR="203.0.113.5").status_code == 429
    assert api().post(SESSION, right, REMOTE_ADDR="198.51.100.7").status_code == 200
    forged = {"REMOTE_ADDR": "203.0.113.5", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}
    assert api().post(SESSION, right, **forged).status_code == 429
    assert not any(user.email in key for key in redis_client().keys("*"))


def test_one_address_cannot_try_many_accounts(api, tenants, settings):
    settings.SIGN_IN_LIMITS = {"window_seconds": 900, "per_account": 100, "per_address": 4}
    answers = [
        api().post(SESSION, {"email": f"p{n}@example.org", "password": "x"}, REMOTE_ADDR="203.0.113.5")
        for n in range(6)
    ]
    assert [one.status_code for one in answers] == [401] * 4 + [429] * 2


def test_an_office_behind_one_address_signs_in_at_the_start_of_a_shift(make_user, api, settings):
    settings.SIGN_IN_LIMITS = {"window_seconds": 900, "per_account": 100, "per_address": 4}
    user = make_user()
    right, wrong = ({"email": user.email, "password": each} for each in (PASSWORD, "wrong password"))
    for body, expected in (
        [(right, 200)] * 6 + [(wrong, 401)] * 3 + [(right, 200)] * 2 + [(wrong, 401), (right, 429)]
    ):
        assert api().post(SESSION, body, REMOTE_ADDR="203.0.113.5").status_code == expected


def test_without_redis_nobody_signs_in(make_user, api, monkeypatch):
    user = make_user()
    away = redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1)
    monkeypatch.setattr("web.shared.accounts.limits.redis_client", lambda: away)
    answer = api().post(SESSION, {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 503 and answer.json()["code"] == "unavailable"


# --- tokens ------------------------------------------------------------------------------------------------


def test_a_token_works_on_its_tenants_host_alone(make_user, api, tenants):
    user = make_user("agent")
    with public_context():
        membership_ensure(actor=ACTOR, user=user, tenant_id=ZIWA, role="admin")
    made = pair(api(), user)
    assert made["expires_in"] == 300 and made["token_type"] == "Bearer"
    assert api().get(ME, **bearer(made["access_token"])).json()["role"]["name"] == "agent"
    for host in ("ziwa.localhost", "localhost"):
        assert api().get(ME, HTTP_HOST=host, **bearer(made["access_token"])).status_code == 401
    other = api(tenant=tenants[1])
    body = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"]}
    assert other.post(TOKEN, body).status_code == 401


def test_tricks_with_tokens_are_refused(make_user, api):
    user = make_user()
    made = pair(api(), user)
    claims = jwt.decode(made["access_token"], options={"verify_signature": False})
    ours, now = signing.current(), timezone.now()
    public = ours.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    stranger = ec.generate_private_key(ec.SECP256R1())
    head = {"typ": "at+jwt", "kid": ours.kid}

    def made_with(changed=None, *, key=ours.private, algorithm="ES256", headers=None, without=()):
        said = {k: v for k, v in {**claims, **(changed or {})}.items() if k not in without}
        named = {k: v for k, v in {**head, **(headers or {})}.items() if v is not None}
        return jwt.encode(said, key, algorithm=algorithm, headers=named)

    def confused():
        """The public key taken for an HMAC's secret; PyJWT will not write it, so it is put together."""
        parts = [json.dumps({"alg": "HS256", **head}), json.dumps(claims)]
        text = ".".join(urlsafe_b64encode(one.encode()).rstrip(b"=").decode() for one in parts)
        mac = hmac.digest(public, text.encode(), "sha256")
        return f"{text}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    header, payload, signature = made["access_token"].split(".")
    own_jwk = {"jwk": jwt.algorithms.ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)}
    assert api().get(ME, **bearer(made_with())).status_code == 200
    tricks = {
        "none": made_with(key="", algorithm="none"),
        "no signature": f"{header}.{payload}.",
        "another key": made_with(key=stranger),
        "confused algorithms": confused(),
        "a secret for a key": made_with(key="x" * 32, algorithm="HS256"),
        "another curve": made_with(key=ec.generate_private_key(ec.SECP384R1()), algorithm="ES384"),
        "another kid": made_with(headers={"kid": "../../dev/null"}),
        "no kid": made_with(headers={"kid": None}),
        "kid of another shape": made_with(headers={"kid": ""}),
        "own jwk": made_with(key=stranger, headers=own_jwk),
        "own jku": made_with(key=stranger, headers={"jku": "http://evil.example/jwks.json"}),
        "another header type": made_with(headers={"typ": "JWT"}),
        "expired": made_with({"exp": now - timedelta(seconds=1)}),
        "of the future": made_with({"iat": now + timedelta(minutes=5)}),
        "not yet": made_with({"nbf": now + timedelta(minutes=5)}),
        "another tenant": made_with({"aud": ZIWA, "tid": ZIWA}),
        "another tid": made_with({"tid": ZIWA}),
        "two audiences, another tid": made_with({"aud": [MTO, ZIWA], "tid": ZIWA}),
        "another issuer": made_with({"iss": "x"}),
        "another type": made_with({"typ": "refresh"}),
        "another person": made_with({"sub": str(make_user().pk)}),
        "no family": made_with({"sid": "x"}),
        "number for family": made_with({"sid": 7}),
        "another part": f"{header}.{payload}x.{signature}",
        **{
            f"without {name}": made_with(without=(name,))
            for name in ("exp", "iat", "sub", "aud", "iss", "sid", "typ", "tid")
        },
        "the refresh token": made["refresh_token"],
        "nothing": "",
    }
    for name, token in tricks.items():
        answer = api().get(ME, **bearer(token))
        assert answer.status_code == 401, name
    assert api().get(ME, **bearer(made["access_token"])).status_code == 200


def test_anybody_can_check_a_token_with_the_published_keys(make_user, api, settings):
    user = make_user()
    token = pair(api(), user)["access_token"]
    answer = api().get("/.well-known/jwks.json")
    assert answer.status_code == 200 and "max-age" in answer["Cache-Control"]
    assert all("d" not in key for key in answer.json()["keys"])
    keys = jwt.PyJWKSet.from_dict(answer.json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=MTO, issuer="murima")
    assert claims["tid"] == MTO and claims["sub"] == str(user.pk)
    # While the secret key is changed, tokens signed before are good for their five minutes.
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key " * 5
    assert api().get(ME, **bearer(token)).status_code == 200
    assert len(api().get("/.well-known/jwks.json").json()["keys"]) == 2
    settings.SECRET_KEY_FALLBACKS = []
    assert api().get(ME, **bearer(token)).status_code == 401


def test_refresh_rotates_and_a_second_use_revokes_the_family(make_user, api):
    user = make_user()
    first = pair(api(), user)
    body = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = api().post(TOKEN, body).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert api().get(ME, **bearer(second["access_token"])).status_code == 200
    assert api().post(TOKEN, body).status_code == 401
    assert api().get(ME, **bearer(second["access_token"])).status_code == 401
    again = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
    assert api().post(TOKEN, again).status_code == 401
    with public_context():
        family = TokenFamily.objects.get(user=user)
        assert family.revoked_because == "refresh token used twice"
        stored = {bytes(one.digest) for one in RefreshToken.objects.filter(family=family)}
    assert first["refresh_token"].encode() not in stored


def test_signing_out_revokes_the_family_and_late_tokens_are_refused(make_user, api):
    user = make_user()
    made = pair(api(), user)
    assert api().delete(TOKEN, {"refresh_token": made["refresh_token"]}).status_code == 204
    assert api().get(ME, **bearer(made["access_token"])).status_code == 401
    late = pair(api(), user)
    with public_context():
        RefreshToken.objects.filter(family__user=user).update(expires_at=timezone.now())
    body = {"grant_type": "refresh_token", "refresh_token": late["refresh_token"]}
    assert api().post(TOKEN, body).status_code == 401
    assert api().post(TOKEN, {"grant_type": "refresh_token"}).status_code == 422


@pytest.mark.django_db(transaction=True)
def test_of_two_refreshes_at_once_one_wins_and_the_family_falls(make_user, api):
    user = make_user()
    made = pair(api(), user)
    body = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"]}

    def refresh(client: Any) -> Any:
        return lambda: client.post(TOKEN, body).status_code

    answers = at_once(refresh(api()), refresh(api()))
    assert sorted(answers) == [200, 401]
    with public_context():
        assert TokenFamily.objects.get(user=user).revoked_at is not None


# --- tickets -----------------------------------------------------------------------------------------------


def test_a_ticket_opens_once_for_its_person_and_tenant(make_user, api):
    user = make_user("agent")
    made = api(user).post(TICKETS)
    assert made.status_code == 201 and made.json()["expires_in"] == 30
    ticket = made.json()["ticket"]
    assert tickets.redeem(ZIWA, ticket) is None
    assert tickets.redeem(MTO, ticket) == user.pk
    assert tickets.redeem(MTO, ticket) is None
    for strange in ("", "x", "a" * 500, "a:b", "../x", "é"):
        assert tickets.redeem(MTO, strange) is None
    assert api().post(TICKETS).status_code == 401


def test_a_ticket_dies_after_its_seconds_and_redis_does_not_hold_it(make_user, settings, tenants):
    user = make_user("agent")
    ticket = tickets.issue(MTO, user.pk)
    keys = redis_client().keys("*ticket*")
    assert len(keys) == 1 and ticket not in keys[0] and MTO in keys[0]
    assert 0 < redis_client().ttl(keys[0]) <= 30
    redis_client().pexpire(keys[0], 1)
    deadline = time.monotonic() + 5
    while redis_client().exists(keys[0]) and time.monotonic() < deadline:
        pass
    assert tickets.redeem(MTO, ticket) is None


def test_a_ticket_taken_by_many_at_once_is_given_to_one(make_user):
    user = make_user("agent")
    ticket = tickets.issue(MTO, user.pk)
    found = at_once(*[lambda: tickets.redeem(MTO, ticket)] * 8)
    assert found.count(user.pk) == 1 and found.count(None) == 7


# --- roles and the platform --------------------------------------------------------------------------------


def test_each_role_has_its_defaults_and_changed_roles_are_left_alone(tenants):
    with public_context():
        rows = {row.name: row for row in TenantRole.objects.filter(tenant_id=MTO)}
        assert set(rows) == set(ROLES)
        assert all(rows[name].permissions == default_permissions(name) for name in ROLES)
        assert "users.manage" in rows["admin"].permissions and "users.manage" not in rows["agent"].permissions
        TenantRole.objects.filter(pk=rows["agent"].pk).update(permissions={}, is_system_role=False)
        TenantRole.objects.filter(pk=rows["viewer"].pk).update(permissions={})
        role_rows_sync(tenants[0])
        assert TenantRole.objects.get(pk=rows["agent"].pk).permissions == {}
        assert TenantRole.objects.get(pk=rows["viewer"].pk).permissions == default_permissions("viewer")


def test_the_platforms_host_is_for_platform_admins(client, tenants, make_user):
    member = make_user("admin")
    with public_context():
        admin = User.objects.create_superuser("root@platform.example", PASSWORD)
    for user, status in ((member, 401), (admin, 200)):
        answer = client.post(
            SESSION,
            {"email": user.email, "password": PASSWORD},
            content_type="application/json",
            HTTP_HOST="localhost",
        )
        assert answer.status_code == status, answer.content
    me = client.get(ME, HTTP_HOST="localhost").json()
    assert me["tenant"] is None and me["user"]["email"] == admin.email
    assert client.get("/admin/", HTTP_HOST="localhost").status_code == 200
    assert client.get(ME, HTTP_HOST="mto.localhost").status_code == 401


def test_only_members_of_this_tenant_can_be_named_in_a_body(make_user, tenants):
    member, stranger, gone = make_user(), make_user(tenant_of(ZIWA)), make_user()
    with public_context():
        TenantMembership.objects.filter(user=gone).update(is_active=False)

    class Naming(Body):
        person = MemberField()

    with tenant_context(MTO):
        assert Naming(data={"person": str(member.pk)}).is_valid()
        for other in (stranger, gone):
            body = Naming(data={"person": str(other.pk)})
            assert not body.is_valid() and body.errors["person"][0].code == "does_not_exist"
