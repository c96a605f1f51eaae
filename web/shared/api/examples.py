"""Examples in the API's description: one for every body, said by its serializer or made from its schema.

A ModelBody or Body may carry `example = {...}`, a whole row as the API shows it; a request takes from it what
can be written. Where none is given, one is made from the schema: first choice of an enum, a name or number
that looks like what the field is called, bounds respected. Made examples are the same in each run, so the
committed description does not flicker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ID = "0199e9a1-6f1c-7c4e-8f57-1d3f0a5b7c21"
INSTANT = "2026-03-01T08:00:00Z"
_DEEPEST = 16
_FORMATS = {
    "uuid": ID,
    "date-time": INSTANT,
    "date": "2026-03-01",
    "time": "08:00:00",
    "email": "amina@example.org",
    "uri": "https://example.org/hook",
    "binary": "(the file)",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "decimal": "1.00",
}
# The last word of a field's name → what it may hold.
_PLAIN = ("example", "KE", "#336699", "1", "2026-01", "08:00", "en", "+254712345678", "A1", "")
_NAMES = {
    "first_name": "Amina",
    "last_name": "Otieno",
    "name": "Amina Otieno",
    "phone": "+254712345678",
    "number": "+254712345678",
    "email": "amina@example.org",
    "language": "en",
    "time_zone": "Africa/Nairobi",
    "url": "https://example.org/hook",
    "title": "Call back about the delivery",
    "subject": "Call back about the delivery",
    "description": "The caller asked for a call on Friday.",
    "note": "The caller asked for a call on Friday.",
    "code": "resolved",
    "next_cursor": "",
    "request_id": "5f0c3a9e1d2b4c68a7e0f1d2c3b4a596",
    "colour": "#336699",
    "color": "#336699",
    "region": "KE",
    "key": "example",
    "slug": "example",
}


def example_of(
    schema: Mapping[str, Any], components: Mapping[str, Any], name: str = "", depth: int = 0
) -> Any:
    """A value that fits `schema`; `components` are the description's schemas, `name` the field's."""
    if "$ref" in schema:
        title = schema["$ref"].rpartition("/")[2]
        return example_of(components.get(title, {}), components, name, depth + 1)
    for said in ("example", "default", "const"):
        if schema.get(said) not in (None, ""):
            return schema[said]
    if schema.get("examples"):
        said = schema["examples"][0]
        # What a row's example leaves out is made, as long as the row must have it.
        made = _by_type(schema, components, name, depth) if isinstance(said, dict) else {}
        needed = schema.get("required", ())
        return said if not made else {key: made[key] for key in made if key in needed} | said
    for joined in ("oneOf", "anyOf", "allOf"):
        if schema.get(joined):
            options = [one for one in schema[joined] if one.get("type") != "null"]
            options.sort(key=lambda one: one.get("maxLength") == 0)
            return example_of(options[0] if options else {}, components, name, depth)
    if schema.get("enum"):
        return next((one for one in schema["enum"] if one not in (None, "")), schema["enum"][0])
    return _by_type(schema, components, name, depth)


def _by_type(schema: Mapping[str, Any], components: Mapping[str, Any], name: str, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object":
        return {
            key: example_of(inner, components, key, depth + 1)
            for key, inner in schema.get("properties", {}).items()
            if depth < _DEEPEST
        }
    if kind == "array":
        if depth >= _DEEPEST or schema.get("maxItems") == 0:
            return []
        return [example_of(schema.get("items", {}), components, name.removesuffix("s"), depth + 1)]
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind == "boolean":
        return True
    return _text(schema, name) if kind == "string" else {} if kind == "" else None


def _number(schema: Mapping[str, Any], kind: str) -> Any:
    low, high = schema.get("minimum", 1), schema.get("maximum", 10**9)
    value = min(max(1, low), high)
    return int(value) if kind == "integer" else float(value)


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    words = name.split("_")
    found = next(
        (_NAMES[key] for n in range(len(words)) if (key := "_".join(words[n:])) in _NAMES), name or "text"
    )
    longest = schema.get("maxLength", 10_000)
    text = found[:longest].ljust(schema.get("minLength", 0), "x")
    if "pattern" in schema and not re.search(schema["pattern"], text):
        return next((one for one in _PLAIN if re.search(schema["pattern"], one)), text)
    return text


def fill(result: dict[str, Any]) -> None:
    """Give every body of the description an example. `result` is the finished OpenAPI document."""
    components = result.get("components", {}).get("schemas", {})
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            if not isinstance(operation, dict):
                continue
            bodies = [operation.get("requestBody", {})]
            bodies += [one for code, one in operation.get("responses", {}).items() if code < "400"]
            for body in bodies:
                for media in body.get("content", {}).values():
                    if "schema" in media and not {"example", "examples"} & media.keys():
                        media["example"] = example_of(media["schema"], components)
