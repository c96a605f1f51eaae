"""Filling in a template: `Dear {{ name }}` and nothing more.

A template declares its variables; placeholders are those names between double braces. There is no attribute,
no call, no filter and no loop, so whoever writes a template can reach nothing but what is handed in. A
variable that is not declared is refused when the template is stored, one that is missing or strange when it
is rendered. In HTML every value is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from django.core.exceptions import ValidationError

from web.shared.api.problems import FieldError, Invalid
from web.tenant.communications.choices import TextFormat
from web.tenant.communications.models import MessageTemplate

MAX_VARIABLES, MAX_VALUE, MAX_RESULT = 50, 2000, 50_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PLACE = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,39})\s*\}\}")
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")


def check(variables: Any, texts: Mapping[str, str]) -> None:
    """ValidationError about `variables` or one of `texts` (field → text)."""
    if not isinstance(variables, list) or len(variables) > MAX_VARIABLES:
        raise _refused("variables", f"A list of at most {MAX_VARIABLES} names.")
    if any(not isinstance(name, str) or not _NAME.fullmatch(name) for name in variables):
        raise _refused("variables", "Names are lower case letters, digits and _, beginning with a letter.")
    if len(set(variables)) < len(variables):
        raise _refused("variables", "A name is there twice.")
    for field, text in texts.items():
        strange = sorted(set(_PLACE.findall(text)) - set(variables))
        if strange:
            raise _refused(field, f"Not declared in variables: {', '.join(strange)}.")
        if _BRACES.search(_PLACE.sub("", text)):
            raise _refused(field, "Only placeholders such as {{ name }} are understood.")


def render(template: MessageTemplate, values: Mapping[str, Any]) -> dict[str, str]:
    """{subject, content} with the values in place. Invalid names each value that is missing or unknown."""
    texts = _texts(template, values)
    html = template.format == TextFormat.HTML
    # A subject is one line of plain text whatever the content is.
    subject = _filled(template.subject, {name: " ".join(text.split()) for name, text in texts.items()})
    content = _filled(
        template.content, {name: escape(text) if html else text for name, text in texts.items()}
    )
    if len(content) > MAX_RESULT:
        raise Invalid(errors=[FieldError("/variables", "too_long", f"More than {MAX_RESULT} characters.")])
    return {"subject": subject[:255], "content": content}


def _texts(template: MessageTemplate, values: Mapping[str, Any]) -> dict[str, str]:
    declared = set(template.variables)
    errors = [
        FieldError(f"/variables/{name[:60]}", "unknown_variable", "This template has no such variable.")
        for name in sorted(set(values) - declared)
    ]
    errors += [
        FieldError(f"/variables/{name}", "required", "This variable needs a value.")
        for name in _needed(template)
        if name not in values
    ]
    texts = {}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > MAX_VALUE:
            said = f"A text of at most {MAX_VALUE} characters, or a number."
            errors.append(FieldError(f"/variables/{name[:60]}", "invalid", said))
        else:
            texts[name] = str(value)
    if errors:
        raise Invalid(errors=errors)
    return texts


def _needed(template: MessageTemplate) -> Iterable[str]:
    used = {*_PLACE.findall(template.subject), *_PLACE.findall(template.content)}
    return [name for name in template.variables if name in used]


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda found: values[found[1]], text)


def _refused(field: str, text: str) -> ValidationError:
    return ValidationError({field: [ValidationError(text, code="invalid")]})
