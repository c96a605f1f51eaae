"""What people find a contact by.

Each contact carries two texts: `name_key`, the name in plain lower case without accents, compared by likeness
when duplicates are looked for; and `search_text`, everything a search may hit. Each word stands behind a
space, so that the trigram index also serves a word's first letter. Numbers stand there as digits without the
plus. Of an anonymous contact only the pseudonym is there: a search must not tell whose number or name it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Reverse

from web.tenant.contacts.models import Contact, ContactPhone
from web.tenant.contacts.phone_numbers import SUFFIX_DIGITS

MAX_WORDS = 6
SHORT = 3
"""A word below this has no trigram of its own; it is looked for where the words of a name begin."""
_NUMBER = re.compile(r"[+()0-9 ./-]+")
_NOT_DIGIT = re.compile(r"[^0-9]")


def plain(text: str) -> str:
    """Lower case, without accents, blanks single."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(bare.lower().split())


def texts(contact: Contact, numbers: Iterable[str]) -> dict[str, str]:
    """{name_key, search_text} of a contact with these numbers."""
    if contact.erased_at is not None:
        return {"name_key": "", "search_text": ""}
    if contact.is_anonymous:
        return {"name_key": "", "search_text": f" {plain(contact.name)}"}
    words = [contact.first_name, contact.last_name, contact.organization, contact.email]
    words += [number.lstrip("+") for number in numbers]
    name = plain(contact.real_name)
    return {"name_key": f" {name}" if name else "", "search_text": f" {plain(' '.join(words))}"}


def index(contact: Contact) -> None:
    """Bring both texts up to date, after any change of the row or of its numbers. Moves no revision."""
    found = texts(contact, contact.phones.values_list("number", flat=True))
    if any(getattr(contact, name) != value for name, value in found.items()):
        Contact.all_objects.filter(pk=contact.pk).update(**found)
        for name, value in found.items():
            setattr(contact, name, value)


def search(queryset: QuerySet[Contact], text: str) -> QuerySet[Contact]:
    """Contacts whose name, organisation, e-mail or number holds every word of `text` (the first six).

    A number may be typed in any national or international way: its last nine digits decide.
    """
    digits = _NOT_DIGIT.sub("", text)
    if len(digits) >= SUFFIX_DIGITS and _NUMBER.fullmatch(text.strip()):
        return _ending_in(queryset, digits[-SUFFIX_DIGITS:])
    for word in plain(text).split()[:MAX_WORDS]:
        queryset = queryset.filter(**_condition(word))
    return queryset


def _condition(word: str) -> dict[str, str]:
    digits = _NOT_DIGIT.sub("", word)
    if digits and _NUMBER.fullmatch(word):
        # Stored without the national 0: "0712" is looked for as "712".
        word = digits.lstrip("0") or digits
    if len(word) >= SHORT:
        return {"search_text__contains": word}
    # Of names alone: the domains of e-mail addresses begin with the same few letters everywhere.
    return {"name_key__contains": f" {word}"}


def _ending_in(queryset: QuerySet[Contact], suffix: str) -> QuerySet[Contact]:
    backwards: Any = ContactPhone.objects.annotate(backwards=Reverse("number"))
    owners = backwards.filter(backwards__startswith=suffix[::-1]).values("contact")
    return queryset.filter(pk__in=owners, is_anonymous=False)
