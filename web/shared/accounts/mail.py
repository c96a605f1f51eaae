"""Mails about accounts, from an outbox in PostgreSQL.

A service writes a row in its transaction (`put`); after the commit a worker is asked to send it, and beat
sends what was missed. `send` leases the row, makes the text and the secret link only then, hands it to
Django's e-mail backend, and marks the row. A failure is tried again with a growing, jittered pause, ATTEMPTS
times. Twice delivered is possible, and harmless: the newer link replaces the older.
"""

from __future__ import annotations

import random
import smtplib
import uuid
from datetime import timedelta

import structlog
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone

from web.shared.accounts.models import OutgoingMail, User
from web.shared.tenants.context import public_context

ATTEMPTS = 8
LEASE = timedelta(minutes=2)
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 3600.0
SWEPT_AT_ONCE = 200

log = structlog.get_logger(__name__)


def put(
    kind: OutgoingMail.Kind, *, tenant_id: str, user: User | None = None, object_id: uuid.UUID | None = None
) -> OutgoingMail:
    """Write the outbox's row, in the transaction of what the mail tells."""
    row = OutgoingMail.objects.create(kind=kind, tenant_id=tenant_id, user=user, object_id=object_id)

    def wake() -> None:
        from web.shared.accounts.tasks import wake_mail

        wake_mail(tenant_id, row.pk)

    transaction.on_commit(wake, robust=True)
    return row


def send(mail_id: uuid.UUID) -> str:
    """Send one row if it is due and nobody else is at it; its outcome: sent, nobody, later, gave_up."""
    from web.shared.accounts import mail_texts

    with public_context():
        row = _lease(mail_id)
        if row is None:
            return "not due"
        message = mail_texts.compose(row)
        if message is None:
            return _done(row, "nobody")
        try:
            message.send()
        except (OSError, smtplib.SMTPException) as error:
            return _later(row, type(error).__name__)
        return _done(row, "sent")


def due() -> list[tuple[str, uuid.UUID]]:
    """(tenant, id) of rows that should be sent now."""
    with public_context():
        rows = OutgoingMail.objects.filter(done_at=None, not_before__lte=timezone.now())
        return list(rows.order_by("not_before").values_list("tenant_id", "id")[:SWEPT_AT_ONCE])


def message_to(address: str, subject: str, text: str) -> EmailMessage:
    # Written by a machine, so that holiday notices do not answer it.
    return EmailMessage(subject, text, to=[address], headers={"Auto-Submitted": "auto-generated"})


def _lease(mail_id: uuid.UUID) -> OutgoingMail | None:
    now = timezone.now()
    with transaction.atomic():
        row = (
            OutgoingMail.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(pk=mail_id, done_at=None, not_before__lte=now)
            .first()
        )
        if row is not None:
            row.attempts += 1
            row.not_before = now + LEASE
            row.save(update_fields=["attempts", "not_before"])
    return row


def _later(row: OutgoingMail, error: str) -> str:
    log.warning("account_mail_not_sent", kind=row.kind, error=error, attempt=row.attempts)
    if row.attempts >= ATTEMPTS:
        return _done(row, "gave_up")
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (row.attempts - 1)) * random.uniform(0.7, 1.3)
    row.not_before = timezone.now() + timedelta(seconds=pause)
    row.save(update_fields=["not_before"])
    return "later"


def _done(row: OutgoingMail, outcome: str) -> str:
    row.done_at, row.outcome = timezone.now(), outcome
    row.save(update_fields=["done_at", "outcome"])
    return outcome
