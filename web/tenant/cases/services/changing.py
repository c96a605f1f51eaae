"""How any field of a case changes: the row, its history, the audit trail and the event, together.

Everything that sets a field of a case goes through `change`, with the row locked by the caller. When the one
who acts is the one it is assigned to, the assignment counts as taken up.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db.models import Model
from django.utils import timezone

from web.shared.core import events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.tenant.cases.events import ACKNOWLEDGED
from web.tenant.cases.models import Case, CaseHistory
from web.tenant.cases.problems import MergedAway

SILENT = frozenset({"assigned_at", "acknowledged_at", "lease_expires_at", "resolved_at", "closed_at"})
"""Fields that follow from another one's change and get no history of their own."""


def locked(pk: uuid.UUID) -> Case:
    """The case, locked until the transaction ends. Raises Case.DoesNotExist."""
    return base.lock(Case.objects.all(), pk=pk)


def refuse_merged(case: Case) -> None:
    """Raise MergedAway when the case lives on in another one."""
    if case.merged_into_id is not None:
        raise MergedAway(merged_into=str(case.merged_into_id))


def change(
    *, actor: Actor, case: Case, values: Mapping[str, Any], reason: str = "", allow_merged: bool = False
) -> Case:
    """Set `values` on the locked case and write down each difference with its reason."""
    if not allow_merged:
        refuse_merged(case)
    wanted = dict(values)
    if takes_up(actor, case) and "lease_expires_at" not in wanted:
        wanted |= {"lease_expires_at": None, "acknowledged_at": timezone.now()}
        events.emit(ACKNOWLEDGED, obj=case, actor=actor, data={"assigned_to": str(case.assigned_to_id)})
    before = {name: _present(case, name) for name in wanted}
    base.update(case, actor=actor, values=wanted)
    note_down(
        actor=actor,
        case=case,
        reason=reason,
        rows=[row for name in wanted for row in _differences(name, before[name], _present(case, name))],
    )
    return case


def takes_up(actor: Actor, case: Case) -> bool:
    """Whether `actor` is the assignee and the assignment waits to be acknowledged."""
    mine = actor.user_id is not None and actor.user_id == case.assigned_to_id
    return mine and case.lease_expires_at is not None


def take_up(actor: Actor, case: Case) -> None:
    """Count the assignment as taken up when the assignee did something around the case."""
    if takes_up(actor, case):
        change(actor=actor, case=case, values={})


def touch(actor: Actor, case: Case) -> None:
    """Count a change around the locked case as one of it: what it shows of its parts is under its ETag."""
    case.updated_by_id = actor.user_id
    case.save(update_fields=["updated_by"])


def note_down(*, actor: Actor, case: Case, rows: list[tuple[str, str, str]], reason: str = "") -> None:
    """History rows (field, old, new) of the case."""
    CaseHistory.objects.bulk_create(
        CaseHistory(
            case=case,
            field_name=name[:100],
            old_value=old,
            new_value=new,
            change_reason=reason,
            created_by_id=actor.user_id,
            updated_by_id=actor.user_id,
        )
        for name, old, new in rows
    )


def _differences(name: str, old: Any, new: Any) -> list[tuple[str, str, str]]:
    if name in SILENT or old == new:
        return []
    if name != "custom_fields":
        return [(name, as_text(old), as_text(new))]
    names = sorted(set(old) | set(new))
    return [
        (f"custom_fields.{one}", as_text(old.get(one)), as_text(new.get(one)))
        for one in names
        if old.get(one) != new.get(one)
    ]


def _present(case: Case, name: str) -> Any:
    field = case._meta.get_field(name)
    return getattr(case, str(getattr(field, "attname", name)))


def as_text(value: Any) -> str:
    """A value as history keeps it: texts as they are, the rest as JSON or ISO 8601; nothing is ""."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Model):
        return str(value.pk)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
