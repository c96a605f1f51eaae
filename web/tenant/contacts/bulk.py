"""Many contacts at once: what imports write with and exports read by.

A slice of checked rows is written with a statement per table: contacts, numbers, audit rows, events. Whoever
has one of a row's numbers, or its e-mail address, is taken for the same person: `skip` leaves the row out,
`update` lays it over what is there, `fail` refuses it. A row that is wrong keeps no other row out. New people
for whom the organisation's quota has no room are refused row by row; a dry run, whose slices are undone one
by one, judges each slice as if it were the first.

An export leaves anonymous contacts out for whoever may not see who they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers

from web.shared.api.fields import OneOf
from web.shared.api.problems import Invalid
from web.shared.api.serializers import Body
from web.shared.core import audit, copying, events, transfer
from web.shared.core.actor import Actor
from web.shared.core.ids import uuid7
from web.shared.core.transfer import Row, RowError, Written
from web.shared.core.validators import MAX_TAG_LENGTH, MAX_TAGS
from web.shared.core.viewer import Viewer
from web.shared.tenants import quotas
from web.shared.tenants.context import current_tenant_id
from web.tenant.contacts import bulk_updates, custom_fields, permissions, queries, searching, services
from web.tenant.contacts.bulk_updates import Read, phones_of
from web.tenant.contacts.choices import ContactMethod
from web.tenant.contacts.models import Contact, ContactPhone, check_time_zone
from web.tenant.contacts.phone_numbers import to_e164

_IMPORTED = {"how": "import"}
_LISTS = ("phones", "tags")


def _zone_or_empty(value: str) -> None:
    if value:
        check_time_zone(value)


class ContactRow(Body):
    """One row of an import. In CSV, lists are separated by semicolons and `custom_fields` is JSON."""

    first_name = serializers.CharField(max_length=100)
    last_name = serializers.CharField(max_length=100, allow_blank=True, default="")
    email = serializers.EmailField(max_length=254, allow_blank=True, default="")
    organization = serializers.CharField(max_length=200, allow_blank=True, default="")
    title = serializers.CharField(max_length=100, allow_blank=True, default="")
    address = serializers.CharField(max_length=2000, allow_blank=True, default="")
    date_of_birth = serializers.DateField(allow_null=True, default=None)
    preferred_language = serializers.CharField(max_length=10, default="")
    preferred_contact_method = OneOf(
        choices=[one for one in ContactMethod.choices if one[0]], allow_blank=True, default=""
    )
    time_zone = serializers.CharField(
        max_length=64,
        allow_blank=True,
        default="",
        validators=[_zone_or_empty],
    )
    phone = serializers.CharField(max_length=40, allow_blank=True, default="")
    phones = serializers.ListField(
        child=serializers.CharField(max_length=40), max_length=services.MAX_PHONES, default=list
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TAG_LENGTH), max_length=MAX_TAGS, default=list
    )
    custom_fields = serializers.DictField(default=dict)


def cells(row: dict[str, str]) -> dict[str, Any]:
    """A CSV row as the object that ContactRow checks. What is no JSON stays a text and is refused there."""
    found: dict[str, Any] = dict(row)
    for name in _LISTS:
        if name in found:
            found[name] = [one.strip() for one in found[name].split(";") if one.strip()]
    if "custom_fields" in found:
        try:
            found["custom_fields"] = json.loads(found["custom_fields"])
        except ValueError:
            pass
    return found


def write(rows: Sequence[Row], actor: Actor, on_conflict: str) -> Written:
    """Write a slice, in the caller's transaction, with as many statements for a thousand rows as for ten."""
    found = Written()
    read = _readable(rows, found)
    owners = _owners(read)
    fresh: list[Read] = []
    known_already: list[tuple[Read, UUID]] = []
    taken: set[str] = set()
    for one in read:
        known = {pk for key in one.keys for pk in owners.get(key, ())}
        if not known and one.keys.isdisjoint(taken):
            fresh.append(one)
            taken |= one.keys
        elif on_conflict == "skip":
            found.skipped += 1
        elif on_conflict == "update" and len(known) == 1:
            known_already.append((one, pk := known.pop()))
            for key in one.keys:  # what the row adds counts for those after it
                owners.setdefault(key, set()).add(pk)
        else:
            said = "Somebody has this number or e-mail address already."
            found.errors.append(RowError(one.row.number, "", "conflict", said))
    fresh = _that_fit(fresh, found)
    bulk_updates.lay_over(known_already, actor, found)
    _insert(fresh, actor)
    found.created += len(fresh)
    return found


