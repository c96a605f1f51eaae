"""Reading cases: who sees which, what lists narrow by, and what others ask about a case."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from web.shared.accounts.registry import Scope
from web.shared.core import at_hand
from web.shared.core.viewer import Viewer
from web.tenant.cases import permissions
from web.tenant.cases.choices import WORKING, Confidentiality, PartyRole
from web.tenant.cases.models import Case, CaseHistory, CaseLink, CaseNote, CaseParty, CaseSla, CaseWatcher
from web.tenant.reference_data import queries as reference

OWNERS = ("assigned_to", "created_by")
CURRENT = 20
"""More unfinished cases than this help nobody who has a caller on the line."""


def visible(queryset: QuerySet[Case], viewer: Viewer) -> QuerySet[Case]:
    """The cases this viewer may see: by scope, because they watch, or because the caller is on their line
    (permissions.py says why); restricted ones by name only."""
    scope, watched = viewer.scope(permissions.VIEW), _watched(viewer)
    if scope is None:
        return queryset.none()
    if scope is not Scope.ALL:
        # As a union: an OR over three indexes and a subquery would read every case.
        reached = CaseWatcher.objects.filter(user_id__in=_users(viewer, Scope.OWN)).values("case_id")
        for owner in OWNERS:
            owned = Case.all_objects.filter(**{f"{owner}__in": _users(viewer, scope)})
            reached = reached.union(owned.values("pk"), all=True)
        for cases in _at_hand(viewer):
            reached = reached.union(cases.values("pk"), all=True)
        queryset = queryset.filter(pk__in=reached)
    if not viewer.may(permissions.VIEW_RESTRICTED):
        mine = Q(assigned_to_id=viewer.user_id) | watched
        queryset = queryset.filter(~Q(confidentiality=Confidentiality.RESTRICTED) | mine)
    return queryset


def _at_hand(viewer: Viewer) -> list[QuerySet[Case]]:
    """Unfinished cases of those whom this person has on the line, by whatever app says so.

    Who is in a case as the one it is about having done something to the client does not open it by calling.
    """
    found = []
    for contacts in at_hand.contacts_of(viewer.user_id):
        theirs = CaseParty.objects.filter(contact_id__in=contacts).exclude(role=PartyRole.PERPETRATOR)
        found.append(Case.objects.filter(pk__in=theirs.values("case_id"), status__in=WORKING))
    return found


def _users(viewer: Viewer, scope: Scope) -> list[uuid.UUID]:
    users = viewer.team if scope is Scope.TEAM else {viewer.user_id}
    return [user for user in users if user is not None]


def _watched(viewer: Viewer) -> Q:
    if viewer.user_id is None:
        return Q(pk__in=[])
    return Q(pk__in=CaseWatcher.objects.filter(user_id=viewer.user_id).values("case_id"))


def changeable(queryset: QuerySet[Case], viewer: Viewer, code: str) -> QuerySet[Case]:
    """The visible cases that the scope of `code` reaches, too; to edit, also those of who is on the line."""
    seen = visible(queryset, viewer)
    condition = Q() if code == permissions.VIEW else viewer.condition(code, *OWNERS)
    if condition is None:
        return seen.none()
    if condition and code == permissions.EDIT:
        for cases in _at_hand(viewer):
            condition |= Q(pk__in=cases.values("pk"))
    return seen.filter(condition) if condition else seen


def with_lists(queryset: QuerySet[Case]) -> QuerySet[Case]:
    """With what the API shows of each case beside its own row: two more queries however many there are. As
    plain lists: filling a related manager builds a queryset for each row, which takes longer than both."""
    primary = CaseParty.objects.filter(is_primary=True)
    return queryset.prefetch_related(
        Prefetch("parties", primary, to_attr="primary_parties"), Prefetch("clocks", to_attr="listed_clocks")
    )


def clocks_of(case: Case) -> list[CaseSla]:
    """The case's clocks; no query for a case of `with_lists`."""
    listed: list[CaseSla] | None = getattr(case, "listed_clocks", None)
    return list(case.clocks.all()) if listed is None else listed


# --- filters ------------------------------------------------------------------------------------------------


def assigned_to(queryset: QuerySet[Case], text: str, viewer: Viewer) -> QuerySet[Case]:
    """`me`, `none`, or ids."""
    found = Q()
    for part in text.split(","):
        if part == "none":
            found |= Q(assigned_to__isnull=True)
        else:
            found |= Q(assigned_to_id=viewer.user_id if part == "me" else uuid.UUID(part))
    return queryset.filter(found)


def watched_by(queryset: QuerySet[Case], text: str, viewer: Viewer) -> QuerySet[Case]:
    """`me`."""
    if text != "me":
        raise ValueError("me")
    return queryset.filter(_watched(viewer))


