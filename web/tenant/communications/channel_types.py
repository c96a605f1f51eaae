"""What each type of channel is configured with, and which of it is secret.

`configuration` is checked by a JSON Schema per type, closed: what is not named there is refused, so a secret
cannot be put into it by mistake. Secrets are named per type, go in through `secrets`, are sealed under the
tenant's key and come out again only where a provider is called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from web.shared.api.problems import FieldError, Invalid
from web.shared.core import sealed
from web.shared.tenants.context import current_tenant_id
from web.tenant.communications.models import Channel

_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
_LONG = {"type": "string", "maxLength": 2000}
_HOST = {"type": "string", "pattern": r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$", "maxLength": 253}
_EMAIL = {"type": "string", "pattern": r"^[^@\s<>\"]{1,64}@[A-Za-z0-9.-]{1,189}$"}
_ORIGIN = {"type": "string", "pattern": r"^https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$"}


@dataclass(frozen=True, slots=True)
class Kind:
    """`html`: whether messages may be HTML. `reach`: how contacts call being reached by it, if they do."""

    properties: Mapping[str, Any]
    required: tuple[str, ...] = ()
    secrets: frozenset[str] = field(default_factory=frozenset)
    html: bool = False
    reach: str = ""

    @property
    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }


_PROVIDER = {"provider": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"}}
_SOCIAL = {**_PROVIDER, "page_id": _TEXT}

KINDS: dict[str, Kind] = {
    "sms": Kind({**_PROVIDER, "sender": _TEXT}, secrets=frozenset({"api_key", "api_secret"}), reach="text"),
    "whatsapp": Kind(
        {**_PROVIDER, "phone_number_id": _TEXT, "business_account_id": _TEXT},
        secrets=frozenset({"access_token", "app_secret", "verify_token"}),
        reach="text",
    ),
    "email": Kind(
        {
            **_PROVIDER,
            "from_address": _EMAIL,
            "from_name": _TEXT,
            "reply_to": _EMAIL,
            "host": _HOST,
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "username": _TEXT,
            "security": {"enum": ["none", "starttls", "tls"]},
            "signature": _LONG,
        },
        secrets=frozenset({"password"}),
        html=True,
        reach="email",
    ),
    "webchat": Kind(
        {
            **_PROVIDER,
            "allowed_origins": {"type": "array", "items": _ORIGIN, "maxItems": 20},
            "greeting": _LONG,
        }
    ),
    "facebook": Kind(_SOCIAL, secrets=frozenset({"page_token", "app_secret", "verify_token"})),
    "instagram": Kind(_SOCIAL, secrets=frozenset({"page_token", "app_secret", "verify_token"})),
    "twitter": Kind(
        {**_PROVIDER, "account_id": _TEXT},
        secrets=frozenset({"consumer_secret", "access_token", "access_token_secret"}),
    ),
}
MAX_SECRET = 4000


def check(kind: str, configuration: Mapping[str, Any]) -> None:
    """Raise Invalid, naming each field by pointer, unless the configuration fits the type."""
    validator = Draft202012Validator(KINDS[kind].schema)
    errors = [
        FieldError("/configuration" + "".join(f"/{part}" for part in error.absolute_path), "schema", said)
        for error in sorted(
            validator.iter_errors(dict(configuration)), key=lambda one: list(map(str, one.path))
        )
        for said in [_said(error, kind)]
    ]
    if errors:
        raise Invalid(errors=errors)


def _said(error: Any, kind: str) -> str:
    if error.validator in ("additionalProperties", "required"):
        return f"{kind} has these: {', '.join(sorted(KINDS[kind].properties))}."
    return f"Does not fit the schema's {error.validator}."


def sealed_with(channel: Channel, given: Mapping[str, Any]) -> tuple[bytes | None, list[str]]:
    """(sealed, names) after `given` is laid over what the channel holds; null takes a secret away."""
    unknown = sorted(set(given) - KINDS[channel.type].secrets)
    if unknown:
        known = ", ".join(sorted(KINDS[channel.type].secrets)) or "none"
        said = f"Secrets of this type: {known}."
        raise Invalid(errors=[FieldError(f"/secrets/{name}", "unknown_field", said) for name in unknown])
    held = secrets_of(channel)
    for name, value in given.items():
        if value is None:
            held.pop(name, None)
        elif isinstance(value, str) and 0 < len(value) <= MAX_SECRET:
            held[name] = value
        else:
            said = f"A text of at most {MAX_SECRET} characters."
            raise Invalid(errors=[FieldError(f"/secrets/{name}", "invalid", said)])
    if not held:
        return None, []
    text = json.dumps(held, sort_keys=True).encode()
    return sealed.seal(str(current_tenant_id()), _purpose(channel), text), sorted(held)


def secrets_of(channel: Channel) -> dict[str, str]:
    """The channel's secrets, clear: for providers alone."""
    if channel.secrets is None:
        return {}
    clear = sealed.unseal(str(current_tenant_id()), _purpose(channel), bytes(channel.secrets))
    found: dict[str, str] = json.loads(clear)
    return found


def _purpose(channel: Channel) -> str:
    return f"channel {channel.pk}"
