"""Notes on a case. A public one answers the client; who is mentioned is told by the event."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from web.shared.core import events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.cases import people
from web.tenant.cases.events import NOTE_ADDED
from web.tenant.cases.models import Case, CaseNote, CaseNoteVersion
from web.tenant.cases.services.changing import locked, refuse_merged, take_up


def note_add(*, actor: Actor, case: Case, values: Mapping[str, Any]) -> CaseNote:
    """A note; `mentions` are ids of members."""
    given = _with_mentions(dict(values))
    with transaction.atomic():
        row = locked(case.pk)
        refuse_merged(row)
        note = base.create(CaseNote, actor=actor, values={**given, "case": row})
        data = {"note": str(note.pk), "is_internal": note.is_internal, "mentions": note.mentions}
        events.emit(NOTE_ADDED, obj=row, actor=actor, data=data)
        take_up(actor, row)
    return note


def note_update(*, actor: Actor, note: CaseNote, values: Mapping[str, Any]) -> CaseNote:
    """Change a note; its text before is kept as a version."""
    given = _with_mentions(dict(values))
    with transaction.atomic():
        row = base.lock(CaseNote.objects.all(), pk=note.pk)
        if given.get("content", row.content) != row.content:
            now = timezone.now()
            CaseNoteVersion.objects.create(
                note=row,
                content=row.content,
                written_at=row.edited_at or row.created_at,
                replaced_at=now,
                replaced_by_id=actor.user_id,
            )
            given["edited_at"] = now
        return base.update(row, actor=actor, values=given)


def note_delete(*, actor: Actor, note: CaseNote) -> CaseNote:
    with transaction.atomic():
        return base.soft_delete(base.lock(CaseNote.objects.all(), pk=note.pk), actor=actor)


def _with_mentions(values: dict[str, Any]) -> dict[str, Any]:
    """Mentions as texts, each once; Invalid when one is no member."""
    if "mentions" in values:
        found: list[uuid.UUID] = list(dict.fromkeys(values["mentions"]))
        people.check_members(found, "/mentions")
        values["mentions"] = [str(one) for one in found]
    return values
