"""Phone numbers, as people write them and as they are compared.

Stored numbers are E.164 ("+254712345678"). What a person types is read in the tenant's region, so a national
number becomes the same text. What a carrier sends as caller id is often neither: the last nine digits then
decide, because they survive every habit of prefixes ("0712…", "00254712…", "254712…").
"""

from __future__ import annotations

import re

import phonenumbers
from django.core.exceptions import ValidationError

SUFFIX_DIGITS = 9
_E164 = re.compile(r"\+[1-9][0-9]{2,14}")
_DIGITS = re.compile(r"[^0-9]")


def to_e164(text: str, region: str) -> str:
    """`text` as E.164, read in `region` (ISO 3166). ValidationError when it cannot be a phone number."""
    try:
        parsed = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        raise ValidationError("Not a phone number.", code="invalid_phone") from None
    if not phonenumbers.is_possible_number(parsed):
        raise ValidationError("Not a possible phone number.", code="invalid_phone")
    found = str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    if not is_e164(found):  # some countries' plans hold numbers that are longer than E.164 allows
        raise ValidationError("Not a possible phone number.", code="invalid_phone")
    return found


def is_e164(text: str) -> bool:
    return _E164.fullmatch(text) is not None


def guess_e164(text: str, region: str) -> str:
    """E.164 of what a carrier or a person wrote; empty when it names nobody (withheld, too short)."""
    try:
        return to_e164(text, region)
    except ValidationError:
        return ""


def reversed_suffix(text: str) -> str:
    """The last nine digits, last first; empty when there are fewer: short suffixes match strangers."""
    digits = _DIGITS.sub("", text)
    return digits[-SUFFIX_DIGITS:][::-1] if len(digits) >= SUFFIX_DIGITS else ""
