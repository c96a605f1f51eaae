"""Many contacts at once: what an import writes with.

Rows are checked one by one and written by the thousand: contacts, numbers, audit rows and events, a statement
each. A row that is wrong is reported with its place and field and keeps no other
row out. With `skip_known` a row is left out when a contact has one of its numbers, or its e-mail, already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_date

from web.shared.api.problems import Invalid
from web.shared.core import audit, events
from web.shared.core.actor import Actor
from web.shared.core.ids import uuid7
from web.tenant.contacts import custom_fields, searching
from web.tenant.contacts.models import Contact, ContactPhone
from web.tenant.contacts.phone_numbers import to_e164

BATCH = 1000
MAX_ERRORS = 1000
_IMPORTED = {"how": "import"}
TEXTS = ("first_name", "last_name", "email", "organization", "title", "address", "preferred_language",
         "preferred_contact_method", "time_zone")  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """`errors`: {row, field, code}, the first MAX_ERRORS of them; `row` counts from 1."""

    written: int = 0
    skipped: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, row: int, problems: Iterable[tuple[str, str]]) -> None:
        self.refused += 1
        for name, code in problems:
            if len(self.errors) < MAX_ERRORS:
                self.errors.append({"row": row, "field": name, "code": code})


@dataclass(slots=True)
class _Row:
    contact: Contact
    phones: list[ContactPhone]


def write(
    *,
    actor: Actor,
    rows: Iterable[Mapping[str, Any]],
    region: str,
    skip_known: bool = False,
    dry_run: bool = False,
    first_row: int = 1,
    outcome: Outcome | None = None,
) -> Outcome:
    """Write contacts; one transaction for each BATCH. A row has the fields of a contact, all optional but one
    name: texts, `date_of_birth` (ISO 8601), `tags` (list, or text with commas), `custom_fields` (object),
    `phone`, and `phones` (list of numbers, or text with commas or semicolons)."""
    found = outcome or Outcome()
    has_schema = custom_fields.current() is not None
    source = iter(rows)
    at = first_row
    while batch := list(islice(source, BATCH)):
        made: list[_Row] = []
        for number, row in enumerate(batch, at):
            try:
                made.append(_read(row, region, has_schema))
            except ValidationError as wrong:
                found.refuse(number, _problems(wrong))
            except Invalid as wrong:
                found.refuse(number, [(one.pointer.lstrip("/"), one.code) for one in wrong.errors])
        at += len(batch)
        _write_batch(actor, made, found, skip_known=skip_known, dry_run=dry_run)
    return found


def _write_batch(
    actor: Actor, rows: Sequence[_Row], outcome: Outcome, *, skip_known: bool, dry_run: bool
) -> None:
    with transaction.atomic():
        fresh = _unknown(rows) if skip_known else list(rows)
        outcome.skipped += len(rows) - len(fresh)
        outcome.written += len(fresh)
        if dry_run or not fresh:
            return
        for row in fresh:
            row.contact.created_by_id = row.contact.updated_by_id = actor.user_id
        Contact.all_objects.bulk_create([row.contact for row in fresh])
        ContactPhone.objects.bulk_create([phone for row in fresh for phone in row.phones])
        audit.record_many(
            actor=actor,
            action="create",
            model=Contact,
            objects=[(row.contact.pk, _IMPORTED) for row in fresh],
        )
        told = [(row.contact.pk, {"fields": [], **row.contact.event_data()}) for row in fresh]
        events.emit_many("contact.created", actor=actor, objects=told)


def _unknown(rows: Sequence[_Row]) -> list[_Row]:
    """Rows of whose numbers and e-mail nobody has any, nor an earlier row of the batch. Two queries."""
    numbers = {phone.number for row in rows for phone in row.phones}
    emails = {row.contact.email for row in rows if row.contact.email}
    owned = ContactPhone.objects.filter(number__in=numbers, contact__is_deleted=False)
    known = set(owned.values_list("number", flat=True))
    known |= set(Contact.objects.filter(email__in=emails).values_list("email", flat=True))
    fresh = []
    for row in rows:
        keys = {phone.number for phone in row.phones} | ({row.contact.email} if row.contact.email else set())
        if keys.isdisjoint(known):
            fresh.append(row)
            known |= keys
    return fresh


def _read(values: Mapping[str, Any], region: str, has_schema: bool) -> _Row:
    """One row as unsaved objects. ValidationError or Invalid names the field."""
    contact = Contact(id=uuid7(), **{name: str(values.get(name) or "").strip() for name in TEXTS})
    contact.preferred_language = contact.preferred_language or "en"
    contact.date_of_birth = _date(values.get("date_of_birth"))
    contact.tags = _list(values.get("tags"), ",")
    contact.custom_fields = values.get("custom_fields") or {}
    if has_schema:
        custom_fields.check(contact.custom_fields)
    contact.clean_fields(exclude=_UNTOUCHED)
    contact.clean()
    numbers = _numbers(values, region)
    for name, text in searching.texts(contact, numbers).items():
        setattr(contact, name, text)
    phones = [
        ContactPhone(contact=contact, number=number, is_primary=n == 0) for n, number in enumerate(numbers)
    ]
    return _Row(contact, phones)


# Foreign keys ask the database each; these are set here or not at all.
_UNTOUCHED = [
    "created_by", "updated_by", "deleted_by", "legal_hold_by", "merged_into", "id", "created_at",
    "updated_at", "name_key", "search_text", "pseudonym", "revision",
]  # fmt: skip


def _numbers(values: Mapping[str, Any], region: str) -> list[str]:
    typed = [values["phone"]] if values.get("phone") else []
    more = values.get("phones") or []
    typed += more.replace(";", ",").split(",") if isinstance(more, str) else list(more)
    found: dict[str, None] = {}
    for text in typed:
        if str(text).strip():
            try:
                found[to_e164(str(text), region)] = None
            except ValidationError as wrong:
                raise ValidationError({"phone": wrong.error_list}) from None
    return list(found)


def _date(value: Any) -> Any:
    if not value:
        return None
    try:
        found = parse_date(str(value).strip())
    except ValueError:
        found = None
    if found is None or found > timezone.now().date():
        raise ValidationError({"date_of_birth": ValidationError("A day that was.", code="invalid")})
    return found


def _list(value: Any, separator: str) -> list[str]:
    parts = value.split(separator) if isinstance(value, str) else list(value or [])
    return [str(one).strip() for one in parts if str(one).strip()]


def _problems(wrong: ValidationError) -> list[tuple[str, str]]:
    if not hasattr(wrong, "error_dict"):
        return [("", one.code or "invalid") for one in wrong.error_list]
    return [(name, one.code or "invalid") for name, errors in wrong.error_dict.items() for one in errors]
