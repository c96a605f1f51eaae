"""Fields of bodies that name something by its id.

An id that leads to nothing this person may see is refused in the same words, whether it exists elsewhere or
not (code `does_not_exist` at the field's place): a body cannot be used to find out what exists.
"""

from __future__ import annotations

from typing import Any, NoReturn

from rest_framework import serializers

from web.shared.core import entities
from web.shared.core.viewer import viewer_in


class OneOf(serializers.ChoiceField):
    """One of a few values; a wrong one is answered with all of them."""

    default_error_messages = {"invalid_choice": "One of: {choices}."}

    def fail(self, key: str, **values: Any) -> NoReturn:
        super().fail(key, choices=", ".join(str(one) for one in self.choices), **values)


class EntityId(serializers.UUIDField):
    """The id of an entity (web.shared.core.entities) that this person may see.

    Gives the id; with `row=True`, for a field that is the model's foreign key, the row. Shown is the key
    itself, for which no row is read.
    """

    default_error_messages = {"does_not_exist": "There is no such {entity}."}

    def __init__(self, entity: str, *, row: bool = False, **options: Any) -> None:
        self.entity, self.row = entity, row
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Any:
        pk = super().to_internal_value(data)
        viewer = viewer_in(self.context)
        try:
            found = entities.row(self.entity, pk, viewer)
        except entities.UnknownEntity:
            self.fail("does_not_exist", entity=self.entity)
        return found if self.row else pk

    def get_attribute(self, instance: Any) -> Any:
        return getattr(instance, f"{self.source}_id") if self.row else super().get_attribute(instance)
