"""Writing contacts.

A contact, its numbers and its addresses are one thing to people, so one call writes them all, in one
transaction, under the contact's lock. Numbers come in as typed and are stored as E.164. A list of numbers
that is given replaces the one before, but what is known about a number that stays (its safe hours!) stays
too, unless the list says otherwise: a client that knows only numbers must not make a dangerous one look safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.core import audit, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.quotas import quota_check
from web.tenant.contacts import anonymity, custom_fields, searching
from web.tenant.contacts.choices import HoldReason, PhoneLabel
from web.tenant.contacts.models import AnonymousNumber, Contact, ContactAddress, ContactPhone
from web.tenant.contacts.phone_numbers import to_e164

MAX_PHONES = 20
MAX_ADDRESSES = 10
SAFETY = (
    "safe_to_call",
    "safe_to_leave_message",
    "safe_to_text",
    "conceal_caller",
    "safe_hours",
    "safety_note",
)
_PHONE = ("label", "is_primary", *SAFETY)
_ADDRESS = ("kind", "lines", "locality", "postal_code", "country", "location_id")


class PhoneValues(TypedDict, total=False):
    """A number as it comes in: only `number` is needed."""

    number: str
    label: str
    is_primary: bool
    safe_to_call: bool
    safe_to_leave_message: bool
    safe_to_text: bool
    conceal_caller: bool
    safe_hours: dict[str, Any]
    safety_note: str


def contact_create(
    *,
    actor: Actor,
    values: Mapping[str, Any],
    phones: Sequence[PhoneValues] = (),
    addresses: Sequence[Mapping[str, Any]] = (),
    region: str,
) -> Contact:
    """A contact with its numbers and addresses. ValidationError or Invalid names the field that is wrong;
    QuotaExceeded when the organisation has as many as it may."""
    if "custom_fields" in values:
        custom_fields.check(values["custom_fields"])
    with transaction.atomic():
        quota_check(str(current_tenant_id()), "contacts")
        contact = base.create(Contact, actor=actor, values=values)
        _replace_phones(contact, phones, region)
        _replace_addresses(contact, addresses)
        _finish(contact)
    return contact


def contact_update(
    *,
    actor: Actor,
    contact: Contact,
    values: Mapping[str, Any],
    phones: Sequence[PhoneValues] | None = None,
    addresses: Sequence[Mapping[str, Any]] | None = None,
    region: str,
) -> Contact:
    """Change a contact; `phones` and `addresses` (when given) replace all there are, as merge-patch does."""
    if "custom_fields" in values:
        custom_fields.check(values["custom_fields"])
    with transaction.atomic():
        locked = base.lock(Contact.objects.all(), pk=contact.pk)
        base.update(locked, actor=actor, values=values)
        changed = []
        if phones is not None and _replace_phones(locked, phones, region):
            changed.append("phones")
        if addresses is not None and _replace_addresses(locked, addresses):
            changed.append("addresses")
        if changed:
            # Both are part of what If-Match protects.
            locked.updated_by_id = actor.user_id
            locked.save(update_fields=["updated_by"])
            audit.record(actor=actor, action="update", obj=locked, changes=audit.changed_fields(changed))
            events.emit_for(locked, "updated", actor=actor, fields=changed)
        _finish(locked)
    return locked


def contact_delete(*, actor: Actor, contact: Contact) -> Contact:
    """Soft delete; its numbers stop matching calls because deleted contacts are not looked at."""
    return base.soft_delete(contact, actor=actor)


def anonymous_ensure(*, actor: Actor, number: str, region: str) -> tuple[Contact, bool]:
    """The anonymous contact of this number, made when there is none, and whether it was made.

    Only the number's keyed hash is stored. ValidationError when `number` cannot be one; QuotaExceeded.
    """
    try:
        e164 = to_e164(number, region)
    except ValidationError as wrong:
        raise ValidationError({"number": wrong.error_list}) from None
    with transaction.atomic():
        found = anonymity.same_caller(e164)
        if found is not None:
            return found, False
        quota_check(str(current_tenant_id()), "contacts")
        contact = base.create(Contact, actor=actor, values={"is_anonymous": True})
        AnonymousNumber.objects.create(contact=contact, digest=anonymity.digest(e164))
        _finish(contact, number=e164)
    return contact, True


# --- legal hold -------------------------------------------------------------------------------------------


def hold_set(*, actor: Actor, contact: Contact, reason: str) -> Contact:
    """Keep everything about this person until the hold is released: nothing of it is erased before."""
    if reason not in HoldReason.values:
        raise base.refuse(reason=f"One of: {', '.join(HoldReason.values)}.")
    with transaction.atomic():
        row = base.lock(Contact.objects.all(), pk=contact.pk)
        if not row.legal_hold or row.legal_hold_reason != reason:
            row.legal_hold, row.legal_hold_reason = True, reason
            row.legal_hold_at, row.legal_hold_by_id = timezone.now(), actor.user_id
            _save_hold(row, actor, "hold", {"reason": reason})
            events.emit("contact.held", obj=row, actor=actor, data={"reason": reason})
    return row


def hold_release(*, actor: Actor, contact: Contact) -> Contact:
    with transaction.atomic():
        row = base.lock(Contact.objects.all(), pk=contact.pk)
        if row.legal_hold:
            row.legal_hold, row.legal_hold_reason = False, ""
            row.legal_hold_at = row.legal_hold_by_id = None
            _save_hold(row, actor, "release", {})
            events.emit("contact.released", obj=row, actor=actor)
    return row


def _save_hold(row: Contact, actor: Actor, action: str, changes: dict[str, Any]) -> None:
    row.updated_by_id = actor.user_id
    row.save(
        update_fields=["legal_hold", "legal_hold_reason", "legal_hold_at", "legal_hold_by", "updated_by"]
    )
    audit.record(actor=actor, action=action, obj=row, changes=changes)


# --- numbers and addresses --------------------------------------------------------------------------------


def _finish(contact: Contact, number: str = "") -> None:
    """What follows from the row and its numbers: the pseudonym, once, and the texts that are searched."""
    if contact.is_anonymous and not contact.pseudonym:
        primary = contact.phones.filter(is_primary=True).values_list("number", flat=True).first()
        contact.pseudonym = anonymity.new_pseudonym(contact, number or primary or "")
        Contact.objects.filter(pk=contact.pk).update(pseudonym=contact.pseudonym)
    if contact.is_anonymous:
        _hash_numbers(contact)
    searching.index(contact)


def _hash_numbers(contact: Contact) -> None:
    """The hash stays when a number is taken away: it is still the same caller."""
    for number in contact.phones.values_list("number", flat=True):
        AnonymousNumber.objects.get_or_create(contact=contact, digest=anonymity.digest(number))


def _replace_phones(contact: Contact, phones: Sequence[PhoneValues], region: str) -> bool:
    """Make the numbers be `phones`; True when anything differed. Rows of numbers that stay keep their ids."""
    wanted = _normal(phones, region)
    present = {row.number: row for row in contact.phones.select_for_update()}
    gone = [row.pk for number, row in present.items() if number not in {one["number"] for one in wanted}]
    if gone:
        ContactPhone.objects.filter(pk__in=gone).delete()
    rows, changed = [], bool(gone)
    for values in wanted:
        row = present.get(values["number"]) or ContactPhone(contact=contact, number=values["number"])
        fresh = row._state.adding
        differing = [name for name in _PHONE if name in values and getattr(row, name) != values[name]]
        for name in differing:
            setattr(row, name, values[name])
        if fresh or differing:
            rows.append((row, fresh))
    # One primary number at a time: whoever loses the mark is written before whoever gets it.
    for row, fresh in sorted(rows, key=lambda one: one[0].is_primary):
        _clean("phones", row)
        row.save(force_insert=fresh)
    return changed or bool(rows)


def _normal(phones: Sequence[PhoneValues], region: str) -> list[dict[str, Any]]:
    """Each number checked, as E.164: every one once, exactly one primary when there is any."""
    if len(phones) > MAX_PHONES:
        raise base.refuse(phones=f"At most {MAX_PHONES} numbers.")
    rows: list[dict[str, Any]] = []
    for phone in phones:
        try:
            number = to_e164(str(phone.get("number", "")), region)
        except ValidationError as wrong:
            raise ValidationError({"phones": wrong.error_list}) from None
        row = {**phone, "number": number, "is_primary": bool(phone.get("is_primary"))}
        if "label" in row:
            row["label"] = row["label"] or PhoneLabel.MOBILE.value
        rows.append(row)
    if len({row["number"] for row in rows}) < len(rows):
        raise base.refuse(phones="The same number is there twice.")
    if sum(row["is_primary"] for row in rows) > 1:
        raise base.refuse(phones="Only one number can be the primary one.")
    if rows and not any(row["is_primary"] for row in rows):
        rows[0]["is_primary"] = True
    return rows


def _replace_addresses(contact: Contact, addresses: Sequence[Mapping[str, Any]]) -> bool:
    if len(addresses) > MAX_ADDRESSES:
        raise base.refuse(addresses=f"At most {MAX_ADDRESSES} addresses.")
    rows = [ContactAddress(contact=contact, **one) for one in addresses]
    present = list(contact.addresses.all())
    if [_said(row) for row in rows] == [_said(row) for row in present]:
        return False
    contact.addresses.all().delete()
    for row in rows:
        _clean("addresses", row)
        row.save(force_insert=True)
    return True


def _said(row: ContactAddress) -> list[Any]:
    return [getattr(row, name) for name in _ADDRESS]


def _clean(field: str, row: ContactPhone | ContactAddress) -> None:
    """full_clean, its errors told about the list that the row came in."""
    try:
        row.full_clean(exclude=["contact"], validate_constraints=False, validate_unique=False)
    except ValidationError as wrong:
        raise ValidationError(
            {field: [one for errors in wrong.error_dict.values() for one in errors]}
        ) from None
