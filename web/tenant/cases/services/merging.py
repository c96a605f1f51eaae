"""Two cases that are one: everything of the loser moves to the winner, and can move back.

Rows move by their key, so nothing is copied: parties (but those the winner has already), watchers, notes and
links. `record` keeps their ids and the loser's status. Undo moves back what still is where the merge put it,
and leaves with the winner what came later. Merges into one case, and chains of them, are undone newest first.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from web.shared.core import audit, events
from web.shared.core.actor import Actor
from web.tenant.cases.choices import CaseStatus, Confidentiality
from web.tenant.cases.events import MERGED, UNMERGED
from web.tenant.cases.models import Case, CaseLink, CaseMerge, CaseNote, CaseParty, CaseWatcher
from web.tenant.cases.problems import CannotUndo, refused
from web.tenant.cases.services.changing import change, refuse_merged, touch
from web.tenant.cases.services.linking import lock_links


def case_merge(*, actor: Actor, loser: Case, winner: Case, reason: str = "") -> CaseMerge:
    """Merge `loser` into `winner`; returns the record that undo takes."""
    if loser.pk == winner.pk:
        raise refused("/into", "itself", "A case cannot be merged into itself.")
    with transaction.atomic():
        one, other = _both(loser.pk, winner.pk)
        refuse_merged(one)
        refuse_merged(other)
        if one.legal_hold:
            raise refused("", "legal_hold", "This case is under legal hold.")
        record = _move(one, other)
        added = [tag for tag in one.tags if tag not in other.tags]
        record |= {"status": one.status, "tags": added, "fields": _ended(one)}
        # What moves from a restricted case would be open to all in one that is not.
        record["restricted"] = one.confidentiality != other.confidentiality == Confidentiality.NORMAL
        merge = CaseMerge(loser=one, winner=other, reason=reason, record=record)
        merge.created_by_id = merge.updated_by_id = actor.user_id
        merge.save(force_insert=True)
        ended = {"status": CaseStatus.CLOSED.value, "closed_at": one.closed_at or timezone.now()}
        values = {**ended, "merged_into": other, "lease_expires_at": None}
        change(actor=actor, case=one, values=values, reason=reason)
        joined: dict[str, Any] = {"tags": [*other.tags, *added]}
        if record["restricted"]:
            joined["confidentiality"] = Confidentiality.RESTRICTED
        change(actor=actor, case=other, values=joined, reason=reason)
        touch(actor, other)
        _tell(actor, "merge", MERGED, merge, {"into": str(other.pk)})
    return merge


def merge_undo(*, actor: Actor, merge: CaseMerge) -> CaseMerge:
    """Put the two cases apart again. CannotUndo when it was undone, or a later merge is in the way."""
    with transaction.atomic():
        loser, winner = _both(merge.loser_id, merge.winner_id)
        row = CaseMerge.objects.select_for_update().get(pk=merge.pk)
        later = CaseMerge.objects.filter(winner=winner, undone_at__isnull=True)
        later = later.filter(created_at__gte=row.created_at).exclude(pk=row.pk)
        if row.undone_at is not None:
            raise CannotUndo("This merge was undone before.")
        if winner.merged_into_id is not None or later.exists():
            raise CannotUndo("A later merge has to be undone first.")
        _move_back(row.record, loser, winner)
        fields = {name: _time(value) for name, value in row.record["fields"].items()}
        values = {"status": row.record["status"], "merged_into": None, **fields}
        change(actor=actor, case=loser, values=values, allow_merged=True)
        kept = [tag for tag in winner.tags if tag not in row.record["tags"]]
        parted: dict[str, Any] = {"tags": kept}
        if row.record["restricted"]:
            parted["confidentiality"] = Confidentiality.NORMAL
        change(actor=actor, case=winner, values=parted)
        touch(actor, winner)
        row.undone_at, row.undone_by_id = timezone.now(), actor.user_id
        row.save(update_fields=["undone_at", "undone_by"])
        _tell(actor, "unmerge", UNMERGED, row, {"out_of": str(winner.pk)})
    return row


def _both(loser: uuid.UUID, winner: uuid.UUID) -> tuple[Case, Case]:
    """Both rows, locked in the order of their ids so that two merges cannot wait for each other."""
    lock_links()
    rows = {
        row.pk: row for row in Case.objects.select_for_update().filter(pk__in=[loser, winner]).order_by("pk")
    }
    if len(rows) < 2:
        raise CannotUndo("One of the two cases is deleted.")
    return rows[loser], rows[winner]


def _ended(case: Case) -> dict[str, str | None]:
    names = ("closed_at", "resolved_at", "lease_expires_at")
    return {name: value.isoformat() if (value := getattr(case, name)) else None for name in names}


def _time(text: str | None) -> Any:
    from datetime import datetime

    return None if text is None else datetime.fromisoformat(text)


def _move(loser: Case, winner: Case) -> dict[str, Any]:
    """Move rows; returns the ids of those that moved, and of parties that were primary."""
    had = set(CaseParty.objects.filter(case=winner, contact__isnull=False).values_list("contact_id", "role"))
    has_primary = CaseParty.objects.filter(case=winner, is_primary=True).exists()
    parties: list[uuid.UUID] = []
    primary: uuid.UUID | None = None
    for party in CaseParty.objects.select_for_update().filter(case=loser).order_by("pk"):
        if (party.contact_id, party.role) in had:
            continue
        parties.append(party.pk)
        if party.is_primary and has_primary:
            primary = party.pk
    if primary is not None:
        CaseParty.objects.filter(pk=primary).update(is_primary=False)
    CaseParty.objects.filter(pk__in=parties).update(case=winner)
    watching = CaseWatcher.objects.filter(case=winner).values_list("user_id", flat=True)
    watchers = _ids(CaseWatcher.objects.filter(case=loser).exclude(user_id__in=list(watching)))
    CaseWatcher.objects.filter(pk__in=watchers).update(case=winner)
    notes = _ids(CaseNote.all_objects.filter(case=loser))
    CaseNote.all_objects.filter(pk__in=notes).update(case=winner)
    return {
        "parties": _texts(parties),
        "primary": primary and str(primary),
        "watchers": _texts(watchers),
        "notes": _texts(notes),
        "links": _move_links(loser, winner),
    }


def _move_links(loser: Case, winner: Case) -> dict[str, list[str]]:
    """Links of the loser to third cases become the winner's, unless that makes a double or a circle."""
    from web.tenant.cases.services.linking import ancestors

    moved: dict[str, list[str]] = {"from_case": [], "to_case": []}
    for end, far in (("from_case", "to_case"), ("to_case", "from_case")):
        for link in CaseLink.objects.filter(**{end: loser}).exclude(**{far: winner}).order_by("pk"):
            other = getattr(link, f"{far}_id")
            same = Q(from_case=winner, to_case=other) | Q(from_case=other, to_case=winner)
            if CaseLink.objects.filter(same, link_type=link.link_type).exists():
                continue
            child, parent = (winner.pk, other) if end == "from_case" else (other, winner.pk)
            if link.link_type == "parent" and child in ancestors(parent):
                continue
            CaseLink.objects.filter(pk=link.pk).update(**{end: winner})
            moved[end].append(str(link.pk))
    return moved


