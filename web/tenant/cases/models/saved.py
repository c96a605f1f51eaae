"""A list of cases that somebody wants to see again: filters and order, for themselves or for everybody."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from web.shared.core.models import BaseModel

MAX_FILTERS = 20


def check_filters(value: object) -> None:
    """{name of a filter: its text}, as in the list's URL."""
    if not isinstance(value, dict) or len(value) > MAX_FILTERS:
        raise ValidationError(f"An object of at most {MAX_FILTERS} filters.", code="invalid")
    if any(not isinstance(text, str) or len(text) > 500 for text in value.values()):
        raise ValidationError("A filter's value is a text of at most 500 characters.", code="invalid")


class SavedView(BaseModel):
    event_name = "case_view"

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    name = models.CharField(max_length=100)
    filters = models.JSONField(default=dict, blank=True, validators=[check_filters])
    sort = models.CharField(max_length=50, blank=True)
    is_shared = models.BooleanField(default=False)

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["owner", "name"], name="views_of_owner")]

    def event_data(self) -> dict[str, Any]:
        return {"is_shared": self.is_shared}
