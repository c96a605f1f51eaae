"""Two contacts that are one person, and taking that back.

The winner keeps its id and gets everything that pointed at the loser. Where both say something, the winner's
word stands unless `fields` chooses the other's; where only one says it, that is kept; of safety flags, safe
hours and consents the stricter wins, because the mistake that hurts is a call that should not have been made.
The loser's row stays as it was, marked with where it went, and answers with the winner's id.

A merge remembers each row it changed, before and after. Undoing puts them back, as long as they are still as
the merge left them; otherwise it changes nothing and names what stands in the way. Undone in reverse order,
any row of merges gives back what there was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from web.shared.api.problems import Conflict, FieldError, Invalid
from web.shared.core import audit, erasure, events
from web.shared.core.actor import Actor
from web.tenant.contacts import consents, custom_fields, safe_hours, searching, snapshots
from web.tenant.contacts.choices import ConsentSource, ConsentStatus, inverse
from web.tenant.contacts.models import (
    AnonymousNumber,
    Contact,
    ContactAddress,
    ContactConsent,
    ContactGroupMember,
    ContactMerge,
    ContactPhone,
    ContactRelationship,
)

CHOOSABLE = (
    "first_name", "last_name", "email", "organization", "title", "address", "date_of_birth",
    "preferred_language", "preferred_contact_method", "time_zone", "custom_fields",
)  # fmt: skip
TABLES: dict[str, Any] = {
    "contact": Contact,
    "phone": ContactPhone,
    "address": ContactAddress,
    "relationship": ContactRelationship,
    "group_member": ContactGroupMember,
    "consent": ContactConsent,
    "anonymous_number": AnonymousNumber,
}


class CannotUndo(Conflict):
    """`in_the_way` names what changed since: [{object, id, fields}]."""

    code = "merge_cannot_be_undone"
    title = "This merge cannot be undone any more"
    meaning = "What the merge wrote was changed since. `in_the_way` names each object and its fields."


def merge(
    *, actor: Actor, winner_id: UUID, loser_id: UUID, fields: Mapping[str, str] | None = None
) -> ContactMerge:
    """Merge the loser into the winner. `fields`: name → "other" to take the loser's value.

    Raises Contact.DoesNotExist for a winner, Invalid for a loser or a choice that cannot be.
    """
    if winner_id == loser_id:
        raise Invalid(errors=[FieldError("/other", "invalid", "A contact is not merged into itself.")])
    with transaction.atomic():
        both = Contact.objects.select_for_update(of=("self",)).filter(pk__in=[winner_id, loser_id])
        rows = {row.pk: row for row in both.order_by("pk")}
        if winner_id not in rows:
            raise Contact.DoesNotExist
        if loser_id not in rows:
            raise Invalid(errors=[FieldError("/other", "does_not_exist", "There is no such object.")])
        winner, loser = rows[winner_id], rows[loser_id]
        before = _snapshot(winner, loser)
        _merge_rows(actor, winner, loser, dict(fields or {}))
        apps = {name: move(loser.pk, winner.pk) for name, (move, _) in erasure.mergers.items()}
        record = {"tables": _changes(before, _snapshot(winner, loser)), "apps": apps}
        made = ContactMerge.objects.create(
            winner=winner, loser=loser, record=record, created_by_id=actor.user_id
        )
        _tell(actor, "merge", "contact.merged", made)
    return made


def undo(*, actor: Actor, merge_id: UUID) -> ContactMerge:
    """Put everything back. CannotUndo when that is not possible, and then nothing has changed."""
    with transaction.atomic():
        made = ContactMerge.objects.select_for_update(of=("self",)).get(pk=merge_id)
        if made.undone_at is not None:
            raise CannotUndo("It has been undone before.", in_the_way=[])
        ids = [made.winner_id, made.loser_id]
        list(Contact.all_objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk"))
        tables = made.record.get("tables")
        if not tables:
            raise CannotUndo("One of the two contacts was erased since.", in_the_way=[])
        _refuse_later_changes(tables)
        for name, undo_move in ((name, pair[1]) for name, pair in erasure.mergers.items()):
            if name in made.record["apps"]:
                undo_move(made.record["apps"][name])
        for name in ("contact", *(other for other in TABLES if other != "contact")):
            if name in tables:
                snapshots.restore(TABLES[name], tables[name])
        made.undone_at, made.undone_by_id = timezone.now(), actor.user_id
        made.save(update_fields=["undone_at", "undone_by"])
        for row in Contact.all_objects.filter(pk__in=ids):
            row.updated_by_id = actor.user_id
            row.save(update_fields=["updated_by"])
            _keep_a_primary(row)
            searching.index(row)
        _tell(actor, "unmerge", "contact.unmerged", made)
    return made


def _keep_a_primary(contact: Contact) -> None:
    """A number that came after the merge may be the only one left, and was not the primary one then."""
    phones = contact.phones.order_by("id")
    if phones.exists() and not phones.filter(is_primary=True).exists():
        ContactPhone.objects.filter(pk=phones.values_list("pk", flat=True)[0]).update(is_primary=True)


def forget(contact_ids: list[UUID]) -> int:
    """Empty what merges of these contacts remember: part of their erasure."""
    about = ContactMerge.objects.filter(Q(winner__in=contact_ids) | Q(loser__in=contact_ids))
    return about.exclude(record={}).update(record={})


def merged_into(contact_id: UUID) -> UUID | None:
    """Where a merged contact's things are now, through any number of merges; None when it was not merged."""
    found, seen = None, {contact_id}
    at: UUID | None = contact_id
    while at is not None:
        at = Contact.all_objects.filter(pk=at).values_list("merged_into", flat=True).first()
        if at is None or at in seen:
            break
        seen.add(at)
        found = at
    return found


