"""Queues follow the calendars that they keep: a changed one is published in the transaction of its change.

Cases do not know calls, so calls listen. A calendar that a queue keeps cannot be deleted: its callers would
meet either a queue that never closes or one that never opens.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models.signals import post_save

from web.shared.api.problems import Conflict
from web.shared.core.actor import system
from web.tenant.calls.models import CallQueue
from web.tenant.calls.publishing import publish_policy


def connect() -> None:
    """Called once, when the application is ready."""
    calendar = apps.get_model("cases", "BusinessCalendar")
    post_save.connect(_saved, sender=calendar, dispatch_uid="calls.calendar")


def _saved(instance: Any, **_: Any) -> None:
    if not CallQueue.objects.filter(hours=instance.pk).exists():
        return
    if instance.is_deleted:
        raise Conflict("A queue opens by this calendar. Give the queue another one first.")
    publish_policy(system("calendar"))
