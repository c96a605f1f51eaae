"""References in bodies: a person of this organisation, a row that the asking person may see.

What does not exist, belongs to another organisation, or is hidden from the asker is refused in the same
words, so that a body cannot be used to find out what exists.
"""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from web.shared.core import entities
from web.tenant.tasks.people import member

MISSING = "There is no such object."


def _refuse() -> serializers.ValidationError:
    return serializers.ValidationError(MISSING, code="does_not_exist")


@extend_schema_field({"type": "string", "format": "uuid"})
class Reference(serializers.Field[Any, Any, Any, Any]):
    """A foreign key as its id; `look_up` gives the row or None."""

    def to_representation(self, value: Any) -> str:
        return str(value.pk)

    def use_pk_only_optimization(self) -> bool:
        return True

    def get_attribute(self, instance: Any) -> Any:
        # The key itself, without reading the row behind it.
        pk = getattr(instance, f"{self.source}_id")
        return None if pk is None else _Key(pk)

    def to_internal_value(self, data: Any) -> Any:
        try:
            pk = uuid.UUID(data) if isinstance(data, str) else None
        except ValueError:
            pk = None
        row = None if pk is None else self.look_up(pk)
        if row is None:
            raise _refuse()
        return row

    def look_up(self, pk: uuid.UUID) -> Any:
        raise NotImplementedError


class _Key:
    __slots__ = ("pk",)

    def __init__(self, pk: uuid.UUID) -> None:
        self.pk = pk


class MemberField(Reference):
    """An active member of this organisation."""

    def look_up(self, pk: uuid.UUID) -> Any:
        return member(pk)


class EntityField(Reference):
    """A row of an entity (core.entities) that the asking person may see."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name = name
        super().__init__(**kwargs)

    def look_up(self, pk: uuid.UUID) -> Any:
        try:
            return entities.row(self.name, pk, self.context["view"].viewer)
        except entities.UnknownEntity:
            return None


class MembersField(serializers.ListField):
    """Ids of active members, as JSON keeps them."""

    child = serializers.UUIDField()

    def to_internal_value(self, data: Any) -> list[str]:
        ids: list[uuid.UUID] = super().to_internal_value(data)
        errors: Any = {
            index: [ErrorDetail(MISSING, code="does_not_exist")]
            for index, pk in enumerate(ids)
            if member(pk) is None
        }
        if errors:
            raise serializers.ValidationError(errors)
        return [str(pk) for pk in dict.fromkeys(ids)]
