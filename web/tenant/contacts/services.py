"""Writing contacts.

A contact and its numbers are one thing to people, so one call writes both, in one transaction, under the
contact's lock. Numbers come in as typed and are stored as E.164.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from django.core.exceptions import ValidationError
from django.db import transaction

from web.shared.core import audit
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.contacts.choices import PhoneLabel
from web.tenant.contacts.models import Contact, ContactPhone
from web.tenant.contacts.phone_numbers import to_e164

MAX_PHONES = 20


class PhoneValues(TypedDict, total=False):
    """A number as it comes in: only `number` is needed."""

    number: str
    label: str
    is_primary: bool


def contact_create(
    *, actor: Actor, values: Mapping[str, Any], phones: Sequence[PhoneValues] = (), region: str
) -> Contact:
    """A contact with its numbers. ValidationError names the field that is wrong."""
    with transaction.atomic():
        contact = base.create(Contact, actor=actor, values=values)
        _replace_phones(contact, phones, region)
    return contact


def contact_update(
    *,
    actor: Actor,
    contact: Contact,
    values: Mapping[str, Any],
    phones: Sequence[PhoneValues] | None = None,
    region: str,
) -> Contact:
    """Change a contact; `phones` (when given) replaces all its numbers, as merge-patch does with a list."""
    with transaction.atomic():
        locked = base.lock(Contact.objects.all(), pk=contact.pk)
        base.update(locked, actor=actor, values=values)
        if phones is not None and _replace_phones(locked, phones, region):
            # The numbers are part of what If-Match protects.
            locked.updated_by_id = actor.user_id
            locked.save(update_fields=["updated_by"])
            changes = audit.changed_fields(["phones"])
            audit.record(actor=actor, action="update", obj=locked, changes=changes)
    return locked


def contact_delete(*, actor: Actor, contact: Contact) -> Contact:
    """Soft delete; its numbers stop matching calls because deleted contacts are not looked at."""
    return base.soft_delete(contact, actor=actor)


def _replace_phones(contact: Contact, phones: Sequence[PhoneValues], region: str) -> bool:
    """Make the numbers be `phones`; True when anything differed."""
    wanted = _normal(phones, region)
    present = [(row.number, row.label, row.is_primary) for row in contact.phones.order_by("id")]
    if wanted == present:
        return False
    contact.phones.all().delete()
    for number, label, is_primary in wanted:
        row = ContactPhone(contact=contact, number=number, label=label, is_primary=is_primary)
        row.full_clean(validate_constraints=False)
        row.save(force_insert=True)
    return True


def _normal(phones: Sequence[PhoneValues], region: str) -> list[tuple[str, str, bool]]:
    """(number, label, primary) of each, checked: every number once, exactly one primary when there is any."""
    if len(phones) > MAX_PHONES:
        raise base.refuse(phones=f"At most {MAX_PHONES} numbers.")
    rows: list[tuple[str, str, bool]] = []
    for phone in phones:
        try:
            number = to_e164(str(phone.get("number", "")), region)
        except ValidationError as wrong:
            raise ValidationError({"phones": wrong.error_list}) from None
        rows.append((number, phone.get("label") or PhoneLabel.MOBILE.value, bool(phone.get("is_primary"))))
    if len({number for number, _, _ in rows}) < len(rows):
        raise base.refuse(phones="The same number is there twice.")
    if sum(primary for _, _, primary in rows) > 1:
        raise base.refuse(phones="Only one number can be the primary one.")
    if rows and not any(primary for _, _, primary in rows):
        rows[0] = (*rows[0][:2], True)
    return rows
