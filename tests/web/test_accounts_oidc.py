"""Signing in through an identity provider: a real one over HTTP, an honest one and a lying one."""

from __future__ import annotations

import base64
import contextlib
import hmac
import http.client
import json
import socket
import threading
import time
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.identity_provider import CLIENT, SECRET, IdentityProvider
from tests.web.api_cases import ResourceCases
from tests.web.fixtures import PASSWORD, TENANTS
from web.shared.accounts.factors import totp
from web.shared.accounts.models import ExternalIdentity, TenantMembership, TenantRole, User
from web.shared.accounts.models import IdentityProvider as Row
from web.shared.accounts.oidc import fetch
from web.shared.records.models import AuditEvent
from web.shared.tenants.context import public_context, tenant_context

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_redis"),
]
AUTH = "/api/v1/auth/"
PROVIDERS, START, BACK = (f"{AUTH}{name}/" for name in ("identity-providers", "oidc/work/start",
                                                        "oidc/work/callback"))  # fmt: skip
ME, MFA = f"{AUTH}me/", f"{AUTH}mfa/"
MTO, ZIWA = (pk for pk, _ in TENANTS)
ANY = {"HTTP_IF_MATCH": "*"}
GOOD = {"email_verified": True, "name": "Amina"}


class TestProviders(ResourceCases):
    url = PROVIDERS
    created: ClassVar[dict[str, Any]] = {
        "slug": "work", "name": "Work", "issuer": "https://id.example.org", "client_id": "x",
        "client_secret": "hidden hidden",
    }  # fmt: skip
    updated: ClassVar[dict[str, Any]] = {"name": "Our directory"}
    refused: ClassVar[dict[str, Any]] = {"slug": "Not a slug"}
    may_view, may_edit, may_delete, may_not = "admin", "admin", "admin", "supervisor"
    _count = 0

    def make(self, tenant: Any, **values: Any) -> str:
        TestProviders._count += 1
        return super().make(tenant, **{"slug": f"p{TestProviders._count}", **values})


@pytest.fixture(scope="module")
def world():
    with IdentityProvider() as made:
        yield made


@pytest.fixture
def idp(world, settings):
    settings.EGRESS_LOCAL_ORIGINS = [world.issuer]
    world.claims, world.lie, world.answers, world.seen = {"sub": "person-1", **GOOD}, None, {}, []
    return world


@pytest.fixture
def admin(make_user, api):
    return api(make_user("admin"))


def set_up(admin, idp, **values) -> dict[str, Any]:
    body = {
        "slug": "work", "name": "Work", "issuer": idp.issuer, "client_id": CLIENT, "client_secret": SECRET,
        **values,
    }  # fmt: skip
    answer = admin.post(PROVIDERS, body)
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def visit(url: str) -> str:
    """What a browser does with the provider's page: the address it is sent back to."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    connection.request("GET", f"{where.path}?{where.query}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return str(answer.headers["Location"])


def go(client, after: str = "") -> Any:
    """The whole way: start, provider, callback. The callback's answer."""
    started = client.get(f"{START}?next={quote(after)}" if after else START)
    assert started.status_code == 302, started.content
    back = urlsplit(visit(started["Location"]))
    return client.get(f"{back.path}?{back.query}")


def reason(answer) -> str:
    assert answer.status_code == 302, answer.content
    return str(parse_qs(urlsplit(answer["Location"]).query).get("sign_in_error", [""])[0])


def refused(client, why: str) -> bool:
    answer = go(client)
    return reason(answer) == why and client.get(ME).status_code == 401


# --- the honest way -----------------------------------------------------------------------------------------


def test_a_member_signs_in_and_is_known_by_name_from_then_on(admin, make_user, api, idp):
    made = set_up(admin, idp)
    assert made["has_secret"] is True and "client_secret" not in made
    user = make_user("agent", email="amina@example.org")
    idp.claims["email"] = "Amina@Example.org"
    client = api()
    choices = client.get(f"{AUTH}oidc/").json()["data"]
    assert choices == [{"slug": "work", "name": "Work", "start": START}]
    answer = go(client, "/cases?open=1")
    assert answer.status_code == 302 and answer["Location"] == "/cases?open=1", answer["Location"]
    assert client.get(ME).json()["user"]["id"] == str(user.pk)
    # The name for the person counts now, whatever address the provider says.
    idp.claims = {"sub": "person-1", "email": "other@example.org", "email_verified": False}
    again = api()
    assert reason(go(again)) == "" and again.get(ME).json()["user"]["id"] == str(user.pk)
    with public_context():
        assert ExternalIdentity.objects.get().user_id == user.pk
        assert SECRET.encode() not in bytes(Row.objects.get().sealed_secret)
    with tenant_context(MTO):
        said = str(list(AuditEvent.objects.values()))
    assert "amina" not in said.lower() and "identity_linked" in said


