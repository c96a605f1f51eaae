"""Celery's part in identity: sending mails, looking for those that were missed, and forgetting."""

from __future__ import annotations

import uuid
from datetime import timedelta

import structlog
from celery import shared_task
from django.utils import timezone

from web.shared.accounts import mail
from web.shared.accounts.models import OneTimeToken, OutgoingMail
from web.shared.core.tasks import wake
from web.shared.tenants.context import public_context

KEPT = timedelta(days=30)


def wake_mail(tenant_id: str, mail_id: uuid.UUID) -> None:
    """Ask a worker to send this mail now; the sweep finds the row when nobody could be asked."""
    wake(send_mail, tenant_id, str(mail_id))


@shared_task(name="accounts.mail")  # type: ignore[untyped-decorator]
def send_mail(tenant_id: str, mail_id: str) -> str:
    """Send one row of the outbox, a shared table; the tenant named here is for the log."""
    structlog.contextvars.bind_contextvars(tenant=tenant_id)
    return mail.send(uuid.UUID(mail_id))


@shared_task(name="accounts.housekeeping")  # type: ignore[untyped-decorator]
def forget_old() -> int:
    """Forget links nobody can use any more and mails long sent; returns how many."""
    now = timezone.now()
    with public_context():
        links, _ = OneTimeToken.objects.filter(expires_at__lt=now).delete()
        mails, _ = OutgoingMail.objects.filter(done_at__lt=now - KEPT).delete()
    return int(links + mails)


@shared_task(name="accounts.mail.sweep")  # type: ignore[untyped-decorator]
def sweep_mail() -> int:
    """Ask for every mail that is due; returns how many."""
    found = mail.due()
    for tenant_id, mail_id in found:
        send_mail.apply_async((tenant_id, str(mail_id)), retry=False, expires=60)
    return len(found)
