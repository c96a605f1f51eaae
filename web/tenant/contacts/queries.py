"""Reading contacts: by number while a phone rings, by text on a screen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Reverse

from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import Tenant
from web.tenant.contacts.models import Contact, ContactPhone
from web.tenant.contacts.phone_numbers import guess_e164, reversed_suffix

MANY = 20
"""More contacts than this on one number help nobody who has a ringing phone in front of them."""


def find_by_number(number: str) -> list[Contact]:
    """Contacts with this number, best first; when none has exactly it, those whose last nine digits agree.

    `number` is what a carrier sent or E.164. Best means: active, then primary number, then touched last.
    One indexed query when the number is known, two when it is not. At most MANY.
    """
    exact = _ranked(Q(phones__number=number)) if number.startswith("+") else []
    suffix = reversed_suffix(number)
    if exact or not suffix:
        return exact
    matching = ContactPhone.objects.annotate(backwards=Reverse("number")).filter(backwards__startswith=suffix)
    return _ranked(Q(phones__in=list(matching.values_list("pk", flat=True)[:MANY])))


def perhaps_known(numbers: Iterable[str]) -> set[str]:
    """Those numbers for which `find_by_number` may find somebody; for the others it is sure to find nobody.

    One indexed query however many there are: a number that is stored exactly has its own last digits, too.
    """
    wanted = {number: reversed_suffix(number) for number in numbers if number}
    if not wanted:
        return set()
    endings = sorted({suffix for suffix in wanted.values() if suffix})
    short = [number for number, suffix in wanted.items() if not suffix]
    # By hand: for most callers this is all there is to find, and the ORM takes longer than the database.
    backwards = "".join(" OR reverse(number) LIKE %s" for _ in endings)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT number FROM {ContactPhone._meta.db_table} WHERE number = ANY(%s){backwards}",  # noqa: S608
            [short, *(f"{suffix}%" for suffix in endings)],
        )
        stored = {number for (number,) in cursor.fetchall()}
    ends = {reversed_suffix(number) for number in stored}
    return {number for number, suffix in wanted.items() if (suffix in ends if suffix else number in stored)}


def _ranked(condition: Q) -> list[Contact]:
    primary = Case(
        When(phones__is_primary=True, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    found = (
        Contact.objects.filter(condition)
        .annotate(rank=primary)
        .order_by("-is_active", "rank", "-updated_at", "-id")[:MANY]
    )
    return list({contact.pk: contact for contact in found}.values())


def summary(contact: Contact) -> dict[str, Any]:
    """What a ring card shows of a contact: {id, name, organization, preferred_language, tags}."""
    return {
        "id": str(contact.pk),
        "name": contact.name,
        "organization": contact.organization,
        "preferred_language": contact.preferred_language,
        "tags": list(contact.tags),
    }


def search(queryset: QuerySet[Contact], text: str) -> QuerySet[Contact]:
    """Contacts whose name, organisation, e-mail or number holds every word of `text`."""
    for word in text.split()[:5]:
        condition = Q(first_name__icontains=word) | Q(last_name__icontains=word)
        condition |= Q(organization__icontains=word) | Q(email__icontains=word)
        digits = re.sub(r"[^0-9]", "", word)
        if len(digits) >= 4:
            national = digits.lstrip("0")
            condition |= Q(pk__in=ContactPhone.objects.filter(number__contains=national).values("contact"))
        queryset = queryset.filter(condition)
    return queryset


def with_number(queryset: QuerySet[Contact], text: str) -> QuerySet[Contact]:
    """Contacts that have exactly the number that `text` means in the region of the tenant chosen."""
    number = guess_e164(text, region_of(str(current_tenant_id())))
    return queryset.filter(phones__number=number) if number else queryset.none()


def region_of(tenant_id: str) -> str:
    """How this tenant's people write national numbers: an ISO 3166 code. One query."""
    return str(Tenant.objects.values_list("region", flat=True).get(pk=tenant_id))


def exists(contact: Any) -> bool:
    return Contact.objects.filter(pk=contact).exists()


def contact(pk: Any) -> Contact:
    """One contact that is not deleted; raises Contact.DoesNotExist."""
    return Contact.objects.get(pk=pk)
