"""Being asked in: the mail, its link, and what may go wrong with it."""

from __future__ import annotations

import re
import smtplib
import uuid
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.core import mail as django_mail
from django.core.management import call_command
from django.utils import timezone

from tests.web.api_cases import ReadCases
from tests.web.fixtures import PASSWORD, TENANTS
from tests.web.kit_events import at_once
from web.shared.accounts import mail, one_time, tasks
from web.shared.accounts.models import OutgoingMail, TenantMembership, TenantRole, User
from web.shared.records.models import AuditEvent, DomainEvent
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import TenantInvitation

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_redis"),
]
URL = "/api/v1/auth/invitations/"
ACCEPT, PREVIEW, SESSION = f"{URL}accept/", f"{URL}preview/", "/api/v1/auth/session/"
MTO, ZIWA = (pk for pk, _ in TENANTS)
NEW = {"email": "Amina@Example.org", "role": "agent"}


@pytest.fixture
def admin(make_user, api):
    return api(make_user("admin"))


def send_all() -> list[Any]:
    """What a worker would do with the outbox; the messages it sent."""
    django_mail.outbox.clear()
    for tenant_id, mail_id in mail.due():
        tasks.send_mail(tenant_id, str(mail_id))
    return list(django_mail.outbox)


def token_in(message) -> str:
    found = re.search(r"http://mto\.localhost\S*/(?:invitation|password-reset)#(\S+)", message.body)
    assert found is not None, message.body
    return found[1]


def invited(admin, **values) -> str:
    answer = admin.post(URL, {**NEW, **values})
    assert answer.status_code == 201, answer.content
    return token_in(send_all()[0])


class TestInvitations(ReadCases):
    url = URL
    may_view, may_not = "admin", "supervisor"

    def make(self, tenant: Any, **values: Any) -> str:
        with public_context():
            role = TenantRole.objects.get(tenant=tenant, name="agent")
            row = TenantInvitation.objects.create(
                tenant=tenant,
                email=f"{uuid.uuid4().hex}@example.org",
                role=role,
                expires_at=timezone.now() + timedelta(days=1),
            )
        return str(row.pk)


def test_an_invitation_is_mailed_and_its_secret_kept_by_nobody(admin):
    made = admin.post(URL, NEW)
    assert made.status_code == 201 and made.json()["email"] == "amina@example.org"
    assert made.json()["state"] == "open" and made["Location"] == f"{URL}{made.json()['id']}/"
    (message,) = send_all()
    assert message.to == ["amina@example.org"] and "Mto" in message.subject
    token = token_in(message)
    with public_context():
        row = TenantInvitation.objects.get()
        assert bytes(row.token_digest or b"") == one_time.digest(token)
        everything = str(TenantInvitation.objects.values()) + str(OutgoingMail.objects.values())
        assert token not in everything
        assert OutgoingMail.objects.get().outcome == "sent"
    assert send_all() == []
    with tenant_context(MTO):
        said = str(list(AuditEvent.objects.values())) + str(list(DomainEvent.objects.values()))
        assert "amina" not in said and DomainEvent.objects.filter(type="user.invited").exists()


def test_somebody_new_joins_and_signs_in(admin, api):
    token = invited(admin)
    shown = api().post(PREVIEW, {"token": token})
    assert shown.json() == {
        "email": "amina@example.org", "organization": "Mto", "role": "Agent", "known": False,
    }  # fmt: skip
    weak = api().post(ACCEPT, {"token": token, "name": "Amina", "password": "password"})
    assert weak.status_code == 422 and weak.json()["errors"][0]["pointer"] == "/password"
    done = api().post(ACCEPT, {"token": token, "name": "Amina", "password": PASSWORD})
    assert done.status_code == 201, done.content
    again = api().post(ACCEPT, {"token": token, "name": "Amina", "password": PASSWORD})
    assert again.status_code == 422 and again.json()["code"] == "link_refused"
    client = api()
    assert client.post(SESSION, {"email": NEW["email"], "password": PASSWORD}).status_code == 200
    me = client.get("/api/v1/auth/me/").json()
    assert me["role"]["name"] == "agent" and me["user"]["name"] == "Amina"
    assert admin.get(URL).json()["data"][0]["state"] == "accepted"


