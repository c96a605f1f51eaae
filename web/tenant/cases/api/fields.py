"""Foreign keys of cases' bodies; ids of what other apps hold are web.shared.api.fields.EntityId."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers


class Choice(serializers.PrimaryKeyRelatedField[Any]):
    """A foreign key within the tenant; the refusal does not repeat the id."""

    default_error_messages = {
        "does_not_exist": "There is nothing with this id.",
        "invalid": "Must be a valid UUID.",
    }

    def to_internal_value(self, data: Any) -> Any:
        try:
            return super().to_internal_value(data)
        except ValidationError:
            self.fail("invalid")
