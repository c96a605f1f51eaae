"""What notifications keep about a contact: texts that may name them. Emptied, exported and moved."""

from __future__ import annotations

import uuid
from typing import Any

from django.apps import apps
from django.db.models import F, Q

from web.shared.core import entities
from web.shared.core.actor import Actor
from web.tenant.cases import queries as cases
from web.tenant.notifications.choices import DeliveryState
from web.tenant.notifications.models import Notification, NotificationDelivery
from web.tenant.tasks import personal as tasks

GONE = "Erased"


def erase(contact: uuid.UUID, actor: Actor) -> int:
    """Empty every text about this contact and send none of it any more; returns how many were emptied."""
    rows = _about(contact)
    NotificationDelivery.objects.filter(
        notification__in=rows.values("pk"), state=DeliveryState.PENDING
    ).update(state=DeliveryState.SKIPPED, error="erased")
    return int(rows.update(title=GONE, message="", revision=F("revision") + 1))


def export(contact: uuid.UUID) -> list[dict[str, Any]]:
    """What was said about this contact, once for each event."""
    rows = _about(contact).order_by("event_id", "created_at")
    seen: dict[Any, dict[str, Any]] = {}
    for row in rows:
        said = {"at": row.created_at.isoformat(), "title": row.title, "message": row.message}
        seen.setdefault(row.event_id or row.pk, said)
    return list(seen.values())


def move(source: uuid.UUID, target: uuid.UUID) -> dict[str, Any]:
    rows = Notification.all_objects.filter(contact=source)
    moved = {"from": str(source), "ids": [str(pk) for pk in rows.values_list("pk", flat=True)]}
    rows.update(contact=target)
    return moved


def put_back(moved: dict[str, Any]) -> None:
    Notification.all_objects.filter(pk__in=moved["ids"]).update(contact=uuid.UUID(moved["from"]))


def _about(contact: uuid.UUID) -> Any:
    """Those that name the contact, and those of their tasks and cases, whose words are in them."""
    all_cases = apps.get_model(entities.get("case").model).all_objects
    theirs = cases.about_contact(all_cases.all(), str(contact)).values("pk")
    return Notification.all_objects.filter(
        Q(contact=contact)
        | Q(entity_type="contact", entity_id=contact)
        | Q(entity_type="case", entity_id__in=theirs)
        | Q(entity_type="task", entity_id__in=tasks.ids_about(contact))
    )
