"""Fields of bodies that name something by id.

An id that leads to nothing this person may see is refused in the same words, whether it exists elsewhere or
not: code `does_not_exist` at the field's place.
"""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers

from web.shared.core import entities
from web.shared.core.viewer import Viewer
from web.tenant.cases import queries
from web.tenant.cases.models import Case


class EntityId(serializers.UUIDField):
    """The id of a row of another app, as registered with web.shared.core.entities; gives the id."""

    default_error_messages = {"does_not_exist": "There is nothing with this id."}

    def __init__(self, entity: str, **kwargs: Any) -> None:
        self.entity = entity
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> uuid.UUID:
        pk = super().to_internal_value(data)
        viewer: Viewer = self.context.get("viewer") or Viewer(None, {})
        try:
            entities.row(self.entity, pk, viewer)
        except entities.UnknownEntity:
            self.fail("does_not_exist")
        return pk


class VisibleCase(serializers.UUIDField):
    """The id of a case that this person may see; gives the Case."""

    default_error_messages = {"does_not_exist": "There is nothing with this id."}

    def to_internal_value(self, data: Any) -> Any:
        pk = super().to_internal_value(data)
        viewer: Viewer = self.context.get("viewer") or Viewer(None, {})
        case = queries.visible(Case.objects.all(), viewer).filter(pk=pk).first()
        if case is None:
            self.fail("does_not_exist")
        return case

    def to_representation(self, value: Any) -> str:
        return str(getattr(value, "pk", value))


class Choice(serializers.PrimaryKeyRelatedField[Any]):
    """A foreign key within the tenant; the refusal does not repeat the id."""

    default_error_messages = {"does_not_exist": "There is nothing with this id."}