def _that_fit(fresh: list[Read], found: Written) -> list[Read]:
    """As many as the quota has room for, the first ones; the others become errors."""
    if not fresh:
        return fresh
    room = quotas.room(str(current_tenant_id()), "contacts")
    if room is None or room >= len(fresh):
        return fresh
    said = "This organisation has as many contacts as it may have."
    found.errors += [RowError(one.row.number, "", quotas.QuotaExceeded.code, said) for one in fresh[room:]]
    return fresh[:room]


def _readable(rows: Sequence[Row], found: Written) -> list[Read]:
    """The rows whose numbers and custom fields are good; the others become errors."""
    region = queries.region_of(str(current_tenant_id()))
    check = custom_fields.checker()
    today = timezone.now().date()
    read = []
    for row in rows:
        try:
            numbers = _numbers(row.values, region)
            check(row.values["custom_fields"])
            if (born := row.values["date_of_birth"]) is not None and born > today:
                found.errors.append(RowError(row.number, "/date_of_birth", "invalid", "A day that was."))
                continue
            read.append(Read(row, numbers))
        except ValidationError as wrong:
            found.errors.append(RowError(row.number, "/phone", "invalid_phone", " ".join(wrong.messages)))
        except Invalid as wrong:
            found.errors += [RowError(row.number, one.pointer, one.code, one.detail) for one in wrong.errors]
    return read


def _numbers(values: Mapping[str, Any], region: str) -> list[str]:
    typed = [values["phone"], *values["phones"]]
    return list(dict.fromkeys(to_e164(text, region) for text in typed if text))


def _owners(read: Sequence[Read]) -> dict[str, set[UUID]]:
    """Number or e-mail → who has it. Two queries."""
    keys = {key for one in read for key in one.keys}
    phones = ContactPhone.objects.filter(number__in=keys, contact__is_deleted=False)
    found: dict[str, set[UUID]] = {}
    for key, pk in [
        *phones.values_list("number", "contact_id"),
        *Contact.objects.filter(email__in=keys).values_list("email", "pk"),
    ]:
        found.setdefault(key, set()).add(pk)
    return found


def _insert(rows: Sequence[Read], actor: Actor) -> None:
    if not rows:
        return
    contacts, phones = [], []
    nobody = Contact(created_by_id=actor.user_id, updated_by_id=actor.user_id)
    for one in rows:
        values = {name: value for name, value in one.row.values.items() if name not in ("phone", "phones")}
        values["preferred_language"] = values["preferred_language"] or nobody.preferred_language
        contact = copying.like(nobody, id=uuid7(), **values)
        for name, text in searching.texts(contact, one.numbers).items():
            setattr(contact, name, text)
        contacts.append(contact)
        phones += phones_of(contact.pk, one.numbers, first=True)
    with transaction.atomic():
        copying.insert(contacts)
        copying.insert(phones)
        audit.record_many(
            actor=actor, action="create", model=Contact, objects=[(row.pk, _IMPORTED) for row in contacts]
        )
        told = [(row.pk, {"fields": [], **row.event_data()}) for row in contacts]
        events.emit_many("contact.created", actor=actor, objects=told)


# --- out ----------------------------------------------------------------------------------------------------


def exportable(viewer: Viewer) -> QuerySet[Contact]:
    """What this viewer may take out."""
    rows = viewer.narrow(Contact.objects.all(), permissions.CONTACTS_VIEW)
    if not viewer.may(permissions.CONTACTS_VIEW_SENSITIVE):
        rows = rows.filter(is_anonymous=False)
    return rows.prefetch_related("phones")


def _primary(row: Contact) -> str:
    return next((phone.number for phone in row.phones.all() if phone.is_primary), "")


def _others(row: Contact) -> Iterable[str]:
    return [phone.number for phone in row.phones.all() if not phone.is_primary]


_SENSITIVE = dict.fromkeys(("address", "date_of_birth", "custom_fields"), permissions.CONTACTS_VIEW_SENSITIVE)
_COLUMNS: dict[str, Any] = {
    "id": "id",
    **{
        name: name
        for name in (
            "first_name", "last_name", "email", "organization", "title", "address", "date_of_birth",
            "preferred_language", "preferred_contact_method", "time_zone",
        )
    },
    "phone": _primary,
    "phones": _others,
    "tags": "tags",
    "custom_fields": "custom_fields",
    "is_active": "is_active",
    "created_at": "created_at",
    "updated_at": "updated_at",
}  # fmt: skip


def register() -> None:
    from web.tenant.contacts.api.views import ContactViewSet

    transfer.importer("contacts.import", row=ContactRow, write=write, cells=cells)
    transfer.exporter(
        "contacts.export",
        code=permissions.CONTACTS_EXPORT,
        queryset=exportable,
        columns=_COLUMNS,
        filters=ContactViewSet.filters,
        sensitive=_SENSITIVE,
    )