def test_somebody_known_proves_the_password_they_have(admin, api, make_user, tenants):
    known = make_user("agent", tenant=tenants[1], email="amina@example.org")
    token = invited(admin)
    assert api().post(PREVIEW, {"token": token}).json()["known"] is True
    for wrong in ("not the password", "another long password"):
        refused = api().post(ACCEPT, {"token": token, "password": wrong})
        assert refused.status_code == 401
    assert api().post(ACCEPT, {"token": token, "password": PASSWORD}).status_code == 201
    with public_context():
        known.refresh_from_db()
        assert known.check_password(PASSWORD) and known.name != ""
        assert TenantMembership.objects.filter(user=known).count() == 2
        assert User.objects.filter(email="amina@example.org").count() == 1


def test_a_link_dies_when_withdrawn_late_replaced_or_shown_elsewhere(admin, api, tenants):
    token = invited(admin)
    body = {"token": token, "password": PASSWORD}
    assert api(tenant=tenants[1]).post(ACCEPT, body).json()["code"] == "link_refused"
    with public_context():
        TenantInvitation.objects.update(expires_at=timezone.now())
    assert api().post(ACCEPT, body).json()["code"] == "link_refused"
    newer = invited(admin)
    assert admin.get(f"{URL}?sort=created_at").json()["data"][0]["state"] == "withdrawn"
    assert api().post(ACCEPT, body).json()["code"] == "link_refused"
    open_one = admin.get(URL).json()["data"][0]["id"]
    assert admin.delete(f"{URL}{open_one}/").status_code == 204
    assert api().post(ACCEPT, {**body, "token": newer}).json()["code"] == "link_refused"
    for strange in ("", "x", "a" * 129):
        assert api().post(ACCEPT, {**body, "token": strange}).status_code == 422
    with public_context():
        assert not User.objects.filter(email="amina@example.org").exists()


def test_who_is_invited_or_a_member_is_not_invited_again(admin, make_user):
    invited(admin)
    member = make_user("agent")
    for email in (NEW["email"], member.email):
        answer = admin.post(URL, {**NEW, "email": email})
        assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/email"
    assert admin.post(URL, {"email": "b@example.org", "role": "nonsense"}).status_code == 422


def test_guessing_links_is_slowed(api, settings, tenants):
    settings.SIGN_IN_LIMITS = {**settings.SIGN_IN_LIMITS, "anonymous_per_address": 3}
    answers = [api().post(PREVIEW, {"token": f"mri_{n}"}).status_code for n in range(5)]
    assert answers == [422, 422, 422, 429, 429]


class _Failing:
    """A mail server that is away for its first calls."""

    left: ClassVar[int] = 0

    def __call__(self, message) -> int:
        if _Failing.left:
            _Failing.left -= 1
            raise smtplib.SMTPServerDisconnected("away")
        django_mail.outbox.append(message)
        return 1


def test_a_mail_that_cannot_be_sent_is_tried_again_later_and_given_up_at_last(admin, monkeypatch):
    monkeypatch.setattr("django.core.mail.EmailMessage.send", lambda message: _Failing()(message))
    _Failing.left = 1
    admin.post(URL, NEW)
    assert send_all() == []
    with public_context():
        row = OutgoingMail.objects.get()
        assert row.done_at is None and row.not_before > timezone.now() and row.attempts == 1
        OutgoingMail.objects.update(not_before=timezone.now())
    (message,) = send_all()
    assert token_in(message)
    _Failing.left = 100
    admin.post(URL, {**NEW, "email": "b@example.org"})
    for _ in range(mail.ATTEMPTS + 2):
        send_all()
        with public_context():
            OutgoingMail.objects.filter(done_at=None).update(not_before=timezone.now())
    with public_context():
        row = OutgoingMail.objects.latest("created_at")
        assert (row.outcome, row.attempts) == ("gave_up", mail.ATTEMPTS)


def test_the_command_invites_too(tenants, capsys):
    call_command("user_invite", "mto", "amina@example.org", "--role", "supervisor", "--json")
    assert "amina" not in capsys.readouterr().err
    (message,) = send_all()
    assert token_in(message)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_follow_a_link_at_once_one_joins(admin, api):
    token = invited(admin)

    def accept(name: str) -> Any:
        client, body = api(), {"token": token, "name": name, "password": PASSWORD}
        return lambda: client.post(ACCEPT, body).status_code

    answers = at_once(accept("Amina"), accept("Asha"))
    assert sorted(answers) == [201, 422]
    with public_context():
        assert User.objects.filter(email="amina@example.org").count() == 1


def test_what_is_long_done_is_forgotten(admin):
    invited(admin)
    with public_context():
        OutgoingMail.objects.update(done_at=timezone.now() - timedelta(days=31))
    assert tasks.forget_old() == 1 and tasks.forget_old() == 0
