"""What several apps ask of a JSON column."""

from __future__ import annotations

from django.core.exceptions import ValidationError

MAX_TAGS = 50
MAX_TAG_LENGTH = 50


def check_tags(value: object) -> None:
    """A list of short texts."""
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        raise ValidationError(f"A list of at most {MAX_TAGS} tags.", code="invalid")
    if any(not isinstance(tag, str) or not 0 < len(tag) <= MAX_TAG_LENGTH for tag in value):
        raise ValidationError(f"A tag is a text of 1 to {MAX_TAG_LENGTH} characters.", code="invalid")


def check_object(value: object) -> None:
    if not isinstance(value, dict):
        raise ValidationError("An object of names and values.", code="invalid")
