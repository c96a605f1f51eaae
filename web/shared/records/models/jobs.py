"""Long work; see web.shared.core.jobs."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from web.shared.core.ids import uuid7


class JobState(models.TextChoices):
    QUEUED = "queued", "Waiting for a worker"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Job(models.Model):
    """`params`, `place` and `result` hold ids, states and numbers, never what a person typed: that is in the
    job's files. `turn` counts who took it up; only the last one may write. `place` is where to go on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(null=True)
    params = models.JSONField(default=dict)
    place = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    cancel_requested = models.BooleanField(default=False)
    turn = models.PositiveIntegerField(default=0)
    idle_turns = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    actor_kind = models.CharField(max_length=16, db_default="system")
    actor_id = models.UUIDField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["created_at", "id"], name="job_by_age"),
            models.Index(
                fields=["lease_until"],
                condition=models.Q(state__in=["queued", "running"]),
                name="job_open",
            ),
            models.Index(
                fields=["expires_at"], condition=models.Q(expires_at__isnull=False), name="job_files"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
