"""What a tenant adds to a contact: `custom_fields`, checked by a JSON Schema of its own.

The schema is data that an administrator writes, so only keywords that cannot reach out or run away are
taken: no references, no patterns. A property with `"x-sensitive": true` is shown to those alone who hold
`contacts.view_sensitive`. Contacts stored before a schema came are checked when somebody changes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from web.shared.api.problems import FieldError, Invalid
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.contacts.models import ContactFieldSchema

SENSITIVE = "x-sensitive"
ALLOWED = {
    "$schema", "title", "description", "type", "properties", "required", "additionalProperties", "items",
    "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "uniqueItems", "format", "default", "examples", SENSITIVE,
}  # fmt: skip
MAX_PROPERTIES, MAX_LEVELS, MAX_BYTES = 100, 5, 32_000
Check = Callable[[Mapping[str, Any]], None]


def current() -> ContactFieldSchema | None:
    """The schema in force, if the tenant has one."""
    return ContactFieldSchema.objects.filter(is_active=True).first()


def sensitive_names() -> frozenset[str]:
    """Custom fields that not everybody may see. One query."""
    row = current()
    properties = {} if row is None else row.schema.get("properties", {})
    return frozenset(name for name, one in properties.items() if isinstance(one, dict) and one.get(SENSITIVE))


def check(values: Mapping[str, Any]) -> None:
    """Raise Invalid, naming each field by pointer, unless `values` fit the schema in force."""
    checker()(values)


def checker() -> Check:
    """`check` against the schema that is in force now, for many values at once. One query."""
    row = current()
    if row is None:
        return lambda values: None
    return partial(_check, Draft202012Validator(row.schema))


def _check(validator: Draft202012Validator, values: Mapping[str, Any]) -> None:
    errors = [
        FieldError(
            "/custom_fields" + "".join(f"/{_escape(part)}" for part in error.absolute_path),
            "schema",
            f"Does not fit the schema's {error.validator}.",
        )
        for error in sorted(validator.iter_errors(dict(values)), key=lambda one: list(map(str, one.path)))
    ]
    if errors:
        raise Invalid(errors=errors)


def schema_set(*, actor: Actor, schema: Mapping[str, Any]) -> ContactFieldSchema:
    """Put a schema in force in place of the one before, which is kept."""
    check_schema(schema)
    with transaction.atomic():
        before = ContactFieldSchema.objects.select_for_update().filter(is_active=True).first()
        if before is not None and before.schema == dict(schema):
            return before
        if before is not None:
            base.update(before, actor=actor, values={"is_active": False})
        return base.create(ContactFieldSchema, actor=actor, values={"schema": dict(schema)})


def schema_remove(*, actor: Actor) -> None:
    """Let custom fields be anything again."""
    with transaction.atomic():
        before = ContactFieldSchema.objects.select_for_update().filter(is_active=True).first()
        if before is not None:
            base.update(before, actor=actor, values={"is_active": False})


def check_schema(schema: Any) -> None:
    """ValidationError unless `schema` describes an object with keywords that we take."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise _refused('The schema describes an object: its type is "object".')
    if len(json.dumps(schema)) > MAX_BYTES:
        raise _refused(f"At most {MAX_BYTES} bytes.")
    _check_keywords(schema, 0)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        raise _refused("Not a JSON Schema (2020-12).") from None


def _check_keywords(schema: Any, level: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping) or level > MAX_LEVELS:
        raise _refused(f"Schemas are objects, at most {MAX_LEVELS} levels deep.")
    strange = sorted(set(schema) - ALLOWED)
    if strange:
        raise _refused(f"These keywords are not taken: {', '.join(str(one)[:40] for one in strange[:5])}.")
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping) or len(properties) > MAX_PROPERTIES:
        raise _refused(f"Properties are an object of at most {MAX_PROPERTIES} names.")
    inner = [
        *properties.values(),
        *(schema[name] for name in ("items", "additionalProperties") if name in schema),
    ]
    for one in inner:
        _check_keywords(one, level + 1)


def _refused(text: str) -> ValidationError:
    return ValidationError({"schema": [ValidationError(text, code="invalid")]})


def _escape(part: Any) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
