"""Laying an import's rows over contacts that are there already, a slice at a time.

What a row says replaces what the contact says, what it leaves empty stays; tags and custom fields are joined,
numbers are added. As everywhere, who was not changed gets no audit row, no event and no revision, and who was
gets one of each. The contacts of a slice are locked in the order of their ids and read with one query, and
what changed is written with a statement per table.

Anonymous contacts (numbers to hash) and contacts whose numbers have no first one go through the ordinary
service, one by one: there are few of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from web.shared.api.problems import Invalid
from web.shared.core import audit, copying, events, transfer
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.core.ids import uuid7
from web.shared.core.transfer import Row, Written
from web.shared.core.validators import MAX_TAGS
from web.tenant.contacts import custom_fields, searching, services
from web.tenant.contacts.models import Contact, ContactPhone

TEXTS = ("name_key", "search_text")
_REFERENCES = frozenset(one.name for one in Contact._meta.concrete_fields if one.remote_field)
"""The database holds these to what they point at; asking for each row would be a query for each."""


@dataclass(slots=True)
class Read:
    """A row of the file whose numbers are E.164."""

    row: Row
    numbers: list[str]

    @property
    def keys(self) -> set[str]:
        """By what somebody is known to be the same person."""
        email = self.row.values["email"]
        return {*self.numbers, *([email] if email else [])}


@dataclass(slots=True)
class _Person:
    """A contact and what rows have changed of it so far."""

    contact: Contact
    phones: list[ContactPhone]
    changed: set[str] = field(default_factory=set)
    added: list[ContactPhone] = field(default_factory=list)

    @property
    def numbers(self) -> list[str]:
        return [phone.number for phone in (*self.phones, *self.added)]

    @property
    def is_ordinary(self) -> bool:
        return not self.contact.is_anonymous and (
            not self.phones or any(phone.is_primary for phone in self.phones)
        )


def lay_over(pairs: Sequence[tuple[Read, UUID]], actor: Actor, found: Written) -> None:
    """Lay each row over the contact with this id, in the caller's transaction, and tell `found`."""
    if not pairs:
        return
    people = _locked({pk for _, pk in pairs})
    check = custom_fields.checker()
    for one, pk in pairs:
        try:
            if (person := people.get(pk)) is None:
                raise base.refuse(phone="Whoever had this number or e-mail address is gone.")
            if person.is_ordinary:
                _lay(one, person, check)
            else:
                _by_service(one, person.contact.pk, actor)
            found.updated += 1
        except (ValidationError, Invalid) as wrong:
            found.errors += transfer.told(one.row.number, wrong)
    _write([one for one in people.values() if one.is_ordinary], actor)


def _locked(ids: set[UUID]) -> dict[UUID, _Person]:
    rows = Contact.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk")
    return {row.pk: _Person(row, list(row.phones.all())) for row in rows.prefetch_related("phones")}


def _said(one: Read, contact: Contact) -> dict[str, Any]:
    """What the contact says with the row laid over it."""
    values = {
        name: value
        for name, value in one.row.values.items()
        if name not in ("phone", "phones", "tags", "custom_fields") and value not in ("", None)
    }
    values["tags"] = list(dict.fromkeys([*contact.tags, *one.row.values["tags"]]))[:MAX_TAGS]
    values["custom_fields"] = {**contact.custom_fields, **one.row.values["custom_fields"]}
    return values


def _lay(one: Read, person: _Person, check: custom_fields.Check) -> None:
    """Change the person in memory. ValidationError or Invalid when a rule is broken: then as it was."""
    contact = person.contact
    values = _said(one, contact)
    check(values["custom_fields"])
    present = person.numbers
    fresh = [number for number in one.numbers if number not in present]
    if len(present) + len(fresh) > services.MAX_PHONES:
        raise base.refuse(phones=f"At most {services.MAX_PHONES} numbers.")
    before = {
        name: getattr(contact, name) for name, value in values.items() if getattr(contact, name) != value
    }
    try:
        for name in before:
            setattr(contact, name, values[name])
        if before:
            contact.full_clean(exclude=_REFERENCES, validate_unique=False, validate_constraints=False)
    except ValidationError:
        for name, value in before.items():
            setattr(contact, name, value)
        raise
    person.changed |= before.keys() | ({"phones"} if fresh else set())
    person.added += phones_of(contact.pk, fresh, first=not present)


def phones_of(contact: UUID, numbers: Sequence[str], *, first: bool) -> list[ContactPhone]:
    """Rows for these numbers; with `first` the first one is the primary number. They sort as they stand."""
    ids = sorted(uuid7() for _ in numbers)
    return [
        copying.like(_PHONE, id=pk, contact_id=contact, number=number, is_primary=first and place == 0)
        for place, (pk, number) in enumerate(zip(ids, numbers, strict=True))
    ]


_PHONE = ContactPhone()


def _by_service(one: Read, pk: UUID, actor: Actor) -> None:
    with transaction.atomic():
        contact = Contact.objects.get(pk=pk)
        present = list(contact.phones.all())
        phones: list[Any] = [{"number": row.number, "is_primary": row.is_primary} for row in present]
        phones += [{"number": new} for new in one.numbers if new not in {row.number for row in present}]
        services.contact_update(
            actor=actor, contact=contact, values=_said(one, contact), phones=phones, region=""
        )


def _write(people: Iterable[_Person], actor: Actor) -> None:
    """Everybody who was changed; and whose texts to search by were out of date, without a new revision."""
    changed = [one for one in people if one.changed]
    now = timezone.now()
    for one in changed:
        one.contact.revision += 1
        one.contact.updated_at, one.contact.updated_by_id = now, actor.user_id
    stale = [one for one in people if _index(one)]
    rows = {one.contact.pk: one.contact for one in (*changed, *stale)}
    names = set().union(*(one.changed for one in changed)) - {"phones"}
    copying.update(list(rows.values()), [*sorted(names), *TEXTS, "revision", "updated_at", "updated_by"])
    copying.insert([phone for one in changed for phone in one.added])
    audit.record_many(
        actor=actor, action="update", model=Contact,
        objects=[(one.contact.pk, audit.changed_fields(one.changed)) for one in changed],
    )  # fmt: skip
    events.emit_many(
        "contact.updated", actor=actor,
        objects=[
            (one.contact.pk, {"fields": sorted(one.changed), **one.contact.event_data()}) for one in changed
        ],
    )  # fmt: skip


def _index(person: _Person) -> bool:
    """Bring the texts to search by up to date; whether they were not."""
    found = searching.texts(person.contact, person.numbers)
    stale = any(getattr(person.contact, name) != text for name, text in found.items())
    for name, text in found.items():
        setattr(person.contact, name, text)
    return stale
