"""Forms of case types: which keywords a schema may use, and whether values fit it.

A schema comes from a tenant's administrator, so it is bounded: known keywords only, no references (nothing is
fetched), no regular expressions (some never end), limited size and depth. `"x-sensitive": true` on a property
of the top level hides it from people without cases.view_sensitive.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from web.shared.api.problems import FieldError, Invalid
from web.tenant.cases.models import CaseTypeForm
from web.tenant.cases.problems import refused
from web.tenant.reference_data import queries as reference

MAX_SIZE, MAX_DEPTH, MAX_ERRORS = 65_536, 8, 20
_PLAIN = {
    "$schema", "type", "required", "enum", "const", "title", "description", "default", "examples", "format",
    "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "dependentRequired",
    "x-sensitive", "x-order", "x-widget", "x-translations",
}  # fmt: skip
_ONE = {"items", "additionalProperties", "if", "then", "else", "not", "contains"}
_MANY = {"anyOf", "oneOf", "allOf"}
_NAMED = {"properties", "dependentSchemas"}


def check_schema(schema: Any, pointer: str = "/schema") -> None:
    """Raise Invalid unless `schema` is one that a form may have."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise refused(pointer, "invalid", "A JSON Schema of type object.")
    if len(json.dumps(schema)) > MAX_SIZE:
        raise refused(pointer, "too_large", f"At most {MAX_SIZE} characters.")
    for place, said in _strange(schema, pointer, 0):
        raise refused(place, "not_allowed", said)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as wrong:
        place = "".join(f"/{part}" for part in wrong.absolute_path)
        raise refused(f"{pointer}{place}", "invalid", "This is not JSON Schema (2020-12).") from None


def check_values(form: CaseTypeForm | None, values: Mapping[str, Any]) -> None:
    """Raise Invalid, naming each field by pointer, unless `values` fit the form. Without a form all do."""
    if form is None:
        return
    validator = Draft202012Validator(form.schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    errors = []
    for wrong in validator.iter_errors(dict(values)):
        place = "".join(f"/{_escape(part)}" for part in wrong.absolute_path)
        errors.append(FieldError(f"/custom_fields{place}", str(wrong.validator), _said(wrong)))
        if len(errors) == MAX_ERRORS:
            break
    if errors:
        raise Invalid(errors=errors)


def newest_for(case_type_id: uuid.UUID) -> CaseTypeForm | None:
    """The newest form of this type or of the nearest type above it that has one. Two queries."""
    above = reference.path("case_category", case_type_id)[::-1]
    found: dict[uuid.UUID, CaseTypeForm] = {}
    for form in CaseTypeForm.objects.filter(case_type_id__in=above).order_by("version"):
        found[form.case_type_id] = form
    return next((found[one] for one in above if one in found), None)


def sensitive_names() -> frozenset[str]:
    """Every name that some form of this tenant, present or past, calls sensitive. One query."""
    names: set[str] = set()
    for form in CaseTypeForm.all_objects.all():
        names |= form.sensitive
    return frozenset(names)


def _strange(schema: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:
    """(pointer, sentence) for each thing in `schema` that forms may not use."""
    if depth > MAX_DEPTH:
        yield place, f"At most {MAX_DEPTH} levels."
        return
    if not isinstance(schema, dict):
        return
    for name, inner in schema.items():
        at = f"{place}/{_escape(name)}"
        if name in _ONE:
            yield from _strange(inner, at, depth + 1)
        elif name in _MANY and isinstance(inner, list):
            for number, one in enumerate(inner):
                yield from _strange(one, f"{at}/{number}", depth + 1)
        elif name in _NAMED and isinstance(inner, dict):
            for key, one in inner.items():
                yield from _strange(one, f"{at}/{_escape(key)}", depth + 1)
        elif name not in _PLAIN:
            yield at, "Forms may not use this keyword."


def _said(wrong: Any) -> str:
    """What is wrong, without repeating what was typed."""
    limits = ("type", "format", "required", "enum", "minLength", "maxLength", "minimum", "maximum")
    if wrong.validator == "required":
        missing = [name for name in wrong.validator_value if name not in wrong.instance]
        return f"Missing: {', '.join(missing)}."
    if wrong.validator in limits:
        return f"Must fit {wrong.validator} {json.dumps(wrong.validator_value)[:200]}."
    return f"Does not fit the form's {wrong.validator}."


def _escape(name: Any) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
