"""Callers who stay unnamed, and are known again.

A number's keyed hash says "the same caller" without the number; the key is the tenant's own, so two tenants
cannot compare. An anonymous contact is shown under a pseudonym made from that hash (or from its id while no
number is known), and its numbers are masked for whoever lacks `contacts.view_sensitive`. A contact may hold
nothing but the hash: then not even the database knows the number.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from django.db import connection

from telephony import sealing
from web.shared.core import keys
from web.shared.tenants.context import current_tenant_id
from web.tenant.contacts.models import AnonymousNumber, Contact

_LENGTHS = (4, 6, 8)


def digest(number: str) -> str:
    """The keyed hash of an E.164 number under the tenant's active key, hexadecimal."""
    return sealing.digest(keys.ring(str(current_tenant_id())), number).hex()


def digests(number: str) -> list[str]:
    """The same under every version of the key: what to look for."""
    return [one.hex() for one in sealing.digests(keys.ring(str(current_tenant_id())), number)]


def same_caller(number: str) -> Contact | None:
    """The anonymous contact that called from this number before; the oldest when there are several."""
    return same_callers([number]).get(number)


def same_callers(numbers: Iterable[str]) -> dict[str, Contact]:
    """As `same_caller`, for many at once; a number that nobody called from is left out."""
    wanted = {one: number for number in set(numbers) if number for one in digests(number)}
    if not wanted or not _stored(wanted):
        return {}
    rows = (
        AnonymousNumber.objects.select_related("contact")
        .filter(digest__in=list(wanted), contact__is_deleted=False)
        .order_by("-contact__created_at", "-id")
    )
    return {wanted[row.digest]: row.contact for row in rows}  # the last of a number is its oldest


def _stored(wanted: Iterable[str]) -> bool:
    """By hand: for most callers there is nothing to find, and the ORM takes longer than the database."""
    table = AnonymousNumber._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {table} WHERE digest = ANY(%s))", [list(wanted)])  # noqa: S608
        return bool(cursor.fetchone()[0])


def new_pseudonym(contact: Contact, number: str) -> str:
    """Hexadecimal characters that stay the contact's: four, more when another contact has the same four."""
    if number:
        seed = digest(number)
    else:
        key = digest("no number").encode()
        seed = hmac.new(key, str(contact.pk).encode(), hashlib.sha256).hexdigest()
    for length in _LENGTHS:
        said = seed[:length].upper()
        if not Contact.all_objects.filter(pseudonym=said).exclude(pk=contact.pk).exists():
            return said
    return seed[: _LENGTHS[-1]].upper()


def mask(number: str) -> str:
    """A number with only its last two digits left."""
    return "+" + "•" * max(len(number) - 3, 0) + number[-2:] if number else ""
