"""People of this organisation in bodies.

Whoever does not exist or belongs to another organisation is refused in the same words, so that a body cannot
be used to find out what exists.
"""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from web.tenant.tasks.people import member

MISSING = "There is no such object."


class MemberField(serializers.UUIDField):
    """An active member of this organisation. Gives the user; shown is the key, for which no row is read."""

    default_error_messages = {"does_not_exist": MISSING}

    def get_attribute(self, instance: Any) -> Any:
        return getattr(instance, f"{self.source}_id")

    def to_internal_value(self, data: Any) -> Any:
        user = member(super().to_internal_value(data))
        if user is None:
            self.fail("does_not_exist")
        return user


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
