"""Serializers that refuse what they do not know.

A field that the serializer does not have, or only shows, is an error (code `unknown_field` or `read_only`):
a typing mistake in an optional field would otherwise vanish in silence. `?fields=a,b` narrows an answer.
Fields are always listed by name; `__all__` is refused.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class StrictFields(serializers.Serializer[Any]):
    """Mixed into both bases below."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            refused = {}
            for name in data:
                field = self.fields.get(name)
                if field is None:
                    refused[name] = [ErrorDetail("There is no such field.", code="unknown_field")]
                elif field.read_only:
                    refused[name] = [ErrorDetail("This field cannot be set.", code="read_only")]
            if refused:
                raise ValidationError(refused)
        return super().to_internal_value(data)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        chosen = self.context.get("fields")
        if chosen and (self.parent is None or getattr(self.parent, "many", False)):
            return {name: field for name, field in fields.items() if name in chosen}
        return fields


class Body(StrictFields):
    """For bodies that are no model: `class SignIn(Body): email = EmailField()`."""


class ModelBody(StrictFields, serializers.ModelSerializer[Any]):
    """For models. Reads and validates; services write, so `save` is not for views to call."""

    def save(self, **kwargs: Any) -> Any:
        raise TypeError("Views hand validated_data to a service; serializers do not write.")
