"""Links between cases. Parents make a forest without circles; one lock per tenant guards that."""

from __future__ import annotations

import uuid

from django.db import connection, transaction

from web.shared.core import audit, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.cases.choices import INVERSE, LinkType
from web.tenant.cases.events import LINKED, UNLINKED
from web.tenant.cases.models import Case, CaseLink
from web.tenant.cases.problems import refused
from web.tenant.cases.services.changing import locked, note_down, refuse_merged, take_up

MAX_ANCESTORS = 10_000


def link_add(*, actor: Actor, case: Case, other: Case, link_type: str, description: str = "") -> CaseLink:
    """Say that `other` is the `link_type` of `case`. Invalid when it is so already, or makes a circle."""
    if other.pk == case.pk:
        raise refused("/case", "itself", "A case cannot be linked to itself.")
    ends, kind = (case, other), link_type
    if link_type == LinkType.CHILD:
        ends, kind = (other, case), LinkType.PARENT.value
    elif link_type != LinkType.PARENT and case.pk > other.pk:
        ends = (other, case)  # such a link has no direction: stored one way, it is found twice
    with transaction.atomic():
        lock_links()  # before the case: a link's keys lock its other end, too
        row = locked(case.pk)
        refuse_merged(row)
        if kind == LinkType.PARENT:
            _no_circles(child=ends[0], parent=ends[1])
        values = {"from_case": ends[0], "to_case": ends[1], "link_type": kind, "description": description}
        made = base.create(CaseLink, actor=actor, values=values)
        _tell(actor, LINKED, row, other, link_type)
        note_down(actor=actor, case=row, rows=[(f"links.{link_type}", "", str(other.pk))])
        note_down(actor=actor, case=other, rows=[(f"links.{INVERSE[link_type]}", "", str(row.pk))])
        take_up(actor, row)
    return made


def link_remove(*, actor: Actor, case: Case, link: CaseLink) -> None:
    """Remove a link that `case` is an end of."""
    with transaction.atomic():
        lock_links()  # before the case: a link's keys lock its other end, too
        row = locked(case.pk)
        refuse_merged(row)
        kind = type_seen_from(link, case.pk)
        other = link.to_case if link.from_case_id == case.pk else link.from_case
        base.soft_delete(link, actor=actor)
        _tell(actor, UNLINKED, row, other, kind)
        note_down(actor=actor, case=row, rows=[(f"links.{kind}", str(other.pk), "")])
        note_down(actor=actor, case=other, rows=[(f"links.{INVERSE[kind]}", str(row.pk), "")])


def type_seen_from(link: CaseLink, case_id: uuid.UUID) -> str:
    """What the other end is to the case `case_id`."""
    return link.link_type if link.from_case_id == case_id else INVERSE[link.link_type]


def _tell(actor: Actor, kind: str, case: Case, other: Case, link_type: str) -> None:
    events.emit(kind, obj=case, actor=actor, data={"to": str(other.pk), "link_type": link_type})
    audit.record(actor=actor, action=kind, obj=case, changes={"to": str(other.pk), "link_type": link_type})


def lock_links() -> None:
    """One writer of links at a time in this tenant, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.case_links', 0))")


def _no_circles(child: Case, parent: Case) -> None:
    if child.pk in ancestors(parent.pk):
        raise refused("/case", "circle", "A case cannot be above itself.")


def ancestors(pk: uuid.UUID) -> set[uuid.UUID]:
    """`pk` and every case above it."""
    found, edge = {pk}, {pk}
    while edge and len(found) < MAX_ANCESTORS:
        above = CaseLink.objects.filter(link_type=LinkType.PARENT, from_case_id__in=edge)
        edge = set(above.values_list("to_case_id", flat=True)) - found
        found |= edge
    return found
