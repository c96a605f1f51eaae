"""A task that comes again: what each one looks like, and when.

Times are wall-clock times of `time_zone`: what is due every Monday at nine stays at nine when the clocks
change. `last_occurrence` is the newest one that has its task, `next_at` when the following is made at the
latest; None when nothing follows. See recurrence.py for the rule, series.py for the making.
"""

from __future__ import annotations

from typing import ClassVar
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from web.shared.core.models import BaseModel
from web.tenant.tasks.choices import TaskPriority
from web.tenant.tasks.models.task import hours

MAX_ITEMS = 50
MAX_LEAD_HOURS = 24 * 60


def check_items(value: object) -> None:
    """A list of short texts."""
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise ValidationError(f"A list of at most {MAX_ITEMS} texts.", code="invalid")
    if any(not isinstance(text, str) or not 0 < len(text) <= 300 for text in value):
        raise ValidationError("Each is a text of 1 to 300 characters.", code="invalid")


def check_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError("Not a time zone of the IANA database.", code="invalid")


class TaskSeries(BaseModel):
    event_name: ClassVar[str] = "task_series"

    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=20_000)
    priority = models.CharField(max_length=20, choices=TaskPriority.choices, default=TaskPriority.MEDIUM)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    case = models.ForeignKey("cases.Case", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    estimated_hours = hours()
    checklist = models.JSONField(default=list, blank=True, validators=[check_items])
    recurrence = models.CharField(
        max_length=200, help_text="An RRULE of RFC 5545, such as FREQ=WEEKLY;BYDAY=MO."
    )
    starts_at = models.DateTimeField(help_text="When the first one is due.")
    time_zone = models.CharField(max_length=64, validators=[check_zone])
    lead_hours = models.PositiveSmallIntegerField(default=24, validators=[MaxValueValidator(MAX_LEAD_HOURS)])
    is_active = models.BooleanField(default=True)
    last_occurrence = models.DateTimeField(null=True, blank=True, editable=False)
    next_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(BaseModel.Meta):
        verbose_name_plural = "task series"
        indexes = [
            models.Index(
                fields=["next_at"], condition=Q(is_active=True, is_deleted=False), name="series_to_continue"
            )
        ]
