"""Erasing a person, and giving them what is known about them.

Everything happens in one transaction: the other apps' erasers first, while the contact's numbers can still be
read, then the numbers' parties in the log, then the contact's own rows. The id stays, empty, so that counts
and histories stay true. Contacts that were merged into this one are the same person and go with it.

A hold stops all of it: the contact's own, or one that an app reports (an open court case). A number that
another living contact has too is theirs as well: of such a number only this contact's own calls are emptied.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from web.shared.api.problems import Conflict
from web.shared.core import audit, erasure, events, parties
from web.shared.core.actor import Actor
from web.shared.tenants import erasures
from web.shared.tenants.context import current_tenant_id
from web.tenant.contacts import merging
from web.tenant.contacts.models import (
    Contact,
    ContactConsent,
    ContactGroupMember,
    ContactMerge,
    ContactPhone,
    ContactRelationship,
)

_EMPTY: dict[str, Any] = {
    "first_name": "", "last_name": "", "email": "", "organization": "", "title": "", "address": "",
    "date_of_birth": None, "preferred_language": "", "preferred_contact_method": "", "time_zone": "",
    "custom_fields": {}, "tags": [], "pseudonym": "", "name_key": "", "search_text": "",
    "is_active": False, "is_anonymous": False,
}  # fmt: skip


class LegalHold(Conflict):
    code = "legal_hold"
    title = "A legal hold keeps this person's data"
    meaning = "`holds` lists who holds and why: [{by, reason}]. Every hold has to be released first."


def holds(contact: Contact) -> list[dict[str, str]]:
    """Why this contact may not be erased now: [{by, reason}]."""
    found = []
    for one in [contact, *_merged_here(contact)]:
        if one.legal_hold:
            found.append({"by": "contacts", "reason": one.legal_hold_reason})
        for name, reason in erasure.holds.items():
            if said := reason(one.pk):
                found.append({"by": name, "reason": said})
    return found


def erase(*, actor: Actor, contact_id: UUID) -> int:
    """Erase the contact for good; returns how many rows were emptied or removed.

    Raises Contact.DoesNotExist, or LegalHold. Erasing twice does nothing the second time.
    """
    with transaction.atomic():
        contact = Contact.all_objects.select_for_update(of=("self",)).get(pk=contact_id)
        if contact.erased_at is not None:
            return 0
        if found := holds(contact):
            raise LegalHold(holds=found, reason=found[0]["reason"])
        everybody = [*_merged_here(contact), contact]
        count = sum(_erase_one(actor, one) for one in everybody)
        audit.record(actor=actor, action="erase", obj=contact, changes={"rows": count})
        events.emit("contact.erased", obj=contact, actor=actor, data={"rows": count})
    return count


def export(contact: Contact) -> dict[str, list[dict[str, Any]]]:
    """What every app knows about this person: app → rows, as each app's exporter tells it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in [contact, *_merged_here(contact)]:
        for name, read in sorted(erasure.exporters.items()):
            found.setdefault(name, []).extend(read(one.pk))
    return found


def own_numbers(contact_id: UUID) -> list[str]:
    """The contact's numbers that no other living contact has."""
    mine = ContactPhone.objects.filter(contact=contact_id).values_list("number", flat=True)
    shared = ContactPhone.objects.filter(
        number__in=list(mine), contact__erased_at=None, contact__merged_into=None, contact__is_deleted=False
    ).exclude(contact=contact_id)
    return sorted(set(mine) - set(shared.values_list("number", flat=True)))


def _merged_here(contact: Contact) -> list[Contact]:
    """Contacts merged into this one, through any number of merges; one query for each step."""
    found: list[Contact] = []
    known, step = {contact.pk}, [contact.pk]
    while step:
        rows = list(Contact.all_objects.filter(merged_into__in=step).exclude(pk__in=known).order_by("pk"))
        found += rows
        step = [row.pk for row in rows]
        known |= set(step)
    return found


