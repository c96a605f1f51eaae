"""What a new organisation finds: priorities with their hours, a small tree of case categories that serves a
helpline and a general service desk, the levels of places, and the lists that forms usually ask for.

`load` adds what is missing by code and never touches what is there, deleted rows included: what a tenant
threw away does not come back with the next release.
"""

from __future__ import annotations

from typing import Any

from web.shared.core.actor import Actor
from web.tenant.reference_data import services
from web.tenant.reference_data.choices import CategoryType
from web.tenant.reference_data.models import (
    CaseCategory,
    Priority,
    ReferenceData,
    ReferenceDataCategory,
)

# code, name, level, colour, hours until a case is to be resolved
PRIORITIES = (
    ("low", "Low", 1, "#6B7280", 168),
    ("medium", "Medium", 2, "#2563EB", 72),
    ("high", "High", 3, "#D97706", 24),
    ("critical", "Critical", 4, "#DC2626", 4),
)

# code, name, children
CATEGORIES: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "protection",
        "Protection",
        (
            ("violence-physical", "Physical violence"),
            ("violence-emotional", "Emotional violence"),
            ("violence-sexual", "Sexual violence"),
            ("neglect", "Neglect"),
            ("exploitation", "Exploitation"),
        ),
    ),
    (
        "wellbeing",
        "Health and wellbeing",
        (
            ("mental-health", "Mental health"),
            ("self-harm", "Self-harm and suicide"),
            ("health-physical", "Physical health"),
            ("relationships", "Family and relationships"),
        ),
    ),
    (
        "information",
        "Information and referral",
        (("legal-advice", "Legal advice"), ("education", "Education"), ("services", "Services nearby")),
    ),
    (
        "service",
        "Service request",
        (("question", "Question"), ("complaint", "Complaint"), ("feedback", "Praise and feedback")),
    ),
    ("no-case", "No case", (("silent", "Silent"), ("wrong-number", "Wrong number"), ("abusive", "Abusive"))),
)

# name, shown name, needed by the product, (code, name)
LISTS: tuple[tuple[str, str, bool, tuple[tuple[str, str], ...]], ...] = (
    (
        "location_level",
        "Levels of places",
        True,
        (("country", "Country"), ("state", "State or county"), ("district", "District"), ("area", "Area")),
    ),
    (
        "gender",
        "Gender",
        False,
        (("female", "Female"), ("male", "Male"), ("other", "Other"), ("unknown", "Not said")),
    ),
    (
        "age_group",
        "Age group",
        False,
        (("0-5", "0 to 5"), ("6-12", "6 to 12"), ("13-17", "13 to 17"), ("18-24", "18 to 24"),
         ("25-59", "25 to 59"), ("60-plus", "60 and over"), ("unknown", "Not said")),
    ),
    (
        "referral_source",
        "How they heard of us",
        False,
        (("radio", "Radio"), ("school", "School"), ("friend", "Friend or family"),
         ("social-media", "Social media"), ("poster", "Poster or leaflet"), ("other", "Other")),
    ),
)  # fmt: skip


def load(actor: Actor) -> int:
    """See services.defaults_load."""
    return _priorities(actor) + _categories(actor) + _lists(actor)


def _make(model: Any, actor: Actor, **values: Any) -> Any:
    return services.reference_create(model, actor=actor, values=values)


def _priorities(actor: Actor) -> int:
    codes = set(Priority.all_objects.values_list("code", flat=True))
    levels = set(Priority.objects.values_list("level", flat=True))
    missing = [one for one in PRIORITIES if one[0] not in codes and one[2] not in levels]
    for code, name, level, color, hours in missing:
        _make(Priority, actor, code=code, name=name, level=level, color=color, sla_hours=hours)
    return len(missing)


def _categories(actor: Actor) -> int:
    known = set(CaseCategory.all_objects.values_list("code", flat=True))
    made = 0
    for order, (code, name, children) in enumerate(CATEGORIES):
        if code in known:
            continue
        top = _make(CaseCategory, actor, code=code, name=name, sort_order=order * 10)
        fresh = [(number, child) for number, child in enumerate(children) if child[0] not in known]
        for number, (inner, label) in fresh:
            _make(CaseCategory, actor, code=inner, name=label, parent=top, sort_order=number * 10)
        made += 1 + len(fresh)
    return made


def _lists(actor: Actor) -> int:
    known = set(ReferenceDataCategory.all_objects.values_list("name", flat=True))
    made = 0
    for name, label, needed, items in LISTS:
        if name in known:
            continue
        values = {"display_name": label, "category_type": CategoryType.LIST, "is_system": needed}
        category = _make(ReferenceDataCategory, actor, name=name, **values)
        for number, (code, text) in enumerate(items):
            _make(ReferenceData, actor, category=category, code=code, name=text, sort_order=number * 10)
        made += 1 + len(items)
    return made
