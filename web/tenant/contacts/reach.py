"""May this person be reached, on this number, now, in this way?

The one question that whoever dials, texts or writes asks first; the answer names the rule that says no.
Rules, the strictest first: the contact is there; the number is theirs; the number's own flag; the consent to
this way of being reached was not refused, withdrawn or expired; the hour is safe. Nothing recorded means yes:
a tenant that needs consent first asks `consents.holds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import Tenant
from web.tenant.contacts import consents, safe_hours
from web.tenant.contacts.choices import ConsentPurpose, Reach
from web.tenant.contacts.models import Contact, ContactPhone

OK = "ok"
_PURPOSE = {
    Reach.CALL: ConsentPurpose.CALL,
    Reach.MESSAGE: ConsentPurpose.CALL,
    Reach.TEXT: ConsentPurpose.TEXT,
    Reach.EMAIL: ConsentPurpose.EMAIL,
}


@dataclass(frozen=True, slots=True)
class Reachable:
    """`reason`: "ok", or the rule that says no. `next_at`: when the hour will be safe, if that alone is
    missing. `conceal_caller`: if reached, never say who calls."""

    kind: str
    phone: ContactPhone | None
    allowed: bool
    reason: str
    next_at: datetime | None = None

    @property
    def conceal_caller(self) -> bool:
        return self.phone is not None and self.phone.conceal_caller


def may_reach(contact: Contact, phone: ContactPhone | None, at: datetime, kind: str) -> tuple[bool, str]:
    """(allowed, reason). `phone` is one of the contact's numbers, None for an e-mail. At most two queries."""
    found = check(contact, phone, at, kind, consents.states(contact.pk, at), zone_of(contact))
    return found.allowed, found.reason


def everything(contact: Contact, at: datetime, kinds: list[str]) -> list[Reachable]:
    """Each way by each number, and e-mail when the contact has an address. Three queries."""
    agreed, zone = consents.states(contact.pk, at), zone_of(contact)
    phones = list(contact.phones.all())
    found = [
        check(contact, phone, at, kind, agreed, zone)
        for kind in kinds
        if kind != Reach.EMAIL
        for phone in phones
    ]
    if Reach.EMAIL in kinds and contact.email:
        found.append(check(contact, None, at, Reach.EMAIL.value, agreed, zone))
    return found


def check(
    contact: Contact,
    phone: ContactPhone | None,
    at: datetime,
    kind: str,
    agreed: dict[str, bool | None],
    zone: str,
) -> Reachable:
    """The rules, on what the caller has read."""
    way = Reach(kind)
    reason = _refusal(contact, phone, way) or ("no_consent" if agreed.get(_PURPOSE[way]) is False else "")
    if reason:
        return Reachable(kind, phone, False, reason)
    if phone is not None and not safe_hours.open_at(phone.safe_hours, at, zone):
        later = safe_hours.next_opening(phone.safe_hours, at, zone)
        return Reachable(kind, phone, False, "outside_safe_hours", later)
    return Reachable(kind, phone, True, OK, at)


def _refusal(contact: Contact, phone: ContactPhone | None, way: Reach) -> str:
    if contact.erased_at is not None or contact.is_deleted or contact.merged_into_id is not None:
        return "contact_gone"
    if not contact.is_active:
        return "contact_inactive"
    if way is Reach.EMAIL:
        return "" if contact.email else "no_address"
    if phone is None or phone.contact_id != contact.pk:
        return "not_their_number"
    if way is Reach.TEXT:
        return "" if phone.safe_to_text else "not_safe_to_text"
    if not phone.safe_to_call:
        return "not_safe_to_call"
    # A message left says who called, so a number that must not know is none to leave one at.
    if way is Reach.MESSAGE and (phone.conceal_caller or not phone.safe_to_leave_message):
        return "not_safe_to_leave_message"
    return ""


def zone_of(contact: Contact) -> str:
    """The contact's own zone, or the organisation's."""
    if contact.time_zone:
        return contact.time_zone
    return str(Tenant.objects.values_list("time_zone", flat=True).get(pk=str(current_tenant_id())))