def of_type(queryset: QuerySet[Case], text: str) -> QuerySet[Case]:
    """Cases of these types and of every type below them."""
    types = [one for part in text.split(",") for one in reference.subtree("case_category", uuid.UUID(part))]
    return queryset.filter(case_type_id__in=types)


def about_contact(queryset: QuerySet[Case], text: str) -> QuerySet[Case]:
    """Cases in which this contact has a part."""
    return queryset.filter(pk__in=CaseParty.objects.filter(contact_id=uuid.UUID(text)).values("case_id"))


def tagged(queryset: QuerySet[Case], text: str) -> QuerySet[Case]:
    """Cases that have all these tags."""
    return queryset.filter(tags__contains=[part for part in text.split(",") if part])


def in_sla_state(queryset: QuerySet[Case], text: str) -> QuerySet[Case]:
    """ok, warning, breached, paused, none; several separated by commas."""
    now, found = timezone.now(), Q()
    clocks = CaseSla.objects.filter(case=OuterRef("pk"))
    running = clocks.filter(state="running")
    late = Q(breached_at__isnull=False) | Q(state="running", due_at__lte=now)
    states = {
        "breached": Exists(clocks.filter(late)),
        "warning": Exists(running.filter(warn_at__lte=now, due_at__gt=now)) & ~Exists(clocks.filter(late)),
        "paused": Exists(clocks.filter(state="paused")) & ~Exists(clocks.filter(late)),
        "ok": Exists(clocks)
        & ~Exists(clocks.filter(late))
        & ~Exists(running.filter(warn_at__lte=now))
        & ~Exists(clocks.filter(state="paused")),
        "none": ~Exists(clocks),
    }
    for part in text.split(","):
        if part not in states:
            raise ValueError("not a state")
        found |= Q(states[part])
    return queryset.filter(found)


def sla_state(clocks: Iterable[CaseSla], now: datetime) -> str:
    """The same of one case: what a list shows beside it."""
    rows = list(clocks)
    if any(row.breached_at or (row.state == "running" and row.due_at and row.due_at <= now) for row in rows):
        return "breached"
    if any(row.state == "running" and row.warn_at and row.warn_at <= now for row in rows):
        return "warning"
    if any(row.state == "paused" for row in rows):
        return "paused"
    return "ok" if rows else "none"


def sla_due_at(clocks: Iterable[CaseSla]) -> datetime | None:
    """When the next of the running clocks is due."""
    found = (row.due_at for row in clocks if row.state == "running" and row.due_at is not None)
    return min(found, default=None)


# --- parts of a case ----------------------------------------------------------------------------------------


def links_of(case: Case, viewer: Viewer) -> QuerySet[CaseLink]:
    """Links of the case whose other end this viewer may see, too."""
    seen = visible(Case.objects.all(), viewer).values("pk")
    return (
        CaseLink.objects.filter(Q(from_case=case, to_case__in=seen) | Q(to_case=case, from_case__in=seen))
        .select_related("from_case", "to_case")
        .order_by("-created_at")
    )


def history_of(case_id: uuid.UUID) -> QuerySet[CaseHistory]:
    return CaseHistory.objects.filter(case_id=case_id)


def notes_of(case_id: uuid.UUID) -> QuerySet[CaseNote]:
    return CaseNote.objects.filter(case_id=case_id)


def merged_into(case_id: uuid.UUID) -> list[uuid.UUID]:
    """Ids of the cases that went into this one, whatever the number of steps. A query a step."""
    found: list[uuid.UUID] = []
    edge = [case_id]
    while edge:
        edge = list(Case.all_objects.filter(merged_into_id__in=edge).values_list("pk", flat=True))
        found += edge
    return found


# --- what other apps ask ------------------------------------------------------------------------------------


def exists(case_id: Any) -> bool:
    return Case.objects.filter(pk=case_id).exists()


def contact_of(case_id: uuid.UUID) -> uuid.UUID | None:
    """The contact that is the primary party."""
    rows = CaseParty.objects.filter(case_id=case_id, is_primary=True)
    return rows.values_list("contact_id", flat=True).first()


def current_of_contact(contact_id: uuid.UUID, viewer: Viewer) -> list[dict[str, Any]]:
    """Unfinished cases of a contact that this viewer may see, newest first, for a ring card."""
    rows = visible(about_contact(Case.objects.all(), str(contact_id)), viewer).filter(status__in=WORKING)
    return [
        {
            "id": str(row.pk),
            "case_number": row.case_number,
            "title": row.title,
            "status": row.status,
            "priority": row.priority,
            "assigned_to": row.assigned_to_id and str(row.assigned_to_id),
        }
        for row in rows.order_by("-created_at")[:CURRENT]
    ]
