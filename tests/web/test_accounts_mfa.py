"""Second factors: setting them up, signing in with them, and trying to get round them."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.fakes.authenticator import PRESENT, Passkey
from tests.web.fixtures import PASSWORD, TENANTS, ApiClient
from tests.web.kit_events import at_once
from web.shared.accounts.factors import pending, recovery, totp
from web.shared.accounts.models import Authenticator, RecoveryCode, Session, User
from web.shared.accounts.services import membership_ensure, password_set
from web.shared.core.actor import system
from web.shared.core.exits import Code, Exit
from web.shared.core.models import PlatformAuditEvent
from web.shared.core.stores import redis_client
from web.shared.records.models import AuditEvent
from web.shared.tenants.context import public_context, tenant_context

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_redis"),
]
AUTH = "/api/v1/auth/"
SESSION, TOKEN, ME, MFA = (f"{AUTH}{name}/" for name in ("session", "token", "me", "mfa"))
STEP, TOTP, KEYS, POLICY = f"{SESSION}mfa/", f"{MFA}totp/", f"{MFA}passkeys/", f"{MFA}policy/"
CONTACTS = "/api/v1/contacts/"
ACTOR = system("tests")
MTO, ZIWA = (pk for pk, _ in TENANTS)
HOST, ORIGIN = "mto.localhost", "http://mto.localhost"


class Clock:
    """Time that a test moves: codes are a matter of the half minute."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self) -> int:
        return int(self.now.timestamp())

    def code(self, secret: str, steps: int = 0) -> str:
        step = int(self.now.timestamp()) // totp.STEP_SECONDS + steps
        return totp.code_at(base64.b32decode(secret), step)

    def pass_by(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(totp, "_seconds", made)
    return made


def signed_in(api, user) -> Any:
    client = api()
    answer = client.post(SESSION, {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    return client


def with_totp(api, user, clock) -> tuple[Any, str, list[str]]:
    """(client, secret, recovery codes) of somebody who set up an authenticator app."""
    client = signed_in(api, user)
    begun = client.post(TOTP, {})
    assert begun.status_code == 200, begun.content
    secret = begun.json()["secret"]
    done = client.post(f"{TOTP}confirm/", {"code": clock.code(secret)})
    assert done.status_code == 200, done.content
    clock.pass_by(30)
    return client, secret, done.json()["recovery_codes"]


def with_passkey(api, user, **values) -> tuple[Any, Passkey, Any]:
    client, key = signed_in(api, user), Passkey(ORIGIN, **values)
    begun = client.post(f"{KEYS}begin/", {}).json()
    answer = {"ceremony": begun["ceremony"], "credential": key.create(begun["options"]), "name": "Phone"}
    return client, key, client.post(KEYS, answer)


def half_way(api, user, url: str = SESSION) -> tuple[Any, dict[str, Any]]:
    client = api()
    answer = client.post(url, {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200 and answer.json()["mfa_required"] is True, answer.content
    return client, answer.json()["mfa"]


def refused(answer) -> bool:
    return bool(answer.status_code == 401 and answer.json()["code"] == "second_factor_refused")


# --- authenticator apps -------------------------------------------------------------------------------------


def test_known_codes_of_the_standard():
    secret = b"12345678901234567890"
    for at, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert totp.code_at(secret, at // 30) == code


def test_an_app_is_set_up_and_then_asked_for(make_user, api, clock):
    user = make_user("agent")
    client, secret, codes = with_totp(api, user, clock)
    assert len(codes) == 10 and len(set(codes)) == 10
    state = client.get(MFA).json()
    assert state["totp"] is True and state["recovery_codes_left"] == 10 and state["required"] is False
    fresh, note = half_way(api, user)
    assert note["methods"] == ["totp", "recovery_code"]
    assert fresh.get(ME).status_code == 401, "a password alone opens nothing"
    done = fresh.post(STEP, {"state": note["state"], "method": "totp", "code": clock.code(secret)})
    assert done.status_code == 200 and done.json()["user"]["id"] == str(user.pk), done.content
    assert fresh.get(ME).status_code == 200
    with public_context():
        stored = Authenticator.objects.get(user=user)
        assert base64.b32decode(secret) not in bytes(stored.sealed_secret or b"")


def test_a_code_works_once_whoever_uses_it(make_user, api, clock):
    user = make_user("agent")
    _, secret, _ = with_totp(api, user, clock)
    code = clock.code(secret)
    body = {"method": "totp", "code": code}
    client, note = half_way(api, user)
    assert client.post(STEP, {**body, "state": note["state"]}).status_code == 200
    redis_client().flushdb()
    for _ in range(2):
        client, note = half_way(api, user)
        assert refused(client.post(STEP, {**body, "state": note["state"]}))
    earlier = {"state": note["state"], "method": "totp", "code": clock.code(secret, -1)}
    assert refused(client.post(STEP, earlier)), "the code of an earlier step than one used"
    clock.pass_by(30)
    later = {"state": note["state"], "method": "totp", "code": clock.code(secret)}
    assert client.post(STEP, later).status_code == 200


def test_the_code_that_set_it_up_does_not_sign_in(make_user, api, clock):
    user = make_user("agent")
    client = signed_in(api, user)
    secret = client.post(TOTP, {}).json()["secret"]
    code = clock.code(secret)
    assert client.post(f"{TOTP}confirm/", {"code": code}).status_code == 200
    other, note = half_way(api, user)
    assert refused(other.post(STEP, {"state": note["state"], "method": "totp", "code": code}))


def test_codes_of_other_times_other_people_and_other_shapes_are_refused(make_user, api, clock):
    user, other = make_user("agent"), make_user("agent")
    _, secret, _ = with_totp(api, user, clock)
    _, others, _ = with_totp(api, other, clock)
    wrong = [clock.code(secret, -2), clock.code(secret, 2), clock.code(others)]
    for code in [*wrong, "", "12345", "1234567", "١٢٣٤٥٦", "abcdef"]:
        client, note = half_way(api, user)
        answer = client.post(STEP, {"state": note["state"], "method": "totp", "code": code})
        assert answer.status_code in (401, 422) and client.get(ME).status_code == 401, code


@pytest.mark.django_db(transaction=True)
def test_of_two_uses_of_one_code_at_once_one_wins(make_user, api, clock):
    user = make_user("agent")
    _, secret, _ = with_totp(api, user, clock)
    code = clock.code(secret)

    def finish(client: Any, note: Any) -> Any:
        body = {"state": note["state"], "method": "totp", "code": code}
        return lambda: client.post(STEP, body).status_code

    answers = at_once(*[finish(*half_way(api, user)) for _ in range(2)])
    assert sorted(answers) == [200, 401]


def test_guessing_is_slowed_by_note_and_by_person_without_locking_the_owner_out(
    make_user, api, clock, settings
):
    settings.SIGN_IN_LIMITS = {**settings.SIGN_IN_LIMITS, "second_factor": 8}
    user = make_user("agent")
    _, secret, _codes = with_totp(api, user, clock)
    redis_client().flushdb()
    client, note = half_way(api, user)
    wrong = {"state": note["state"], "method": "totp", "code": "000000"}
    answers = [client.post(STEP, wrong).status_code for _ in range(7)]
    assert answers == [401] * 5 + [429] * 2
    client, note = half_way(api, user)
    answers = [
        client.post(STEP, {**wrong, "state": note["state"]}, REMOTE_ADDR=f"203.0.113.{n}").status_code
        for n in range(4)
    ]
    assert answers == [401] * 3 + [429]
    # Somebody who does not know the password has used nothing up.
    redis_client().flushdb()
    stranger = api()
    for _ in range(30):
        assert stranger.post(STEP, {**wrong, "state": "made.up:note"}).status_code == 401
    client, note = half_way(api, user)
    clock.pass_by(30)
    assert client.post(STEP, {**wrong, "state": note["state"], "code": clock.code(secret)}).status_code == 200


# --- the note -----------------------------------------------------------------------------------------------


def test_a_note_is_good_for_its_tenant_purpose_password_and_five_minutes(
    make_user, api, clock, tenants, monkeypatch
):
    user = make_user("agent")
    with public_context():
        membership_ensure(actor=ACTOR, user=user, tenant_id=ZIWA, role="agent")
    _, secret, _ = with_totp(api, user, clock)
    client, note = half_way(api, user)
    body = {"state": note["state"], "method": "totp", "code": clock.code(secret)}
    assert refused(api(tenant=tenants[1]).post(STEP, body))
    assert refused(client.post(TOKEN, {**body, "grant_type": "second_factor"}))
    assert refused(client.post(STEP, {**body, "state": note["state"][:-2] + "xx"}))
    with public_context():
        password_set(actor=ACTOR, user=user, password=PASSWORD)
    assert refused(client.post(STEP, body))
    client, note = half_way(api, user)
    monkeypatch.setattr(pending, "SECONDS", -1)
    assert refused(client.post(STEP, {**body, "state": note["state"]}))


def test_an_api_client_gives_its_code_too(make_user, api, clock):
    user = make_user("agent")
    _, secret, _ = with_totp(api, user, clock)
    client, note = half_way(api, user, TOKEN)
    body = {"grant_type": "second_factor", "state": note["state"], "method": "totp"}
    assert client.post(TOKEN, body).status_code == 422
    pair = client.post(TOKEN, {**body, "code": clock.code(secret)})
    assert pair.status_code == 200 and pair.json()["mfa_required"] is False
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {pair.json()['access_token']}"}
    assert api().get(ME, **bearer).status_code == 200


# --- recovery codes -----------------------------------------------------------------------------------------


def test_a_recovery_code_works_once_and_only_its_hash_is_kept(make_user, api, clock):
    user = make_user("agent")
    owner, _, codes = with_totp(api, user, clock)
    with public_context():
        assert codes[0].replace("-", "").encode() not in b"".join(
            bytes(one.digest) for one in RecoveryCode.objects.all()
        )
    for code, status in ((codes[0].lower(), 200), (codes[0], 401), (codes[1].replace("-", " "), 200)):
        client, note = half_way(api, user)
        body = {"state": note["state"], "method": "recovery_code", "code": code}
        assert client.post(STEP, body).status_code == status
    assert owner.get(MFA).json()["recovery_codes_left"] == 8
    renewed = owner.post(f"{MFA}recovery-codes/", {}).json()["recovery_codes"]
    assert len(renewed) == 10 and not set(renewed) & set(codes)
    client, note = half_way(api, user)
    old = {"state": note["state"], "method": "recovery_code", "code": codes[2]}
    assert refused(client.post(STEP, old))
    assert api(make_user("agent")).post(f"{MFA}recovery-codes/", {}).status_code == 403


# --- passkeys -----------------------------------------------------------------------------------------------


def test_a_passkey_is_a_second_factor(make_user, api):
    user = make_user("agent", name="Amina")
    _owner, key, made = with_passkey(api, user)
    assert made.status_code == 201 and len(made.json()["recovery_codes"]) == 10, made.content
    assert made.json()["passkey"]["host"] == HOST
    client, note = half_way(api, user)
    assert note["methods"] == ["passkey", "recovery_code"]
    asked = client.post(f"{STEP}passkey/", {"state": note["state"]}).json()
    assert asked["options"]["publicKey"]["rpId"] == HOST
    body = {"state": note["state"], "method": "passkey", "ceremony": asked["ceremony"]}
    proof = key.get(asked["options"])
    assert client.post(STEP, {**body, "credential": proof}).status_code == 200
    assert client.get(ME).status_code == 200
    client, note = half_way(api, user)
    again = client.post(STEP, {**body, "state": note["state"], "credential": proof})
    assert refused(again), "an answer is good once"


def test_a_passkey_signs_in_without_e_mail_and_password(make_user, api, tenants):
    user = make_user("agent")
    _, key, made = with_passkey(api, user)
    assert made.status_code == 201
    client = api()
    begun = client.post(f"{SESSION}passkey/begin/").json()
    assert not begun["options"]["publicKey"].get("allowCredentials")
    proof = key.get(begun["options"])
    elsewhere = api(tenant=tenants[1])
    assert refused(elsewhere.post(f"{SESSION}passkey/", {**begun_body(begun), "credential": proof}))
    done = client.post(f"{SESSION}passkey/", {**begun_body(begun), "credential": proof})
    assert done.status_code == 200 and done.json()["user"]["id"] == str(user.pk), done.content
    assert client.get(ME).status_code == 200
    with public_context():
        row = Authenticator.objects.get(user=user)
        assert row.sign_count == 1 and row.last_used_at is not None


def begun_body(begun) -> dict[str, str]:
    return {"ceremony": begun["ceremony"]}


def test_tricks_with_passkeys_are_refused(make_user, api):
    user, other = make_user("agent"), make_user("agent")
    _, key, _ = with_passkey(api, user)
    _, others, _ = with_passkey(api, other)

    def attempt(make) -> Any:
        client = api()
        begun = client.post(f"{SESSION}passkey/begin/").json()
        answer = {**begun_body(begun), "credential": make(begun["options"])}
        return client.post(f"{SESSION}passkey/", answer)

    def look_alike(options):
        lie = Passkey("http://mto.localhost.evil.example", key=key.key, credential_id=key.credential_id)
        lie.host, lie.user_handle, lie.counter = HOST, key.user_handle, 50
        return lie.get(options)

    def other_port(options):
        lie = Passkey("http://mto.localhost:81", key=key.key, credential_id=key.credential_id)
        lie.host, lie.user_handle, lie.counter = HOST, key.user_handle, 50
        return lie.get(options)

    def unverified(options):
        key.flags = PRESENT
        try:
            return key.get(options)
        finally:
            key.flags = Passkey(ORIGIN).flags

    def another_challenge(options):
        return key.get({"publicKey": {**options["publicKey"], "challenge": "AAAAAAAAAAAAAAAAAAAAAA"}})

    def another_handle(options):
        proof = key.get(options)
        proof["response"]["userHandle"] = others.get(options)["response"]["userHandle"]
        return proof

    def another_signature(options):
        proof = key.get(options)
        proof["response"]["signature"] = others.get(options)["response"]["signature"]
        return proof

    def cloned(options):
        proof = Passkey(ORIGIN, key=key.key, credential_id=key.credential_id)
        proof.host, proof.user_handle, proof.counter = HOST, key.user_handle, -1
        return proof.get(options)

    assert attempt(key.get).status_code == 200
    tricks: tuple[Any, ...] = (
        look_alike, other_port, unverified, another_challenge, another_handle, another_signature, cloned,
        lambda options: {}, lambda options: {"id": 1}, lambda options: {"response": []},
    )  # fmt: skip
    for trick in tricks:
        assert refused(attempt(trick)), trick
    assert attempt(key.get).status_code == 200


def test_anothers_passkey_does_not_finish_my_sign_in(make_user, api):
    mine, theirs = make_user("agent"), make_user("agent")
    with_passkey(api, mine)
    _, key, _ = with_passkey(api, theirs)
    client, note = half_way(api, mine)
    asked = client.post(f"{STEP}passkey/", {"state": note["state"]}).json()
    body = {"state": note["state"], "method": "passkey", "ceremony": asked["ceremony"]}
    assert refused(client.post(STEP, {**body, "credential": key.get(asked["options"])}))


def test_a_passkey_of_one_host_asks_for_a_recovery_code_on_another(make_user, api, tenants):
    user = make_user("agent")
    with public_context():
        membership_ensure(actor=ACTOR, user=user, tenant_id=ZIWA, role="agent")
    _, _, made = with_passkey(api, user)
    client = api(tenant=tenants[1])
    answer = client.post(SESSION, {"email": user.email, "password": PASSWORD}).json()
    assert answer["mfa"]["methods"] == ["recovery_code"] and answer["user"] is None
    code = made.json()["recovery_codes"][0]
    body = {"state": answer["mfa"]["state"], "method": "recovery_code", "code": code}
    assert client.post(STEP, body).status_code == 200


def test_a_registration_is_for_who_began_it_and_for_this_host(make_user, api):
    user, other = make_user("agent"), make_user("agent")
    client, begun = signed_in(api, user), None
    begun = client.post(f"{KEYS}begin/", {}).json()
    credential = Passkey(ORIGIN).create(begun["options"])
    body = {"ceremony": begun["ceremony"], "credential": credential}
    assert refused(signed_in(api, other).post(KEYS, body))
    assert refused(client.post(KEYS, body)), "the ceremony was used up"
    begun = client.post(f"{KEYS}begin/", {}).json()
    lie = Passkey("http://mto.localhost.evil.example").create(begun["options"])
    assert refused(client.post(KEYS, {"ceremony": begun["ceremony"], "credential": lie}))
    assert client.get(KEYS).json()["data"] == []


# --- changing factors ---------------------------------------------------------------------------------------


def test_changing_factors_needs_a_password_shown_lately(make_user, api, clock):
    user = make_user("agent")
    _, _secret, _ = with_totp(api, user, clock)
    cold = api(user)
    for url in (f"{KEYS}begin/", f"{MFA}recovery-codes/"):
        answer = cold.post(url, {})
        assert answer.status_code == 403 and answer.json()["code"] == "password_needed"
        assert cold.post(url, {"current_password": "nonsense"}).status_code == 403
    assert cold.delete(TOTP, {}).status_code == 403
    assert cold.delete(TOTP, {"current_password": PASSWORD}).status_code == 204
    assert cold.get(MFA).json() == {
        "totp": False, "passkeys": [], "recovery_codes_left": 0, "required": False,
    }  # fmt: skip
    assert signed_in(api, user).get(ME).status_code == 200
    with tenant_context(MTO):
        said = set(AuditEvent.objects.filter(actor_id=user.pk).values_list("action", flat=True))
    assert {"second_factor_added", "second_factor_removed"} <= said


def test_a_passkey_is_removed_by_its_owner_alone(make_user, api):
    user, other = make_user("agent"), make_user("agent")
    client, _, made = with_passkey(api, user)
    url = f"{KEYS}{made.json()['passkey']['id']}/"
    assert signed_in(api, other).delete(url, {}).status_code == 404
    assert client.delete(url, {}).status_code == 204 and client.delete(url, {}).status_code == 404


def test_a_passkey_is_renamed_by_its_owner_alone(make_user, api):
    user, other = make_user("agent"), make_user("agent")
    client, _, made = with_passkey(api, user)
    url = f"{KEYS}{made.json()['passkey']['id']}/"
    assert signed_in(api, other).patch(url, {"name": "Mine"}).status_code == 404
    for wrong in ({}, {"name": ""}, {"name": "x" * 61}, {"name": "a", "host": "evil.example"}):
        assert client.patch(url, wrong).status_code == 422, wrong
    answer = client.patch(url, {"name": " Work laptop "})
    assert answer.status_code == 200 and answer.json()["name"] == "Work laptop"
    assert [one["name"] for one in client.get(KEYS).json()["data"]] == ["Work laptop"]


# --- who must ----------------------------------------------------------------------------------------------


def test_a_role_may_demand_a_factor_before_anything_else(make_user, api, clock):
    admin, agent = make_user("admin"), make_user("agent")
    boss, browser = api(admin), api(agent)
    token = api().post(TOKEN, {"email": agent.email, "password": PASSWORD}).json()
    assert boss.patch(POLICY, {"required_roles": ["nonsense"]}).status_code == 422
    assert boss.patch(POLICY, {"required_roles": ["agent"]}).json() == {"required_roles": ["agent"]}
    assert browser.get(ME).status_code == 401, "sign-ins without a factor ended"
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {token['access_token']}"}
    assert api().get(ME, **bearer).status_code == 401 and boss.get(POLICY).status_code == 200
    with public_context():
        assert Session.objects.filter(user=admin).exists()
    client = api()
    answer = client.post(SESSION, {"email": agent.email, "password": PASSWORD}).json()
    assert answer["mfa_required"] is False and answer["mfa_enrolment_required"] is True
    for method, url in (("get", CONTACTS), ("post", f"{AUTH}tickets/"), ("post", f"{AUTH}password/"),
                        ("patch", ME), ("get", f"{AUTH}sessions/")):  # fmt: skip
        refusal = getattr(client, method)(url)
        assert refusal.status_code == 403 and refusal.json()["code"] == "mfa_enrolment_required", url
    no_token = api().post(TOKEN, {"email": agent.email, "password": PASSWORD})
    assert no_token.status_code == 403 and no_token.json()["code"] == "mfa_enrolment_required"
    assert client.get(ME).status_code == 200 and client.get(MFA).json()["required"] is True
    secret = client.post(TOTP, {}).json()["secret"]
    assert client.post(f"{TOTP}confirm/", {"code": clock.code(secret)}).status_code == 200
    assert client.get(CONTACTS).status_code == 200
    last = client.delete(TOTP, {})
    assert last.status_code == 409 and client.get(MFA).json()["totp"] is True
    assert api(make_user("supervisor")).patch(POLICY, {"required_roles": []}).status_code == 403


def test_the_operator_helps_who_lost_every_factor(make_user, api, clock, capsys):
    user = make_user("agent")
    owner, _, _ = with_totp(api, user, clock)
    call_command("user_reset_factors", user.email.upper())
    assert user.email not in capsys.readouterr().out and owner.get(ME).status_code == 401
    client = signed_in(api, user)
    assert client.get(MFA).json()["totp"] is False
    with public_context():
        assert PlatformAuditEvent.objects.filter(action="second_factors_reset", object_id=user.pk).exists()
    with pytest.raises(Exit) as nobody:
        call_command("user_reset_factors", "nobody@example.org")
    assert nobody.value.code == Code.NOT_FOUND


def test_answers_with_secrets_are_stored_by_nobody_on_the_way(make_user, api, clock):
    client = signed_in(api, make_user("agent"))
    begun = client.post(TOTP, {})
    done = client.post(f"{TOTP}confirm/", {"code": clock.code(begun.json()["secret"])})
    for answer in (begun, done, client.get(ME)):
        assert "no-store" in answer["Cache-Control"]


def test_the_rule_holds_whichever_way_it_was_set(make_user, api):
    agent, boss = make_user("agent"), api(make_user("admin"))
    browser, url = api(agent), "/api/v1/organization/"
    present = boss.get(url)
    wrong = {"settings": {**present.json()["settings"], "mfa_required_roles": "agent"}}
    assert boss.patch(url, wrong, HTTP_IF_MATCH="*").status_code == 422
    right = {"settings": {**present.json()["settings"], "mfa_required_roles": ["agent"]}}
    answer = boss.patch(url, right, HTTP_IF_MATCH="*")
    assert answer.status_code == 200, answer.content
    assert browser.get(ME).status_code == 401
    assert boss.get(POLICY).json() == {"required_roles": ["agent"]}


def test_who_runs_the_platform_must_have_one_where_the_deployment_says_so(tenants, settings, clock):
    settings.PLATFORM_MFA_REQUIRED = True
    with public_context():
        root = User.objects.create_superuser("root@platform.example", PASSWORD)
    client, body = ApiClient("localhost"), {"email": root.email, "password": PASSWORD}
    assert client.post(SESSION, body).json()["mfa_enrolment_required"] is True
    for url in ("/api/platform/tenants/", "/admin/"):
        assert client.get(url).status_code == 403, url
    form = {"username": root.email, "password": PASSWORD}
    refused_there = ApiClient("localhost").post("/admin/login/?next=/admin/", form, format="multipart")
    assert refused_there.status_code == 200
    secret = client.post(TOTP, {}).json()["secret"]
    assert client.post(f"{TOTP}confirm/", {"code": clock.code(secret)}).status_code == 200
    assert client.get("/api/platform/tenants/").status_code == 200
    assert client.get("/admin/").status_code == 200
    clock.pass_by(30)
    again = ApiClient("localhost")
    note = again.post(SESSION, body).json()["mfa"]
    done = again.post(STEP, {"state": note["state"], "method": "totp", "code": clock.code(secret)})
    assert done.status_code == 200 and again.get("/api/platform/tenants/").status_code == 200


def test_recovery_codes_have_eighty_bits():
    assert len(recovery.ALPHABET) == 32 and recovery.GROUPS * recovery.GROUP * 5 == 80


def test_a_new_password_by_mail_does_not_walk_around_the_factor(make_user, api, clock):
    from tests.web.test_accounts_invitations import send_all, token_in

    user = make_user("agent")
    _, secret, _ = with_totp(api, user, clock)
    assert api().post(f"{AUTH}password/reset/", {"email": user.email}).status_code == 202
    fresh = "an entirely different sentence"
    (link,) = [one for one in send_all() if "/password-reset#" in one.body]
    body = {"token": token_in(link), "new_password": fresh}
    assert api().post(f"{AUTH}password/reset/confirm/", body).status_code == 204
    client = api()
    half = client.post(SESSION, {"email": user.email, "password": fresh})
    assert half.status_code == 200 and half.json()["mfa_required"] is True, half.content
    assert client.get(ME).status_code == 401, "the password alone opens nothing"
    clock.pass_by(30)
    note = half.json()["mfa"]["state"]
    done = client.post(STEP, {"state": note, "method": "totp", "code": clock.code(secret)})
    assert done.status_code == 200 and client.get(ME).status_code == 200, done.content
