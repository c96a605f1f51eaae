"""From a template to a text that one person may read.

A template holds `{{ name }}` and nothing else: no expressions, no attributes, no filters. The names are
declared (`variables`), so a rule with a misspelt one is refused when it is saved; `entity.title` is the
title of whatever the event speaks of, `task.title` the same where that is a task. Values are read from the
row while rendering, for a recipient who may see that row; the event itself holds no words.

Values are plain text on one line: control characters are gone and long ones cut, so that a name cannot add
a header to an e-mail or hide what follows. Whoever shows them escapes them as their medium needs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from web.shared.core import entities, events

_PLACE = re.compile(r"\{\{\s*([a-z][a-z0-9_.]*)\s*\}\}")
OF_ENTITY = ("title", "number", "name", "status", "priority", "due_date")
ALWAYS = ("event.label", "event.at", "recipient.name", "organisation.name")
_SOURCES = {
    "title": ("title", "subject"),
    "number": ("case_number", "number"),
    "name": ("name",),
    "status": ("status",),
    "priority": ("priority",),
    "due_date": ("due_date", "due_at"),
}
MAX_VALUE, MAX_TITLE, MAX_MESSAGE = 300, 200, 4_000


_ALIASES = {"sla": "case"}
_PARENTS = ("task", "case", "contact", "call", "document")


def entity_of(trigger: str) -> str:
    """The entity that events of this type speak of: their own, or the one that their data names."""
    prefix = trigger.partition(".")[0]
    name = _ALIASES.get(prefix, prefix)
    entry = events.catalogue.get(trigger)
    if name in entities.names() or entry is None:
        return name
    return next((parent for parent in _PARENTS if parent in entry.data), name)


def label_of(trigger: str) -> str:
    entry = events.catalogue.get(trigger)
    return trigger if entry is None else entry.label


def variables(trigger: str) -> tuple[str, ...]:
    """Every name that a template for this type of event may use."""
    own = (f"{entity_of(trigger)}.{name}" for name in OF_ENTITY)
    return (*own, *(f"entity.{name}" for name in OF_ENTITY), *ALWAYS)


def problems(template: str, trigger: str) -> list[str]:
    """What is wrong with a template, in sentences; empty when it may be used."""
    known = variables(trigger)
    found = [f"There is no variable {name[:64]}." for name in _PLACE.findall(template) if name not in known]
    rest = _PLACE.sub("", template)
    if "{{" in rest or "}}" in rest or "{%" in rest:
        found.append("A template holds {{ name }} and nothing else between braces.")
    return found


def values(
    *, trigger: str, at: datetime, row: Any, recipient: str, organisation: str, zone: ZoneInfo
) -> dict[str, str]:
    """The variables' values for one recipient. `row` is the entity's, or None when there is none."""
    found = {
        "event.label": label_of(trigger),
        "event.at": _shown(at, zone),
        "recipient.name": clean(recipient),
        "organisation.name": clean(organisation),
    }
    for name, sources in _SOURCES.items():
        value = _read(row, sources, zone)
        found[f"{entity_of(trigger)}.{name}"] = found[f"entity.{name}"] = value
    return found


def fill(template: str, names: Mapping[str, str], longest: int) -> str:
    """The template with its names replaced, once: what a value holds is never read as a template."""
    text = _PLACE.sub(lambda place: names.get(place[1], ""), template)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def clean(value: Any) -> str:
    """One line of visible text: no control, format or direction characters."""
    text = "".join(" " if char in "\r\n\t" else char for char in str(value)[: 4 * MAX_VALUE])
    text = "".join(char for char in text if unicodedata.category(char)[0] != "C")
    text = " ".join(text.split())
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _read(row: Any, sources: tuple[str, ...], zone: ZoneInfo) -> str:
    for source in sources:
        value = getattr(row, source, None)
        if value is None or callable(value):
            continue
        if isinstance(value, datetime):
            return _shown(value, zone)
        shown = getattr(row, f"get_{source}_display", None)
        return clean(shown() if shown is not None else value)
    return ""


def _shown(moment: datetime, zone: ZoneInfo) -> str:
    try:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
    except OverflowError:  # the first or the last day of all calendars
        return f"{moment:%Y-%m-%d %H:%M}"
