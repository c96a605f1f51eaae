"""Is this person here already? Asked while somebody types.

Each thing that is known brings candidates by an index of its own: the number (exactly, then by its last nine
digits), the e-mail address, a name that looks like it, a date of birth. A candidate's score is what its
reasons weigh together, at most 1; a date of birth alone is no reason, half a village shares one. Numbers and
names of anonymous contacts bring nobody, unless the viewer may see them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, FloatField, Func, QuerySet, Value
from django.db.models.functions import Reverse

from web.tenant.contacts.models import Contact, ContactPhone
from web.tenant.contacts.phone_numbers import guess_e164, reversed_suffix
from web.tenant.contacts.searching import plain

MANY = 20
WEIGHTS = {"phone": 0.6, "phone_ending": 0.4, "email": 0.6, "name": 0.5, "date_of_birth": 0.25}
LIKENESS = 0.45
"""Names less alike than this are another name."""
MEANT = 0.22
"""A candidate below this is not shown."""


@dataclass(slots=True)
class Duplicate:
    """`reasons`: code → how strong, 0 to 1."""

    contact: Contact
    reasons: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        return round(min(1.0, sum(WEIGHTS[code] * much for code, much in self.reasons.items())), 3)


def find(
    *,
    phone: str = "",
    name: str = "",
    email: str = "",
    date_of_birth: date | None = None,
    region: str,
    unmasked: bool = False,
    but: UUID | None = None,
) -> list[Duplicate]:
    """Who it may be, likeliest first, at most MANY. One indexed query for each thing that is known."""
    everybody = Contact.objects.all() if unmasked else Contact.objects.filter(is_anonymous=False)
    if but is not None:
        everybody = everybody.exclude(pk=but)
    reasons: dict[UUID, dict[str, float]] = {}
    for code, pk, much in _candidates(everybody, phone, name, email, region):
        known = reasons.setdefault(pk, {})
        known[code] = max(known.get(code, 0.0), much)
    rows = everybody.filter(pk__in=list(reasons)).prefetch_related("phones", "addresses")
    found = [Duplicate(row, reasons[row.pk]) for row in rows]
    for one in found:
        if date_of_birth is not None and one.contact.date_of_birth == date_of_birth:
            one.reasons["date_of_birth"] = 1.0
    found = [one for one in found if one.score >= MEANT]
    return sorted(found, key=lambda one: (-one.score, str(one.contact.pk)))[:MANY]


def _candidates(
    everybody: QuerySet[Contact], phone: str, name: str, email: str, region: str
) -> list[tuple[str, UUID, float]]:
    found: list[tuple[str, UUID, float]] = []
    if phone:
        found += _by_phone(everybody, phone, region)
    if email:
        rows = everybody.filter(email__in={email, email.lower()}).values_list("pk", flat=True)
        found += [("email", pk, 1.0) for pk in rows[:MANY]]
    if len(plain(name)) >= 3:
        found += _by_name(everybody, plain(name))
    return found


def _by_phone(everybody: QuerySet[Contact], phone: str, region: str) -> list[tuple[str, UUID, float]]:
    exact = guess_e164(phone, region)
    owners = ContactPhone.objects.filter(number=exact).values("contact")
    found = [("phone", pk, 1.0) for pk in everybody.filter(pk__in=owners).values_list("pk", flat=True)[:MANY]]
    suffix = reversed_suffix(phone)
    if suffix and not found:
        ending: Any = ContactPhone.objects.annotate(backwards=Reverse("number"))
        ending = ending.filter(backwards__startswith=suffix).values("contact")
        rows = everybody.filter(pk__in=ending).values_list("pk", flat=True)[:MANY]
        found += [("phone_ending", pk, 1.0) for pk in rows]
    return found


class _Likeness(Func):
    function = "similarity"
    output_field = FloatField()


def _by_name(everybody: QuerySet[Contact], name: str) -> list[tuple[str, UUID, float]]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('pg_trgm.similarity_threshold', %s, true)", [str(LIKENESS)])
        # Words that begin with the same letters, in any order: a hundred times fewer to compare.
        for word in name.split()[:3]:
            everybody = everybody.filter(name_key__contains=f" {word[0]}")
        rows: Any = (
            everybody.extra(where=["contacts_contact.name_key %% %s"], params=[name])
            .annotate(likeness=_Likeness(F("name_key"), Value(name)))
            .order_by("-likeness", "pk")
            .values_list("pk", "likeness")
        )
        return [("name", pk, round(float(much), 3)) for pk, much in rows[:MANY]]
