"""What lies inside a task: comments, reminders, a checklist. They are seen by whoever sees the task."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from web.shared.core.models import BaseModel
from web.tenant.tasks.models.task import Task

MAX_MENTIONS = 50


def check_ids(value: object) -> None:
    if not isinstance(value, list) or len(value) > MAX_MENTIONS:
        raise ValidationError(f"A list of at most {MAX_MENTIONS} users.", code="invalid")


class TaskComment(BaseModel):
    """`is_internal`: for colleagues only, never for the person whom the task is about."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="comments")
    content = models.TextField(max_length=10_000)
    is_internal = models.BooleanField(default=True)
    mentions = models.JSONField(default=list, blank=True, validators=[check_ids])

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["task", "created_at"], name="comment_by_task")]


class TaskReminder(BaseModel):
    """Say something at `remind_at`, once, to `user`; without a user, to whoever has the task then."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="reminders")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    remind_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(BaseModel.Meta):
        indexes = [
            models.Index(
                fields=["remind_at"], condition=Q(told_at=None, is_deleted=False), name="reminder_to_tell"
            )
        ]


class TaskChecklistItem(BaseModel):
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="checklist")
    text = models.CharField(max_length=300)
    position = models.PositiveSmallIntegerField(default=0)
    is_done = models.BooleanField(default=False)
    done_at = models.DateTimeField(null=True, blank=True, editable=False)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["task", "position"], name="checklist_by_task")]
