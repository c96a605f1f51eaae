"""The OpenAPI description, generated from the views.

Adds to drf-spectacular what every operation of ours has: problem responses, If-Match and Idempotency-Key,
the permission code that the registry asks for (as the scope of its security, too), the headers of limits, an
example of every body. `manage.py api_schema` writes and compares the committed file.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.urls import Resolver404, resolve
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.fields import SerializerMethodField, TimeField

from web.shared.accounts import registry
from web.shared.api import examples
from web.shared.api.problems import CONTENT_TYPE
from web.shared.api.serializers import RedactedField, StrictFields

FIRST_STEPS = Path(__file__).with_name("first_steps.md").read_text(encoding="utf-8")
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "permission": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_ALWAYS = {"400": "Malformed", "401": "Not signed in", "403": "Forbidden", "429": "Throttled"}
_HEADERS = {
    name: {"description": said, "schema": {"type": "integer"}}
    for name, said in (
        ("RateLimit-Limit", "Units that may be spent at once."),
        ("RateLimit-Remaining", "Units left."),
        ("RateLimit-Reset", "Seconds until all of them are there again."),
    )
}
WALL_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?$"
_BODY = {"415": "Unsupported media type", "422": "Invalid"}


# For `responses` of an operation without an id in its path that answers 404 all the same.
NOT_FOUND: dict[Any, Any] = {
    (404, CONTENT_TYPE): OpenApiResponse({"$ref": "#/components/schemas/Problem"}, description="Not found")
}


class MurimaSchema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        found: list[Any] = []
        if self.method == "POST":
            found.append(OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER))
        if self.method in ("PATCH", "DELETE") and self._is_versioned():
            found.append(OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, required=True))
        return found

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        codes = dict(_ALWAYS)
        if self.method in ("POST", "PATCH", "PUT"):
            codes |= _BODY | {"409": "Conflict"}
        if self.method == "DELETE":
            codes |= {"409": "Conflict"} | (_BODY if "requestBody" in operation else {})
        if "{" in self.path:
            codes["404"] = "Not found"
        if self.method in ("PATCH", "DELETE") and self._is_versioned():
            codes |= {"412": "Precondition failed", "428": "Precondition required"}
        for status, text in codes.items():
            operation["responses"].setdefault(status, _problem_response(text))
        for response in operation["responses"].values():
            response.setdefault("headers", {}).update(_HEADERS)
        code = self._permission()
        if code and not code.startswith("-"):
            proofs = operation.get("security", [])
            operation["security"] = [{name: [code] for name in proof} for proof in proofs if proof]
        return operation

    def get_request_serializer(self) -> Any:
        """A DELETE has a body only where its view says `request=`, which is asked before this."""
        return None if self.method == "DELETE" else super().get_request_serializer()

    def _get_request_body(self, direction: Any = "request") -> Any:
        mapped: Any = super()
        if self.method != "DELETE" or self.get_request_serializer() is None:
            return mapped._get_request_body(direction)
        # The generator looks for a body with POST, PUT and PATCH alone.
        self.method = "POST"
        try:
            return mapped._get_request_body(direction)
        finally:
            self.method = "DELETE"

    def _map_serializer(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        mapped: Any = super()
        schema: Any = mapped._map_serializer(serializer, direction, bypass_extensions)
        said = getattr(serializer, "example", None)
        if said is not None and isinstance(schema, dict) and "properties" in schema:
            kept = {name: said[name] for name in schema["properties"] if name in said}
            if direction == "request":
                kept = {name: kept[name] for name in kept if not schema["properties"][name].get("readOnly")}
            schema["examples"] = [kept]
        return schema

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """The class's name; with the app's before it when two apps have a class of that name."""
        mapped: Any = super()
        name: str = mapped.get_serializer_name(serializer, direction)
        cls = type(serializer)
        return _app(cls) + name if len(_owners().get(cls.__name__, ())) > 1 else name

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        if isinstance(field, RedactedField):
            said = "Fields that are null here because you lack the permission to read them."
            return {"type": "array", "items": {"type": "string"}, "readOnly": True, "description": said}
        mapped: Any = super()
        schema: dict[str, Any] = mapped._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, TimeField):
            schema = _without_zone(schema)
        if "oneOf" in schema and {} in schema["oneOf"]:
            # Anything at all is null as well, and a value must fit one of them, not both.
            schema = {name: said for name, said in schema.items() if name != "oneOf"}
        if direction == "response":
            schema = _as_stored(schema, field)
            if field.field_name in getattr(field.parent, "sensitive", {}):
                return _or_null(schema)
        return schema

    def get_description(self) -> str:  # type: ignore[override]
        said: str = super().get_description() or ""
        code = self._permission()
        return f"{said}\n\nNeeds `{code}`.".strip() if code and not code.startswith("-") else said

    def _permission(self) -> str | None:
        example = re.sub(r"\{[^}]+\}", "00000000-0000-7000-8000-000000000000", self.path)
        try:
            name = resolve(example, settings.ROOT_URLCONF).view_name
        except Resolver404:
            return None
        return registry.code_for_route(name, self.method)

    def _is_versioned(self) -> bool:
        queryset = getattr(self.view, "queryset", None)
        return queryset is not None and hasattr(queryset.model, "revision")


@cache
def _owners() -> dict[str, set[str]]:
    """Name of a body's class → the apps that have one of that name."""
    found: dict[str, set[str]] = {}
    waiting: list[Any] = [StrictFields]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            waiting.append(cls)
            if cls.__module__.startswith("web."):
                found.setdefault(cls.__name__, set()).add(_app(cls))
    return found


