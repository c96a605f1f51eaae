"""Handing queued messages to providers: after the commit, and again until it worked or the tries are used up.

A message is claimed in a transaction of its own (its next try moves into the future), sent outside of any
transaction, and what came of it is written in another. A crash between the two repeats the message with the
same id, which the provider can recognise. The deadline of the next try lies in PostgreSQL; a task that is
lost is made up for by the sweep.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.core.actor import system
from web.shared.core.tasks import wake
from web.shared.tenants.context import current_tenant_id
from web.tenant.communications import channel_types, providers, queries
from web.tenant.communications.choices import ConversationStatus, Delivery
from web.tenant.communications.models import Conversation, Interaction

MAX_TRIES = 6
CLAIM = timedelta(seconds=60)
BATCH = 50
ACTOR = system("communications")
logger = structlog.get_logger(__name__)


def soon(interaction: Interaction) -> None:
    """Have a worker send it right after the commit; the sweep does, if that task is lost."""
    Interaction.objects.filter(pk=interaction.pk).update(next_try_at=timezone.now())
    tenant, pk = str(current_tenant_id()), str(interaction.pk)

    def send() -> None:
        from web.tenant.communications.tasks import send_one

        wake(send_one, tenant, pk, expires=CLAIM.total_seconds())

    transaction.on_commit(send, robust=True)


def due() -> list[UUID]:
    """Messages whose next try has come, the oldest first."""
    return list(due_rows().order_by("next_try_at").values_list("pk", flat=True)[:BATCH])


def due_rows() -> QuerySet[Interaction]:
    return Interaction.objects.filter(delivery_status=Delivery.QUEUED, next_try_at__lte=timezone.now())


def sleepers_due() -> QuerySet[Conversation]:
    """Conversations whose sleep is over."""
    return Conversation.objects.filter(status=ConversationStatus.SNOOZED, snoozed_until__lte=timezone.now())


def send(pk: UUID | str) -> bool:
    """Try one message; True when it was handed over. Safe to call twice at once: the claim decides."""
    row = _claim(pk)
    if row is None:
        return False
    provider = providers.provider_of(row.channel)
    try:
        if provider is None:
            raise providers.NotSent("no_provider")
        external = provider.send(
            _message(row), row.channel.configuration, channel_types.secrets_of(row.channel), providers.SECONDS
        )
    except providers.NotSent as failed:
        _failed(row.pk, failed.code, final=failed.final)
        return False
    except (
        Exception
    ) as error:  # whatever a provider raises, the message is tried again and its text not logged
        logger.warning("provider_failed", provider=type(provider).__name__, error=type(error).__name__)
        _failed(row.pk, "provider_error", final=False)
        return False
    _sent(row.pk, external)
    return True


def wake_due() -> int:
    """Open the conversations whose sleep is over."""
    from web.tenant.communications import services

    count = 0
    while True:
        with transaction.atomic():
            row = (
                sleepers_due()
                .select_for_update(of=("self",), skip_locked=True)
                .order_by("snoozed_until")
                .first()
            )
            if row is None:
                return count
            services.conversation_move(actor=ACTOR, conversation=row, status=ConversationStatus.OPEN.value)
            count += 1


def _claim(pk: UUID | str) -> Interaction | None:
    with transaction.atomic():
        rows = Interaction.objects.select_related("channel", "conversation").filter(pk=pk)
        row: Interaction | None = (
            rows.select_for_update(of=("self",), skip_locked=True)
            .filter(delivery_status=Delivery.QUEUED, next_try_at__lte=timezone.now())
            .first()
        )
        if row is not None:
            row.tries += 1
            row.next_try_at = timezone.now() + CLAIM
            Interaction.objects.filter(pk=row.pk).update(tries=row.tries, next_try_at=row.next_try_at)
    return row


def _message(row: Interaction) -> providers.Message:
    return providers.Message(
        id=row.pk,
        address=queries.address_of(row.conversation),
        subject=row.subject,
        content=row.content,
        format=row.format,
        attachments=tuple(str(one) for one in row.attachments),
    )


def _sent(pk: UUID, external: str) -> None:
    with transaction.atomic():
        row: Any = _locked(pk)
        if row is not None:
            if external and not row.external_id:
                Interaction.objects.filter(pk=pk).update(external_id=str(external)[:255])
                row.external_id = str(external)[:255]
            _report(row, Delivery.SENT.value)


def _failed(pk: UUID, code: str, *, final: bool) -> None:
    with transaction.atomic():
        row: Any = _locked(pk)
        if row is None:
            return
        if final or row.tries >= MAX_TRIES:
            _report(row, Delivery.FAILED.value, code)
            return
        # 10 s, 30 s, 90 s …, each within a fifth of that, so that a provider that comes back is not stormed.
        wait = 10 * 3 ** (row.tries - 1) * random.uniform(0.8, 1.2)
        later = timezone.now() + timedelta(seconds=wait)
        Interaction.objects.filter(pk=pk).update(next_try_at=later, failure=code)


def _locked(pk: UUID) -> Interaction | None:
    return (
        Interaction.objects.select_for_update(of=("self",))
        .filter(pk=pk, delivery_status=Delivery.QUEUED)
        .first()
    )


def _report(row: Interaction, status: str, failure: str = "") -> None:
    from web.tenant.communications import services

    services.delivery_report(actor=ACTOR, interaction=row, status=status, failure=failure)
