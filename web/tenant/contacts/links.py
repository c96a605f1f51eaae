"""Writing relationships and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from web.shared.api.problems import FieldError, Invalid
from web.shared.core import audit, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.contacts.choices import inverse
from web.tenant.contacts.models import Contact, ContactGroup, ContactGroupMember, ContactRelationship

MAX_MEMBERS_AT_ONCE = 1000


def relationship_create(*, actor: Actor, values: Mapping[str, Any]) -> ContactRelationship:
    """ValidationError when somebody is related to themselves, or the same is said already."""
    with transaction.atomic():
        _refuse_said_already(values["from_contact"], values["to_contact"], values["relationship_type"])
        return base.create(ContactRelationship, actor=actor, values=values)


def relationship_update(
    *, actor: Actor, relationship: ContactRelationship, values: Mapping[str, Any]
) -> ContactRelationship:
    kind = values.get("relationship_type", relationship.relationship_type)
    with transaction.atomic():
        if kind != relationship.relationship_type:
            _refuse_said_already(relationship.from_contact, relationship.to_contact, kind)
        return base.update(relationship, actor=actor, values=values)


def relationship_delete(*, actor: Actor, relationship: ContactRelationship) -> None:
    base.soft_delete(relationship, actor=actor)


def _refuse_said_already(one: Contact, other: Contact, kind: str) -> None:
    if one.pk == other.pk:
        raise base.refuse(to_contact="Nobody is their own relative.")
    # In the order of their ids, so that two people who say the same at once meet at the first lock.
    list(Contact.objects.select_for_update().filter(pk__in=[one.pk, other.pk]).order_by("pk"))
    same = Q(from_contact=one, to_contact=other, relationship_type=kind)
    mirrored = Q(from_contact=other, to_contact=one, relationship_type=inverse(kind))
    if ContactRelationship.objects.filter(same | mirrored).exists():
        text = "These two are related like that already."
        raise ValidationError({"relationship_type": [ValidationError(text, code="unique")]})


def group_create(*, actor: Actor, values: Mapping[str, Any]) -> ContactGroup:
    return base.create(ContactGroup, actor=actor, values=values)


def group_update(*, actor: Actor, group: ContactGroup, values: Mapping[str, Any]) -> ContactGroup:
    return base.update(group, actor=actor, values=values)


def group_delete(*, actor: Actor, group: ContactGroup) -> None:
    base.soft_delete(group, actor=actor)


def members_change(
    *, actor: Actor, group: ContactGroup, add: Iterable[UUID] = (), remove: Iterable[UUID] = ()
) -> tuple[int, int]:
    """Put contacts into a group and take others out; returns how many of each were not so before.

    ValidationError naming the first id that is no contact; then nothing is changed.
    """
    wanted, unwanted = list(dict.fromkeys(add)), list(dict.fromkeys(remove))
    for name, ids in (("add", wanted), ("remove", unwanted)):
        if len(ids) > MAX_MEMBERS_AT_ONCE:
            raise base.refuse(**{name: f"At most {MAX_MEMBERS_AT_ONCE} at once."})
    with transaction.atomic():
        base.lock(ContactGroup.objects.all(), pk=group.pk)
        known = set(Contact.objects.filter(pk__in=wanted).values_list("pk", flat=True))
        if missing := [pk for pk in wanted if pk not in known]:
            raise unknown(f"add/{wanted.index(missing[0])}")
        taken = group.members.filter(contact__in=unwanted)
        removed = sorted(str(pk) for pk in taken.values_list("contact_id", flat=True))
        taken.delete()
        there = set(group.members.filter(contact__in=wanted).values_list("contact_id", flat=True))
        fresh = [pk for pk in wanted if pk not in there]
        ContactGroupMember.objects.bulk_create(
            ContactGroupMember(group=group, contact_id=pk, added_by_id=actor.user_id) for pk in fresh
        )
        if fresh or removed:
            data = {"added": sorted(map(str, fresh)), "removed": removed}
            audit.record(actor=actor, action="members", obj=group, changes=data)
            events.emit("contact_group.members_changed", obj=group, actor=actor, data=data)
    return len(fresh), len(removed)


def unknown(pointer: str) -> Invalid:
    """The refusal of an id in a body, the same whether it exists elsewhere or not."""
    return Invalid(errors=[FieldError(f"/{pointer}", "does_not_exist", "There is no such object.")])
