"""Serializers that refuse what they do not know, and show nobody more than they may see.

A field that the serializer does not have, or only shows, is an error (code `unknown_field` or `read_only`):
a typing mistake in an optional field would otherwise vanish in silence. `?fields=a,b` narrows an answer.
Fields are always listed by name; `__all__` is refused.

A ModelBody may say more about its fields:

    expandable = {"contact": "web.tenant.contacts.api.serializers.ContactSummary"}   # ?expand=contact
    sensitive = {"date_of_birth": "contacts.view_sensitive"}                         # field → code

Without its code a sensitive field reads null and is listed in `redacted`, and writing it is refused, null
included: who sends back what they were shown would otherwise empty it. A serializer without a viewer in its
context shows nothing sensitive. In a PATCH, an open map (a DictField) is merged name by name as RFC 7396
says, null removing a name; a JSONField is one document and is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.utils.functional import cached_property
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from web.shared.api import expansion
from web.shared.api.fields import OneOf
from web.shared.api.problems import FieldError, Forbidden
from web.shared.core.viewer import viewer_in

REDACTED = "redacted"


class StrictFields(serializers.Serializer[Any]):
    """Mixed into both bases below."""

    default_error_messages = {"invalid": "A JSON object is expected here."}

    @cached_property
    def _readable_fields(self) -> list[Any]:
        """Found once, where REST framework looks at every field anew for each row of a page."""
        return [field for field in self.fields.values() if not field.write_only]

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


def page_of(name: str, item: type[serializers.Serializer[Any]], about: str = "") -> Any:
    """The body called `name` that describes a list of `item`, for an answer that no viewset's list gives."""
    fields = {
        "data": item(many=True),
        "next_cursor": serializers.CharField(allow_null=True),
        "has_more": serializers.BooleanField(),
    }
    return type(name, (Body,), {"__doc__": about, "__module__": item.__module__, **fields})


def read(body: Callable[..., Any], request: Any, context: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of the request's body as `body` reads them. ValidationError."""
    found = body(data=request.data, context=dict(context or {}))
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


class RedactedField(serializers.Field[Any, Any, Any, Any]):
    """Names of the fields that this viewer is not shown. Filled by ModelBody."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "read_only": True, "source": "*"})

    def to_representation(self, value: Any) -> list[str]:
        return []


class PageBody(serializers.ListSerializer[Any]):
    """Many rows: what is expanded is read for all of them at once."""

    def to_representation(self, data: Any) -> list[Any]:
        items = super().to_representation(data)
        body: Any = self.child
        if _is_root(self):
            expansion.fill(items, self.context.get("expand", ()), body.expandable, self.context)
        return items


class ModelBody(StrictFields, serializers.ModelSerializer[Any]):
    """For models. Reads and validates; services write, so `save` is not for views to call."""

    expandable: ClassVar[Mapping[str, str]] = {}
    sensitive: ClassVar[Mapping[str, str]] = {}
    serializer_choice_field = OneOf

    @classmethod
    def many_init(cls, *args: Any, **kwargs: Any) -> Any:
        meta: Any = getattr(cls, "Meta", None)
        if meta is not None and not hasattr(meta, "list_serializer_class"):
            meta.list_serializer_class = PageBody
        return super().many_init(*args, **kwargs)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        if self.sensitive and not self.sensitive.keys().isdisjoint(fields):
            fields[REDACTED] = RedactedField()
        return fields

    def to_representation(self, instance: Any) -> dict[str, Any]:
        item: dict[str, Any] = super().to_representation(instance)
        hidden = self._hidden() & item.keys()
        for name in hidden:
            item[name] = None
        if REDACTED in item:
            item[REDACTED] = sorted(hidden)
        if _is_root(self):
            expansion.fill([item], self.context.get("expand", ()), self.expandable, self.context)
        return item

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._refuse_hidden(data)
            data = self._merged(data)
        return super().to_internal_value(data)

    def save(self, **kwargs: Any) -> Any:
        raise TypeError("Views hand validated_data to a service; serializers do not write.")

    def _hidden(self) -> set[str]:
        if not self.sensitive:
            return set()
        viewer = viewer_in(self.context)
        return {name for name, code in self.sensitive.items() if not viewer.may(code)}

    def _refuse_hidden(self, data: Mapping[str, Any]) -> None:
        refused = sorted(self._hidden() & data.keys())
        if refused:
            code = self.sensitive[refused[0]]
            said = [FieldError(f"/{name}", "forbidden", f"Needs {self.sensitive[name]}.") for name in refused]
            raise Forbidden("Some fields are not yours to set.", errors=said, permission=code)

    def _merged(self, data: Mapping[str, Any]) -> Any:
        """`data` of a PATCH with its open maps merged into what the row holds."""
        if not self.partial or self.instance is None or not _is_root(self):
            return data
        whole = dict(data)
        for name, given in data.items():
            field: Any = self.fields.get(name)
            if isinstance(given, dict) and type(field) is serializers.DictField and not field.read_only:
                present = field.get_attribute(self.instance)
                whole[name] = merge(present if isinstance(present, dict) else {}, given)
        return whole


def _is_root(serializer: Any) -> bool:
    return serializer.parent is None


def merge(present: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396: `given` laid over `present`; null removes, objects merge, everything else replaces."""
    result = dict(present)
    for name, value in given.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = merge(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result
