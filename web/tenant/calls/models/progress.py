"""Where the intake stands, what it could not apply, and asks on their way.

The position moves in the transaction that writes the rows: a crash repeats nothing and skips nothing. A
parked call keeps its facts in CallEvent and the class of the error, never data; `intake --retry` tries again.
An outbox ask is sent with one and the same id until the daemon's fact shows that it acted, or until the tries
are used up; the daemon acts once on an id.
"""

from __future__ import annotations

from django.db import models


class IntakePosition(models.Model):
    name = models.CharField(primary_key=True, max_length=20)
    seq = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.name} at {self.seq}"


class ParkedCall(models.Model):
    call_id = models.UUIDField(primary_key=True)
    seq = models.BigIntegerField(help_text="The fact at which it went wrong.")
    error = models.CharField(max_length=100, help_text="Class of the error, never its text.")
    parked_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.call_id}: {self.error}"


class OutboxAsk(models.Model):
    id = models.CharField(primary_key=True, max_length=120, editable=False)
    kind = models.CharField(max_length=40)
    body = models.JSONField()
    actor = models.CharField(max_length=64)
    call_id = models.UUIDField(null=True, blank=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    next_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, blank=True, help_text="acted, superseded or given_up.")

    class Meta:
        indexes = [
            models.Index(fields=["next_at"], name="ask_to_send", condition=models.Q(done_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