def _move_back(record: dict[str, Any], loser: Case, winner: Case) -> None:
    CaseParty.all_objects.filter(pk__in=record["parties"], case=winner).update(case=loser)
    if record["primary"] and not CaseParty.objects.filter(case=loser, is_primary=True).exists():
        CaseParty.objects.filter(pk=record["primary"], case=loser).update(is_primary=True)
    _one_primary(loser)
    CaseWatcher.objects.filter(pk__in=record["watchers"], case=winner).update(case=loser)
    CaseNote.all_objects.filter(pk__in=record["notes"], case=winner).update(case=loser)
    for end, ids in record["links"].items():
        CaseLink.all_objects.filter(pk__in=ids, **{end: winner}).update(**{end: loser})


def _one_primary(case: Case) -> None:
    """Among the parties that came back at most one stays primary: the oldest."""
    rows = list(
        CaseParty.objects.filter(case=case, is_primary=True).order_by("pk").values_list("pk", flat=True)
    )
    CaseParty.objects.filter(pk__in=rows[1:]).update(is_primary=False)


def _ids(rows: Any) -> list[uuid.UUID]:
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _texts(ids: list[uuid.UUID]) -> list[str]:
    return [str(pk) for pk in ids]


def _tell(actor: Actor, action: str, kind: str, merge: CaseMerge, data: dict[str, Any]) -> None:
    data = {**data, "merge": str(merge.pk)}
    audit.record(actor=actor, action=action, obj=merge.loser, changes=data)
    events.emit(kind, obj=merge.loser, actor=actor, data=data)
