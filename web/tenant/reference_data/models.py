"""Lookup data of a tenant: case categories, priorities, places, and lists of the tenant's own making.

Rows are pointed at for years, so they keep their ids: a rename changes the name only, a row in use is
switched off (`is_active`) instead of deleted, and two that mean the same are merged: everything that pointed
at one points at the other, and `merged_into` remembers where it went.

Trees hang by `parent`. Nothing repeats the path: a subtree is one recursive query (queries.py), and the one
writer that may make a cycle or too deep a tree (services.py) takes a lock per tree before it looks.

Codes are for machines and unique among the rows that are not deleted; `translations` is {"sw": "Ukatili"}.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from web.shared.core.models import BaseModel
from web.tenant.reference_data.choices import CategoryType

MAX_LANGUAGES = 50
MAX_METADATA = 8_000
ALIVE = models.Q(is_deleted=False)

check_code = RegexValidator(r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z", "Letters, digits, '_', '-' and '.'.")
check_name = RegexValidator(r"\A[a-z][a-z0-9_-]*\Z", "Small letters, digits, '_' and '-'.")
check_color = RegexValidator(r"\A#[0-9A-Fa-f]{6}\Z", "A colour as '#' and six hexadecimal digits.")
_language = RegexValidator(r"\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}\Z", "A language tag such as 'sw'.")


def check_translations(value: object) -> None:
    """{language tag: text of 1 to 255 characters}."""
    if not isinstance(value, dict) or len(value) > MAX_LANGUAGES:
        raise ValidationError(f"An object of at most {MAX_LANGUAGES} languages.", code="invalid")
    for language, text in value.items():
        _language(language)
        if not isinstance(text, str) or not 0 < len(text) <= 255:
            raise ValidationError("A translation is a text of 1 to 255 characters.", code="invalid")


def check_metadata(value: object) -> None:
    """An object, small: it travels with every list."""
    if not isinstance(value, dict) or len(str(value)) > MAX_METADATA:
        raise ValidationError(f"An object of at most {MAX_METADATA} characters.", code="invalid")


def _unique(field: str, *others: str, name: str, **condition: Any) -> models.UniqueConstraint:
    return models.UniqueConstraint(
        fields=[*others, field],
        condition=ALIVE & models.Q(**condition) if condition else ALIVE,
        name=name,
        violation_error_code="unique",
        violation_error_message="Another row has this already.",
    )


class ReferenceModel(BaseModel):
    """What all kinds share. `tree`: rows have a `parent`; `label_field`: what `translations` translate."""

    tree: ClassVar[bool] = False
    label_field: ClassVar[str] = "name"

    translations = models.JSONField(default=dict, blank=True, validators=[check_translations])
    is_active = models.BooleanField(default=True)
    merged_into = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta(BaseModel.Meta):
        abstract = True

    def event_data(self) -> dict[str, Any]:
        return {"is_active": self.is_active}

    def label_in(self, languages: list[str]) -> str:
        """The name in the first of `languages` that there is a translation for, else as it was given."""
        for language in languages:
            for wanted in (language, language.partition("-")[0]):
                if found := self.translations.get(wanted):
                    return str(found)
        return str(getattr(self, self.label_field))


class CaseCategory(ReferenceModel):
    event_name = "case_category"
    tree = True

    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=2000)
    code = models.CharField(max_length=20, validators=[check_code])
    color = models.CharField(max_length=7, default="#0066CC", validators=[check_color])
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    sort_order = models.PositiveIntegerField(default=0)

    class Meta(ReferenceModel.Meta):
        constraints = [_unique("code", name="one_case_category_per_code")]


class Priority(ReferenceModel):
    """`level`: 1 is the lowest. `sla_hours`: within how many hours such a case is to be resolved."""

    event_name = "priority"

    name = models.CharField(max_length=50)
    code = models.CharField(max_length=20, blank=True, validators=[check_code])
    level = models.PositiveIntegerField()
    color = models.CharField(max_length=7, default="#0066CC", validators=[check_color])
    sla_hours = models.PositiveIntegerField()

    class Meta(ReferenceModel.Meta):
        verbose_name_plural = "priorities"
        constraints = [
            _unique("level", name="one_priority_per_level"),
            _unique("code", name="one_priority_per_code", code__gt=""),
        ]


class Location(ReferenceModel):
    """`type`: the code of an item of the category `location_level`, which orders the levels."""

    event_name = "location"
    tree = True

    name = models.CharField(max_length=100)
    type = models.CharField(max_length=20, validators=[check_code])
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    code = models.CharField(max_length=10, blank=True, validators=[check_code])
    sort_order = models.PositiveIntegerField(default=0)

    class Meta(ReferenceModel.Meta):
        constraints = [_unique("code", name="one_location_per_code", code__gt="")]
        indexes = [models.Index(fields=["type", "name"], name="location_by_type")]


class ReferenceDataCategory(ReferenceModel):
    """A list of the tenant's own: programs call it by `name` ("gender"). System ones cannot be deleted."""

    event_name = "reference_category"
    label_field = "display_name"

    name = models.CharField(max_length=50, validators=[check_name])
    display_name = models.CharField(max_length=100)
    category_type = models.CharField(max_length=20, choices=CategoryType.choices, default=CategoryType.LIST)
    description = models.TextField(blank=True, max_length=2000)
    is_system = models.BooleanField(default=False, editable=False)

    class Meta(ReferenceModel.Meta):
        verbose_name_plural = "reference data categories"
        constraints = [_unique("name", name="one_reference_category_per_name")]


class ReferenceData(ReferenceModel):
    """One entry of such a list; `metadata` is the tenant's to fill."""

    event_name = "reference_item"
    tree = True

    category = models.ForeignKey(ReferenceDataCategory, on_delete=models.PROTECT, related_name="items")
    code = models.CharField(max_length=50, blank=True, validators=[check_code])
    name = models.CharField(max_length=255)
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    sort_order = models.IntegerField(default=0)
    metadata = models.JSONField(default=dict, blank=True, validators=[check_metadata])

    class Meta(ReferenceModel.Meta):
        verbose_name_plural = "reference data"
        constraints = [_unique("code", "category", name="one_reference_item_per_code", code__gt="")]
        indexes = [models.Index(fields=["category", "sort_order", "name"], name="reference_item_by_order")]

    def event_data(self) -> dict[str, Any]:
        return {"is_active": self.is_active, "category": str(self.category_id)}
