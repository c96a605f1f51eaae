"""Consents: recorded as they are given, refused and withdrawn, never changed.

The newest record of a purpose counts, by the instant it speaks of. A consent that has expired is none. Nobody
having said anything is None, which is not a refusal: what then is allowed is for the caller to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from web.shared.core import audit, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.contacts.choices import ConsentStatus
from web.tenant.contacts.models import Contact, ContactConsent

CLOCKS_DIFFER = timedelta(minutes=5)


def latest(contact_id: UUID, at: datetime | None = None) -> dict[str, ContactConsent]:
    """The record that counts at `at` (default: now), by purpose. One query."""
    rows = (
        ContactConsent.objects.filter(contact=contact_id, at__lte=at or timezone.now())
        .order_by("purpose", "-at", "-id")
        .distinct("purpose")
    )
    return {row.purpose: row for row in rows}


def holds(contact_id: UUID, purpose: str, at: datetime | None = None) -> bool | None:
    """True: given and not expired. False: refused, withdrawn or expired. None: nobody asked."""
    moment = at or timezone.now()
    return _state(latest(contact_id, moment).get(purpose), moment)


def states(contact_id: UUID, at: datetime | None = None) -> dict[str, bool | None]:
    """The same for each purpose that has a record."""
    moment = at or timezone.now()
    return {purpose: _state(row, moment) for purpose, row in latest(contact_id, moment).items()}


def _state(row: ContactConsent | None, at: datetime) -> bool | None:
    if row is None:
        return None
    expired = row.expires_at is not None and row.expires_at <= at
    return row.status == ConsentStatus.GIVEN and not expired


def consent_record(*, actor: Actor, contact: Contact, values: Mapping[str, Any]) -> ContactConsent:
    """Write down what somebody agreed to or not. ValidationError for a moment that has not come."""
    row = ContactConsent(contact=contact, recorded_by_id=actor.user_id, **values)
    if row.at > timezone.now() + CLOCKS_DIFFER:
        raise base.refuse(at="Nobody can have said that yet.")
    if row.expires_at is not None and row.expires_at <= row.at:
        raise base.refuse(expires_at="A consent ends after it was given.")
    with transaction.atomic():
        row.full_clean()
        row.save(force_insert=True)
        said = {"purpose": row.purpose, "status": row.status, "consent": str(row.pk)}
        audit.record(actor=actor, action="consent", obj=contact, changes=said)
        events.emit("contact.consent_recorded", obj=contact, actor=actor, data=said)
    return row
