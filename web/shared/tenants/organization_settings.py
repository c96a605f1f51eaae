"""The settings of an organisation: one JSON object with a schema, to which apps add what they read.

`setting("documents.keep_days", {"type": "integer", ...}, default=3650)` in an app's `ready()` declares a key;
`read(tenant, key)` gives its value or default. Keys that nobody declared are refused, so a misspelt one does
not lie there without effect.
"""

from __future__ import annotations

from typing import Any

import jsonschema
from django.core.exceptions import ValidationError

_declared: dict[str, tuple[dict[str, Any], Any]] = {}


def setting(key: str, schema: dict[str, Any], *, default: Any = None) -> None:
    """Declare `key`; twice and differently is an error. `schema` is JSON Schema and shown in the API."""
    if _declared.setdefault(key, (schema, default)) != (schema, default):
        raise ValueError(f"the setting {key} is declared twice, differently")


def json_schema() -> dict[str, Any]:
    """What an organisation's `settings` may be."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            key: schema | ({} if default is None else {"default": default})
            for key, (schema, default) in sorted(_declared.items())
        },
    }


def check(value: Any) -> None:
    """ValidationError on `settings` that says what is wrong, and with which key."""
    problems = sorted(
        jsonschema.Draft202012Validator(json_schema()).iter_errors(value), key=lambda one: list(one.path)
    )
    if problems:
        raise ValidationError(
            {"settings": [ValidationError(_said(one), code="invalid_setting") for one in problems[:20]]}
        )


def read(tenant: Any, key: str) -> Any:
    """The value of a declared key for this tenant; its default when it is not set."""
    schema_and_default = _declared[key]
    return tenant.settings.get(key, schema_and_default[1])


def _said(problem: Any) -> str:
    # jsonschema quotes the value, which may be long; its path and rule say enough.
    if problem.validator == "additionalProperties":
        strange = sorted(set(problem.instance) - set(problem.schema["properties"]))
        return f"There is no setting called {', '.join(strange)[:200]}."
    place = ".".join(str(part) for part in problem.path) or "settings"
    return f"{place} does not keep the rule {problem.validator}: {str(problem.validator_value)[:200]}."


setting("organization.address", {"type": "string", "maxLength": 500})
setting("organization.website", {"type": "string", "maxLength": 200, "pattern": "^https?://"})
setting("organization.contact_email", {"type": "string", "maxLength": 254, "pattern": "^[^@\\s]+@[^@\\s]+$"})
setting("organization.logo_url", {"type": "string", "maxLength": 500, "pattern": "^(https://|/)"})
setting("privacy.retention_days", {"type": "integer", "minimum": 30, "maximum": 36500}, default=3650)
setting("privacy.mask_numbers", {"type": "boolean"}, default=False)
setting("desk.announcement", {"type": "string", "maxLength": 1000})
