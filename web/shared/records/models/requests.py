"""Answers to requests, kept for whoever sends them again; see web.shared.api.idempotency."""

from __future__ import annotations

from django.db import models


class IdempotencyKey(models.Model):
    """The answer to a POST, kept 24 h for whoever sends the same key again."""

    owner = models.CharField(max_length=64)
    key = models.CharField(max_length=255, help_text="SHA-256 of the client's key.")
    fingerprint = models.BinaryField(help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField(help_text="Sealed; see web.shared.api.idempotency.")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return f"{self.owner} {self.created_at:%Y-%m-%dT%H:%M:%SZ}"