def test_where_to_go_afterwards_is_a_path_of_this_host(admin, make_user, api, idp):
    set_up(admin, idp)
    make_user("agent", email="amina@example.org")
    idp.claims["email"] = "amina@example.org"
    for evil in ("//evil.example", "https://evil.example", "/\\evil.example", "/%0d%0aX:1 y", "javascript:1"):
        assert go(api(), evil)["Location"] == "/", evil


def test_an_invitation_is_accepted_by_coming(admin, api, idp):
    set_up(admin, idp)
    idp.claims["email"] = "new@example.org"
    assert refused(api(), "not_invited")
    admin.post(f"{AUTH}invitations/", {"email": "new@example.org", "role": "supervisor"})
    client = api()
    assert reason(go(client)) == ""
    me = client.get(ME).json()
    assert me["role"]["name"] == "supervisor" and me["user"]["name"] == "Amina"
    with public_context():
        assert not User.objects.get(email="new@example.org").has_usable_password()


def test_somebody_new_comes_in_by_domain_with_the_role_of_their_group(admin, api, idp):
    set_up(
        admin, idp, invite_only=False, allowed_domains=["example.org"], role_claim="groups",
        role_mapping={"leads": "supervisor", "staff": "agent"},
    )  # fmt: skip
    idp.claims |= {"email": "new@evil.example", "groups": ["staff"]}
    assert refused(api(), "domain")
    idp.claims |= {"email": "new@example.org", "groups": ["nobody", 7, None]}
    assert refused(api(), "no_role")
    idp.claims["groups"] = ["staff"]
    client = api()
    assert reason(go(client)) == "" and client.get(ME).json()["role"]["name"] == "agent"
    idp.claims["groups"] = ["staff", "leads"]
    assert reason(go(client)) == "" and client.get(ME).json()["role"]["name"] == "supervisor"
    with public_context():
        assert not User.objects.filter(email="new@evil.example").exists()


def test_a_directory_does_not_demote_the_last_administrator(make_user, api, idp):
    boss = make_user("admin", email="boss@example.org")
    set_up(api(boss), idp, role_claim="groups", role_mapping={"staff": "agent"})
    idp.claims |= {"email": "boss@example.org", "groups": ["staff"]}
    client = api()
    assert reason(go(client)) == "" and client.get(ME).json()["role"]["name"] == "admin"


def test_who_was_deactivated_stays_out(admin, make_user, api, idp):
    set_up(admin, idp)
    user = make_user("agent", email="amina@example.org")
    idp.claims["email"] = "amina@example.org"
    assert reason(go(api())) == ""
    admin.delete(f"{AUTH}users/{user.pk}/", **ANY)
    assert refused(api(), "not_a_member")


def test_a_second_factor_is_asked_for_and_the_provider_does_not_prove_the_password(
    admin, make_user, api, idp
):
    made = set_up(admin, idp)
    user = make_user("agent", email="amina@example.org")
    idp.claims["email"] = "amina@example.org"
    client = api()
    assert reason(go(client)) == ""
    taken = client.post(f"{MFA}totp/", {})
    assert taken.status_code == 403 and taken.json()["code"] == "password_needed"
    codes = _with_factor(api, user)
    client = api()
    answer = go(client)
    said = parse_qs(urlsplit(answer["Location"]).fragment)
    assert said["methods"] == ["totp,recovery_code"] and client.get(ME).status_code == 401
    body = {"state": said["mfa"][0], "method": "recovery_code", "code": codes[0]}
    assert client.post(f"{AUTH}session/mfa/", body).status_code == 200
    assert client.get(ME).status_code == 200
    assert client.post(f"{MFA}recovery-codes/", {}).json()["code"] == "password_needed"
    url = f"{PROVIDERS}{made['id']}/"
    assert admin.patch(url, {"proves_second_factor": True}, **ANY).status_code == 200
    assert go(api())["Location"] == "/"