def _app(cls: Any) -> str:
    """`CaseLinks` of web.tenant.case_links.api.serializers."""
    parts = cls.__module__.split(".")
    return "".join(word.title() for word in parts[2].split("_")) if len(parts) > 2 else ""


def _as_stored(schema: dict[str, Any], field: Any) -> dict[str, Any]:
    """`schema` with what the column may hold beside what may be written: null, and no choice at all."""
    column = _column(field)
    if column is None or "$ref" in schema:
        return schema
    if column.blank and column.choices and "" not in schema.get("enum", [""]):
        schema = {**schema, "enum": [*schema["enum"], ""]}
    return _or_null(schema) if column.null else schema


def _column(field: Any) -> Any:
    """The model's field that a body's field shows; None when it shows something else."""
    model = getattr(getattr(field.parent, "Meta", None), "model", None)
    if model is None or field.source == "*" or isinstance(field, SerializerMethodField):
        return None
    try:
        found = model._meta.get_field(field.source.removesuffix("_id"))
    except FieldDoesNotExist:
        return None
    return found if getattr(found, "concrete", False) and not found.many_to_many else None


def _without_zone(schema: dict[str, Any]) -> dict[str, Any]:
    """A time of day on the wall's clock: JSON Schema's own `time` has a zone."""
    return {name: said for name, said in schema.items() if name != "format"} | {"pattern": WALL_CLOCK}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema`, or null: what a redacted field answers."""
    kind = schema.get("type")
    joined = [one.get("type") for name in ("oneOf", "anyOf") for one in schema.get(name, ())]
    if "null" in joined or not {"type", "enum", "oneOf", "anyOf", "allOf", "$ref"} & schema.keys():
        return schema
    if kind is None or "enum" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    kinds = kind if isinstance(kind, list) else [kind]
    return schema if "null" in kinds else {**schema, "type": [*kinds, "null"]}


def _problem_response(text: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {CONTENT_TYPE: {"schema": reference}}}


def add_problem(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook: the one component that the responses above point at, and the examples."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    examples.fill(result)
    if "openapi" in result and FIRST_STEPS not in result["info"].get("description", ""):
        result["info"]["description"] = f"{result['info'].get('description', '')}\n\n{FIRST_STEPS}".strip()
    return result
