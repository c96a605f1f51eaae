"""Notes: what people write on a case. A public note is an answer to the client; an internal one is not.

An edit keeps the text before it, as long as the case's text is kept at all.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.tenant.cases.models.case import Case, user_key

MAX_MENTIONS = 50


def check_mentions(value: object) -> None:
    if not isinstance(value, list) or len(value) > MAX_MENTIONS:
        raise ValidationError(f"A list of at most {MAX_MENTIONS} people.", code="invalid")


class CaseNote(BaseModel):
    event_name = "case_note"

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="notes")
    content = models.TextField(max_length=20_000)
    is_internal = models.BooleanField(default=True)
    mentions = models.JSONField(default=list, blank=True, validators=[check_mentions])
    edited_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["case", "-created_at", "-id"], name="notes_of_case")]

    def event_data(self) -> dict[str, Any]:
        return {"case": str(self.case_id), "is_internal": self.is_internal}


class CaseNoteVersion(models.Model):
    """A note's text before an edit."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    note = models.ForeignKey(CaseNote, on_delete=models.CASCADE, related_name="versions")
    content = models.TextField()
    written_at = models.DateTimeField()
    replaced_at = models.DateTimeField()
    replaced_by = user_key()

    class Meta:
        ordering = ["-replaced_at", "-id"]

    def __str__(self) -> str:
        return f"note version {self.pk}"