def _with_factor(api, user) -> list[str]:
    client = api()
    client.post(f"{AUTH}session/", {"email": user.email, "password": PASSWORD})
    secret = client.post(f"{MFA}totp/", {}).json()["secret"]
    code = totp.code_at(base64.b32decode(secret), int(time.time()) // 30)
    codes: list[str] = client.post(f"{MFA}totp/confirm/", {"code": code}).json()["recovery_codes"]
    return codes


# --- the hostile provider, and the hostile browser ----------------------------------------------------------


@pytest.fixture
def ready(admin, make_user, api, idp):
    set_up(admin, idp)
    make_user("agent", email="amina@example.org")
    idp.claims["email"] = "amina@example.org"
    return idp


def test_lies_in_an_id_token_are_refused_by_name(ready, api):
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = ready.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    lies: list[tuple[str, Any]] = [
        ("nonce", lambda c: {**c, "nonce": "another"}),
        ("audience", lambda c: {**c, "aud": "another-client"}),
        ("audience", lambda c: {**c, "aud": [CLIENT, "another"]}),
        ("audience", lambda c: {**c, "azp": "another"}),
        ("issuer", lambda c: {**c, "iss": "http://evil.example"}),
        ("expired", lambda c: {**c, "exp": c["iat"] - 400, "iat": c["iat"] - 700}),
        ("signature", lambda c: {**c, "iat": c["iat"] + 4000, "exp": c["iat"] + 5000}),
        ("signature", lambda c: {k: v for k, v in c.items() if k != "nonce"}),
        ("signature", lambda c: {k: v for k, v in c.items() if k != "sub"}),
        ("signature", lambda c: {**c, "sub": 7}),
        ("signature", lambda c: ready.sign(c, key="", algorithm="none")),
        ("signature", lambda c: ready.sign(c, key=stranger)),
        ("signature", lambda c: ready.sign(c, kid="k2")),
        ("signature", lambda c: ready.sign(c, key="x" * 32, algorithm="HS256")),
        ("signature", lambda c: _confused(c, public)),
        ("signature", lambda c: ready.sign(c, algorithm="PS256")),
        ("signature", lambda c: "not.a.token"),
        ("no_id_token", lambda c: "x" * 20_000),
        ("address_not_verified", lambda c: {**c, "email_verified": False}),
        ("address_not_verified", lambda c: {k: v for k, v in c.items() if k != "email_verified"}),
        ("no_address", lambda c: {**c, "email": "a@b@c.example"}),
    ]
    for why, lie in lies:
        ready.lie = lie
        client = api()
        answer = go(client)
        assert reason(answer) == why or (why == "signature" and reason(answer) == "subject"), why
        assert client.get(ME).status_code == 401
    ready.lie = None
    assert reason(go(api())) == ""
    with tenant_context(MTO):
        written = AuditEvent.objects.filter(action="federation_refused").count()
    assert written == len(lies)


def _confused(claims: dict[str, Any], public: bytes) -> str:
    def part(said: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()

    text = f"{part({'alg': 'HS256', 'kid': 'k1'})}.{part(claims)}"
    mac = hmac.digest(public, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_an_answer_is_for_the_browser_that_began_and_comes_once(ready, api, tenants):
    mine, victim = api(), api()
    started = mine.get(START)
    assert started.cookies["murima_oidc"]["httponly"] and started.cookies["murima_oidc"]["samesite"] == "Lax"
    back = urlsplit(visit(started["Location"]))
    url = f"{back.path}?{back.query}"
    assert reason(victim.get(url)) == "state" and victim.get(ME).status_code == 401
    assert reason(mine.get(url)) == "state", "taken by the attempt before"
    other = urlsplit(visit(mine.get(START)["Location"]))
    assert api(tenant=tenants[1]).get(f"{other.path}?{other.query}").status_code == 404
    fine = f"{other.path}?{other.query}"
    assert reason(mine.get(fine)) == "" and mine.get(ME).status_code == 200
    assert reason(mine.get(fine)) == "state"


def test_made_up_answers_are_refused(ready, api):
    for query, why in (
        ("", "state"),
        ("state=x&code=y", "state"),
        (f"state={'a' * 43}&code=y", "state"),
    ):
        assert reason(api().get(f"{BACK}?{query}")) == why
    for extra, why in (("&error=access_denied", "declined"), ("&iss=http://evil.example", "issuer")):
        client = api()
        back = urlsplit(visit(client.get(START)["Location"]))
        assert reason(client.get(f"{back.path}?{back.query}{extra}")) == why
    client = api()
    back = urlsplit(visit(client.get(START)["Location"]))
    state = parse_qs(back.query)["state"][0]
    assert reason(client.get(f"{BACK}?state={state}&code=another")) == "provider_status_400"


def test_a_provider_that_answers_strangely_signs_nobody_in(ready, api):
    big = json.dumps({"issuer": ready.issuer, "x": "y" * 300_000}).encode()
    for answer in (
        (200, {}, b"<html>"),
        (200, {}, b"[1]"),
        (200, {}, big),
        (500, {}, b"{}"),
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
        (200, {}, json.dumps({"issuer": "http://other"}).encode()),
        (200, {}, json.dumps({"issuer": ready.issuer, "token_endpoint": 1}).encode()),
        (200, {}, json.dumps(_inside(ready.issuer)).encode()),
    ):
        ready.answers = {"/.well-known/openid-configuration": answer}
        refusal = api().get(START)
        assert refusal.status_code == 403 and refusal.json()["code"] == "federation_refused", answer[2][:50]
    ready.answers = {"/jwks": (200, {}, json.dumps({"keys": []}).encode())}
    assert refused(api(), "signature")
    oct_key = jwt.algorithms.HMACAlgorithm.to_jwk("x" * 32, as_dict=True)
    ready.answers = {"/jwks": (200, {}, json.dumps({"keys": [{**oct_key, "kid": "k1"}]}).encode())}
    ready.lie = lambda c: ready.sign(c, key="x" * 32, algorithm="HS256")
    assert refused(api(), "signature")


def _inside(issuer: str) -> dict[str, str]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": "http://169.254.169.254/latest/meta-data/",
        "jwks_uri": f"{issuer}/jwks",
    }


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_a_provider_that_drips_holds_nobody_up(settings, monkeypatch, begins):
    """One byte at a time for ever, before, in and after the head: the deadline is for all of it."""
    monkeypatch.setattr(fetch, "SECONDS", 0.5)
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(begins)
            while not over.wait(0.02):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings.EGRESS_LOCAL_ORIGINS = [origin]
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises(fetch.Unreachable):
            fetch.get_json(f"{origin}/x")
        over.set()
        thread.join(10)
    assert not thread.is_alive()


def test_an_issuer_inside_our_network_is_never_asked(admin, idp, settings, api):
    for issuer in ("http://127.0.0.1:8000", "https://127.0.0.1", "https://10.0.0.1", "https://localhost",
                   "https://[::1]", "http://id.example.org", "https://id.example.org:8443"):  # fmt: skip
        body = {"slug": "w", "name": "W", "issuer": issuer, "client_id": "x"}
        answer = admin.post(PROVIDERS, body)
        assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/issuer", issuer
    set_up(admin, idp)
    settings.EGRESS_LOCAL_ORIGINS = []
    assert api().get(START).status_code == 403 and idp.seen == []


def test_nobody_maps_to_rights_they_do_not_hold(make_user, api, idp):
    with public_context():
        TenantRole.objects.create(
            tenant_id=MTO, name="it", display_name="IT", permissions={"settings.manage": "all"}
        )
    client = api(make_user("it"))
    body = {"slug": "w", "name": "W", "issuer": idp.issuer, "client_id": "x"}
    for values in ({"default_role": "admin"}, {"role_mapping": {"x": "admin"}}):
        answer = client.post(PROVIDERS, {**body, **values})
        assert answer.status_code == 403 and answer.json()["code"] == "beyond_your_rights"
    assert client.post(PROVIDERS, {**body, "role_mapping": {"x": "nonsense"}}).status_code == 422
    assert client.post(PROVIDERS, {**body, "invite_only": False}).status_code == 422
    with public_context():
        assert not TenantMembership.objects.filter(role__name="admin").exists()