# --- merging the contact's own rows -----------------------------------------------------------------------


def _merge_rows(actor: Actor, winner: Contact, loser: Contact, chosen: dict[str, str]) -> None:
    agreed = consents.states(winner.pk), consents.states(loser.pk)
    values = _values(winner, loser, chosen)
    if values.get("custom_fields", winner.custom_fields) != winner.custom_fields:
        custom_fields.check(values["custom_fields"])
    # The pseudonym says which caller it is; the loser's goes with the loser.
    for name, value in values.items():
        setattr(winner, name, value)
    winner.updated_by_id = actor.user_id
    winner.full_clean(validate_unique=False, validate_constraints=False)
    winner.save()
    _move_phones(winner, loser)
    loser.addresses.update(contact=winner)
    _move_relationships(winner, loser)
    mine = winner.group_rows.values("group")
    ContactGroupMember.objects.filter(contact=loser).exclude(group__in=mine).update(contact=winner)
    own = winner.anonymous_numbers.values("digest")
    AnonymousNumber.objects.filter(contact=loser).exclude(digest__in=own).update(contact=winner)
    _move_consents(actor, winner, loser, *agreed)
    loser.merged_into, loser.is_deleted, loser.deleted_at = winner, True, timezone.now()
    loser.deleted_by_id = loser.updated_by_id = actor.user_id
    loser.save()
    searching.index(winner)


def _values(winner: Contact, loser: Contact, chosen: dict[str, str]) -> dict[str, Any]:
    """What the winner's row says afterwards, by field."""
    wrong = [FieldError(f"/fields/{name}", "unknown_field", "There is no such choice.")
             for name in chosen if name not in CHOOSABLE]  # fmt: skip
    if wrong:
        raise Invalid(errors=wrong)
    values: dict[str, Any] = {}
    for name in CHOOSABLE:
        mine, theirs = getattr(winner, name), getattr(loser, name)
        if chosen.get(name) == "other" or (mine in ("", None, {}) and name not in chosen):
            values[name] = theirs
    if "custom_fields" not in values and "custom_fields" not in chosen:
        values["custom_fields"] = {**loser.custom_fields, **winner.custom_fields}
    values["tags"] = list(dict.fromkeys([*winner.tags, *loser.tags]))[:50]
    values["is_active"] = winner.is_active or loser.is_active
    values["is_anonymous"] = winner.is_anonymous and loser.is_anonymous
    if loser.legal_hold and not winner.legal_hold:
        for name in ("legal_hold", "legal_hold_reason", "legal_hold_at", "legal_hold_by_id"):
            values[name] = getattr(loser, name)
    return values


