"""Notifications by e-mail, against a real SMTP server: what arrives, retries, refusals, digests."""

from __future__ import annotations

import email
import socket
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.utils import timezone

from web.shared.core.actor import system
from web.shared.records.models import DomainEvent
from web.tenant.notifications import consume, delivery, mail
from web.tenant.notifications.models import (
    Notification,
    NotificationDelivery,
    NotificationPreference,
)
from web.tenant.tasks import services as tasks

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")


class Sink:
    """Takes mail, or answers what it is told to."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.answers: list[str] = []
        self.recipients: list[str] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        self.recipients.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        found = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        self.taken.append(found)
        return "250 OK"


@pytest.fixture
def sink(settings: Any) -> Iterator[Sink]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = Sink()
    controller = Controller(found, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.DEFAULT_FROM_EMAIL = "Murima <murima@example.org>"
    yield found
    controller.stop()


def tell(user: Any, title: str = "Visit the school") -> Notification:
    made = tasks.task_create(actor=ACTOR, values={"title": title, "assigned_to": user})
    consume.consume(list(DomainEvent.objects.filter(object_id=made.pk, type="task.assigned")))
    return Notification.objects.get(entity_id=made.pk)


def outbox() -> Any:
    return NotificationDelivery.objects.get(channel="email")


def due() -> None:
    NotificationDelivery.objects.update(next_at=timezone.now())


def test_a_mail_is_plain_text_for_one_person_and_sent_once(tenant, make_user, sink):
    user = make_user("supervisor")
    row = tell(user, "Visit\r\nBcc: eve@example.org <script>")
    assert delivery.deliver_due() == 1
    assert delivery.deliver_due() == 0
    [message] = sink.taken
    assert sink.recipients == [user.email]
    assert message["To"] == user.email and message["Bcc"] is None
    assert message.get_content_type() == "text/plain"
    assert message["Subject"] == "A task for you (Mto)"
    assert "Visit Bcc: eve@example.org <script>" in message.get_content()
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == f"<{outbox().pk}@example.org>"
    row.refresh_from_db()
    assert row.delivery_status == "sent" and outbox().sent_at is not None


def test_a_server_that_is_busy_is_tried_again_with_the_same_message_id(tenant, make_user, sink):
    tell(make_user("supervisor"))
    sink.answers = ["451 busy", "451 busy"]
    waits = []
    for attempt in (1, 2):
        assert delivery.deliver_due() == 1
        row = outbox()
        assert (row.state, row.attempts, row.error) == ("pending", attempt, "recipient_refused")
        waits.append((row.next_at - timezone.now()).total_seconds())
        assert delivery.deliver_due() == 0
        due()
    assert 0 < waits[0] <= 30 and 25 < waits[1] <= 60
    delivery.deliver_due()
    assert outbox().state == "sent" and len(sink.taken) == 1


def test_a_refused_address_fails_at_once_and_patience_ends(tenant, make_user, sink):
    tell(make_user("supervisor"))
    sink.answers = ["550 nobody here"]
    delivery.deliver_due()
    assert (outbox().state, outbox().attempts) == ("failed", 1)
    NotificationDelivery.objects.update(state="pending", attempts=0)
    sink.answers = ["451 busy"] * 10
    for _ in range(10):
        due()
        delivery.deliver_due()
    assert (outbox().state, outbox().attempts) == ("failed", delivery.ATTEMPTS)


def test_a_server_that_says_nothing_is_left_after_the_deadline(tenant, make_user, settings, monkeypatch):
    monkeypatch.setattr(mail, "SMTP_SECONDS", 0.2)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        tell(make_user("supervisor"))
        delivery.deliver_due()
    assert (outbox().state, outbox().error) == ("pending", "no_connection")


def test_a_worker_that_dies_after_claiming_leaves_the_mail_for_later(tenant, make_user, sink, monkeypatch):
    tell(make_user("supervisor"))
    monkeypatch.setattr(delivery, "_try", lambda claimed: None)
    delivery.deliver_due(limit=1)
    monkeypatch.undo()
    assert (outbox().state, outbox().attempts) == ("pending", 1)
    assert delivery.deliver_due() == 0
    due()
    delivery.deliver_due()
    assert outbox().state == "sent" and len(sink.taken) == 1


def test_what_was_read_meanwhile_is_not_sent(tenant, make_user, sink):
    tell(make_user("supervisor"))
    Notification.objects.update(is_read=True)
    delivery.deliver_due()
    assert (outbox().state, outbox().error, sink.taken) == ("skipped", "read", [])


def test_who_is_no_member_any_more_gets_nothing(tenant, make_user, sink):
    from web.shared.accounts.models import TenantMembership

    user = make_user("supervisor")
    tell(user)
    TenantMembership.objects.filter(user=user).update(is_active=False)
    delivery.deliver_due()
    assert (outbox().state, outbox().error, sink.taken) == ("skipped", "recipient_gone", [])


def test_a_digest_is_one_mail_of_all_that_waited(tenant, make_user, sink):
    user, other = make_user("supervisor"), make_user("supervisor")
    for each in (user, other):
        NotificationPreference.objects.create(user=each, digest="hourly")
    for n in range(3):
        tell(user, f"Visit {n}")
    tell(other, "Other visit")
    read = tell(user, "Read already")
    Notification.objects.filter(pk=read.pk).update(is_read=True)
    waiting = NotificationDelivery.objects.filter(channel="email")
    assert all(row.next_at > timezone.now() and row.in_digest for row in waiting)
    assert delivery.deliver_due() == 0
    NotificationDelivery.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    delivery.deliver_due()
    by_person = {message["To"]: message for message in sink.taken}
    assert len(sink.taken) == 2 == len(by_person)
    mine = by_person[user.email]
    assert mine["Subject"] == "3 notifications from Mto"
    assert all(f"Visit {n}" in mine.get_content() for n in range(3))
    assert "Other" not in mine.get_content() and "Read" not in mine.get_content()
    assert set(waiting.values_list("state", flat=True)) == {"sent", "skipped"}