def _erase_one(actor: Actor, contact: Contact) -> int:
    tenant = str(current_tenant_id())
    count = sum(erase(contact.pk, actor) for erase in erasure.erasers.values())
    for number in own_numbers(contact.pk):
        count += sum(parties.erase(tenant, party) for party in parties.same_caller(tenant, number))
    count += _remove_rows(contact)
    for name, value in _EMPTY.items():
        setattr(contact, name, value)
    contact.erased_at = contact.deleted_at = timezone.now()
    contact.is_deleted = True
    contact.deleted_by_id = contact.updated_by_id = actor.user_id
    contact.save()
    _remember(tenant, contact.pk)
    return count + 1


def _remember(tenant: str, pk: UUID) -> None:
    """Into the ledger of erasures, which a restored backup is brought up to."""
    erasures.record(tenant, "contact", str(pk))


def _remove_rows(contact: Contact) -> int:
    """Rows of ours that tell about the person. Sealed answers to repeated requests go, too: they cannot be
    opened here, but the client that has the key could ask for them for another day."""
    count = 0
    for rows in (contact.phones, contact.addresses, contact.anonymous_numbers):
        count += rows.all().delete()[0]
    about = Q(from_contact=contact) | Q(to_contact=contact)
    count += ContactRelationship.all_objects.filter(about).delete()[0]
    count += ContactGroupMember.objects.filter(contact=contact).delete()[0]
    count += merging.forget([contact.pk])
    answers = apps.get_model("records", "IdempotencyKey").objects
    count += answers.filter(headers__Location__contains=str(contact.pk)).delete()[0]
    return count


# --- what contacts itself registers -----------------------------------------------------------------------


def exported(contact_id: UUID) -> list[dict[str, Any]]:
    """The contact with its numbers, addresses, relationships, groups, consents and merges."""
    contact = (
        Contact.all_objects.prefetch_related("phones", "addresses", "group_rows__group")
        .filter(pk=contact_id)
        .first()
    )
    if contact is None:
        return []
    columns = [
        *(name for name in _EMPTY if name not in ("name_key", "search_text")),
        "created_at",
        "updated_at",
    ]
    row: dict[str, Any] = {name: getattr(contact, name) for name in columns}
    row |= {"type": "contact", "id": contact.pk}
    row["phones"] = [_columns(one, "contact") for one in contact.phones.all()]
    row["addresses"] = [_columns(one, "contact") for one in contact.addresses.all()]
    row["groups"] = [one.group.name for one in contact.group_rows.all()]
    about = Q(from_contact=contact) | Q(to_contact=contact)
    relations = ContactRelationship.objects.filter(about)
    row["relationships"] = list(
        relations.values("from_contact", "to_contact", "relationship_type", "description", "created_at")
    )
    consents = ContactConsent.objects.filter(contact=contact).order_by("at", "id")
    row["consents"] = list(consents.values("purpose", "status", "at", "source", "expires_at", "recorded_at"))
    merges = ContactMerge.objects.filter(Q(winner=contact) | Q(loser=contact))
    row["merges"] = list(merges.values("winner", "loser", "created_at", "undone_at"))
    return [row]


def _columns(row: Any, *but: str) -> dict[str, Any]:
    return {
        field.name: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if field.name not in but
    }


def erase_again(contact_id: str, actor: Actor) -> None:
    """After a restore: empty a contact that had been erased, whatever the backup says of holds. Contacts that
    the backup has not are nobody's."""
    contact = Contact.all_objects.select_for_update(of=("self",)).filter(pk=contact_id).first()
    if contact is not None and contact.erased_at is None:
        count = sum(_erase_one(actor, one) for one in [*_merged_here(contact), contact])
        audit.record(actor=actor, action="erase", obj=contact, changes={"rows": count})


def register() -> None:
    erasure.exporter("contacts", exported)
    erasures.reapplier("contact", erase_again)