def _move_phones(winner: Contact, loser: Contact) -> None:
    """A number that both have stays the winner's, with the stricter of both rows' rules."""
    mine = {row.number: row for row in winner.phones.all()}
    primary = any(row.is_primary for row in mine.values())
    for row in loser.phones.order_by("-is_primary", "id"):
        own = mine.get(row.number)
        if own is None:
            row.contact, row.is_primary = winner, row.is_primary and not primary
            row.save()
            continue
        for flag in ("safe_to_call", "safe_to_leave_message", "safe_to_text"):
            setattr(own, flag, getattr(own, flag) and getattr(row, flag))
        own.conceal_caller = own.conceal_caller or row.conceal_caller
        own.safe_hours = safe_hours.intersect(own.safe_hours, row.safe_hours)
        own.safety_note = (own.safety_note or row.safety_note)[:500]
        row.delete()
        own.save()


def _move_relationships(winner: Contact, loser: Contact) -> None:
    """Those between the two, and those that the winner has already, end; the others move."""
    said = set()
    for row in ContactRelationship.objects.filter(Q(from_contact=winner) | Q(to_contact=winner)):
        said |= _both_ways(row.from_contact_id, row.to_contact_id, row.relationship_type)
    for row in ContactRelationship.objects.filter(Q(from_contact=loser) | Q(to_contact=loser)):
        one = winner.pk if row.from_contact_id == loser.pk else row.from_contact_id
        other = winner.pk if row.to_contact_id == loser.pk else row.to_contact_id
        if one == other or (one, other, row.relationship_type) in said:
            row.is_deleted, row.deleted_at = True, timezone.now()
        else:
            row.from_contact_id, row.to_contact_id = one, other
            said |= _both_ways(one, other, row.relationship_type)
        row.save()
    between = Q(from_contact=winner, to_contact=loser) | Q(from_contact=loser, to_contact=winner)
    ContactRelationship.objects.filter(between).update(is_deleted=True, deleted_at=timezone.now())


def _both_ways(one: UUID, other: UUID, kind: str) -> set[tuple[UUID, UUID, str]]:
    return {(one, other, kind), (other, one, inverse(kind))}


def _move_consents(
    actor: Actor,
    winner: Contact,
    loser: Contact,
    mine: dict[str, bool | None],
    theirs: dict[str, bool | None],
) -> None:
    """Both histories become one; where the two disagreed, a record of today says what the stricter said."""
    loser.consents.update(contact=winner)
    for purpose, now in consents.states(winner.pk).items():
        if now and False in (mine.get(purpose), theirs.get(purpose)):
            ContactConsent.objects.create(
                contact=winner,
                purpose=purpose,
                status=ConsentStatus.WITHDRAWN,
                source=ConsentSource.MERGE,
                recorded_by_id=actor.user_id,
            )


# --- remembering and putting back -------------------------------------------------------------------------


def _snapshot(winner: Contact, loser: Contact) -> dict[str, snapshots.Rows]:
    ids = [winner.pk, loser.pk]
    of = Q(contact__in=ids)
    about = {
        "contact": Q(pk__in=ids),
        "relationship": Q(from_contact__in=ids) | Q(to_contact__in=ids),
    }
    return {name: snapshots.take(model, about.get(name, of)) for name, model in TABLES.items()}


def _changes(
    before: dict[str, snapshots.Rows], after: dict[str, snapshots.Rows]
) -> dict[str, dict[str, snapshots.Rows]]:
    found = {name: snapshots.difference(before[name], after[name]) for name in TABLES}
    # A name that is corrected later is no reason to keep two people merged, unless the merge had set it.
    found["contact"] = snapshots.narrowed(found["contact"])
    for change in (found["contact"]["before"], found["contact"]["after"]):
        for row in change.values():
            for derived in ("name_key", "search_text"):
                row.pop(derived, None)
    return {name: change for name, change in found.items() if change["before"] or change["after"]}


def _refuse_later_changes(tables: dict[str, Any]) -> None:
    found = [
        {"object": name, "id": pk, "fields": names}
        for name, change in tables.items()
        for pk, names in snapshots.in_the_way(TABLES[name], change)
    ]
    if found:
        raise CannotUndo(in_the_way=found)


def _tell(actor: Actor, action: str, event: str, made: ContactMerge) -> None:
    said = {"other": str(made.loser_id), "merge": str(made.pk)}
    audit.record(actor=actor, action=action, obj=made.winner, changes=said)
    events.emit(event, obj=made.winner, actor=actor, data=said)
