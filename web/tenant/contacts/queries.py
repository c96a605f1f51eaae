"""Reading contacts by number while a phone rings, and for other apps. `searching` serves the screens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Case, IntegerField, Prefetch, Q, QuerySet, Value, When
from django.db.models.functions import Reverse

from web.shared.core.viewer import Viewer
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import Tenant
from web.tenant.contacts import anonymity, consents, erasing, reach
from web.tenant.contacts.models import Contact, ContactPhone, ContactRelationship
from web.tenant.contacts.permissions import CONTACTS_VIEW_SENSITIVE
from web.tenant.contacts.phone_numbers import guess_e164, reversed_suffix
from web.tenant.reference_data import queries as reference_data

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


def with_lists(queryset: QuerySet[Contact]) -> QuerySet[Contact]:
    """With what the API shows of each contact beside its own row: two more queries however many there are. As
    plain lists: filling a related manager builds a queryset for each row, which takes longer than both."""
    return queryset.prefetch_related(
        *(Prefetch(name, to_attr=f"listed_{name}") for name in ("phones", "addresses"))
    )


def listed(contact: Contact, name: str) -> list[Any]:
    """The contact's `phones` or `addresses`; no query for a contact of `with_lists`."""
    rows: list[Any] | None = getattr(contact, f"listed_{name}", None)
    return list(getattr(contact, name).all()) if rows is None else rows


def summary(contact: Contact) -> dict[str, Any]:
    """What a ring card shows of a contact: {id, name, organization, preferred_language, tags}."""
    return {
        "id": str(contact.pk),
        "name": contact.name,
        "organization": contact.organization,
        "preferred_language": contact.preferred_language,
        "tags": list(contact.tags),
    }


def with_number(queryset: QuerySet[Contact], text: str) -> QuerySet[Contact]:
    """Contacts that have exactly the number that `text` means in the region of the tenant chosen."""
    number = guess_e164(text, region_of(str(current_tenant_id())))
    return queryset.filter(phones__number=number) if number else queryset.none()


def region_of(tenant_id: str) -> str:
    """How this tenant's people write national numbers: an ISO 3166 code. One query."""
    return str(Tenant.objects.values_list("region", flat=True).get(pk=tenant_id))


def exists(contact: Any) -> bool:
    return Contact.objects.filter(pk=contact).exists()


def known(contacts: Iterable[Any]) -> set[UUID]:
    """Those ids that are contacts here, neither deleted nor merged away. One query."""
    return set(Contact.objects.filter(pk__in=list(contacts)).values_list("pk", flat=True))


def names(contacts: Iterable[Any]) -> dict[UUID, str]:
    """Names as screens show them, by id; deleted, merged and erased contacts have one, too. One query."""
    return {row.pk: row.name for row in Contact.all_objects.filter(pk__in=list(contacts))}


def of_callers(numbers: Iterable[str]) -> dict[str, list[Contact]]:
    """Who calls from each number, best first: as `find_by_number`, else the anonymous contact that
    called from it before, else the number is left out. Two queries for any number of strangers."""
    asked = set(numbers)
    known = {number: find_by_number(number) for number in perhaps_known(asked)}
    named = {number: found for number, found in known.items() if found}
    unnamed = anonymity.same_callers(asked - named.keys())
    return named | {number: [contact] for number, contact in unnamed.items()}


def consent_holds(contact: Any, purpose: str, at: datetime | None = None) -> bool | None:
    """True: given. False: refused, withdrawn or expired. None: nobody asked."""
    return consents.holds(contact, purpose, at)


def may_reach(contact: Any, number: str, at: datetime, kind: str) -> tuple[bool, str]:
    """Whether the contact with this id may be reached on an E.164 number (empty for an e-mail) at `at`.

    `kind`: call, message, text or email. The reason is "ok" or the rule that says no. At most four queries.
    """
    row = Contact.all_objects.filter(pk=contact).first()
    if row is None:
        return False, "contact_gone"
    phone = row.phones.filter(number=number).first() if number else None
    return reach.may_reach(row, phone, at, kind)


def primary_number(contact: Any) -> str:
    """The number that the contact is called on first; empty when there is none."""
    found = ContactPhone.objects.filter(contact=contact, is_primary=True).values_list("number", flat=True)
    return found.first() or ""


def numbers_to_erase(contact: Any) -> list[str]:
    """The contact's numbers that no other living contact has: what an eraser may look for elsewhere."""
    return erasing.own_numbers(contact)


def summaries(contacts: Iterable[Any]) -> dict[UUID, dict[str, Any]]:
    """`summary` of each, by id. One query."""
    return {row.pk: summary(row) for row in Contact.all_objects.filter(pk__in=list(contacts))}


def contact(pk: Any) -> Contact:
    """One contact that is not deleted; raises Contact.DoesNotExist."""
    return Contact.objects.get(pk=pk)


def relatives(of: Contact) -> list[dict[str, Any]]:
    """{id, contact, relationship_type, description}: who stands how to this one. One query."""
    rows = (
        ContactRelationship.objects.select_related("from_contact", "to_contact")
        .filter(Q(from_contact=of) | Q(to_contact=of))
        .filter(from_contact__is_deleted=False, to_contact__is_deleted=False)
        .order_by("created_at", "id")
    )
    return [
        {
            "id": row.pk,
            "contact": row.from_contact if row.to_contact_id == of.pk else row.to_contact,
            "relationship_type": row.relationship_type if row.to_contact_id == of.pk else row.inverse_type,
            "description": row.description,
        }
        for row in rows
    ]


def known_locations(locations: Iterable[UUID]) -> set[UUID]:
    """Those ids that are places of the tenant's reference data. No query for none."""
    wanted = list(locations)
    if not wanted:
        return set()
    return set(reference_data.rows("location").filter(pk__in=wanted).values_list("pk", flat=True))


def matching(text: str) -> QuerySet[Contact]:
    """The contacts that a search for `text` finds, for whoever searches things that hang on contacts."""
    from web.tenant.contacts.searching import search

    return search(Contact.objects.all(), text)


def email_of(contact: Any) -> str:
    """The contact's e-mail address; empty when there is none."""
    return Contact.objects.filter(pk=contact).values_list("email", flat=True).first() or ""


def shown_address(contact: Contact, address: str, viewer: Viewer) -> str:
    """A number or address of the contact as this viewer may see it: masked when the contact is anonymous."""
    if not contact.is_anonymous or viewer.may(CONTACTS_VIEW_SENSITIVE):
        return address
    return anonymity.mask(address)
