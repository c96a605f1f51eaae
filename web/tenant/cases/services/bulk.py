"""One change to many cases: each in a transaction of its own, or all or nothing.

The answer says of each id what became of it. An id that is unknown, another tenant's or not this person's to
change reads the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from web.shared.api.errors import as_problem
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.core.validators import MAX_TAGS
from web.tenant.cases.models import Case
from web.tenant.cases.problems import NotDone, refused
from web.tenant.cases.services.assigning import LEASE_MINUTES, case_assign
from web.tenant.cases.services.cases import case_transition
from web.tenant.cases.services.changing import change, locked

MAX_IDS = 500


@dataclass(frozen=True, slots=True)
class Order:
    """What to do: `action` is assign, status, priority, tag or untag, `value` what it takes."""

    action: str
    value: Any
    reason: str = ""
    lease_minutes: int = LEASE_MINUTES


def cases_change(
    *, actor: Actor, rows: QuerySet[Case], ids: Sequence[uuid.UUID], order: Order, all_or_nothing: bool
) -> list[dict[str, Any]]:
    """Carry out `order` on each id among `rows`; returns {id, ok, code, detail} for each, in their order.

    With `all_or_nothing` a single refusal raises NotDone, and nothing is changed.
    """
    with transaction.atomic() if all_or_nothing else _nothing():
        results = [_one(actor, rows, pk, order) for pk in dict.fromkeys(ids)]
        if all_or_nothing and not all(one["ok"] for one in results):
            raise NotDone(results=results)
    return results


class _nothing:  # noqa: N801 - stands in for a context manager
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _one(actor: Actor, rows: QuerySet[Case], pk: uuid.UUID, order: Order) -> dict[str, Any]:
    try:
        with transaction.atomic():
            case = rows.filter(pk=pk).first()
            if case is None:
                raise refused("", "does_not_exist", "There is nothing with this id.")
            ACTIONS[order.action](actor, case, order)
    except Exception as error:
        problem = as_problem(error)
        if problem.status >= 500:
            raise
        first = problem.errors[0] if problem.errors else None
        code, detail = (
            (first.code, first.detail) if first else (problem.code, problem.detail or problem.title)
        )
        return {"id": str(pk), "ok": False, "code": code, "detail": detail}
    return {"id": str(pk), "ok": True, "code": None, "detail": None}


def _assign(actor: Actor, case: Case, order: Order) -> None:
    case_assign(
        actor=actor,
        case=case,
        user_id=order.value,
        lease_minutes=order.lease_minutes,
        reason=order.reason,
        pointer="/value",
    )


def _status(actor: Actor, case: Case, order: Order) -> None:
    if case.status != order.value:
        case_transition(actor=actor, case=case, status=order.value, reason=order.reason)


def _priority(actor: Actor, case: Case, order: Order) -> None:
    change(actor=actor, case=locked(case.pk), values={"priority": order.value}, reason=order.reason)


def _tag(actor: Actor, case: Case, order: Order) -> None:
    row = locked(case.pk)
    if order.value not in row.tags:
        if len(row.tags) >= MAX_TAGS:
            raise base.refuse(tags=f"At most {MAX_TAGS} tags.")
        change(actor=actor, case=row, values={"tags": [*row.tags, order.value]}, reason=order.reason)


def _untag(actor: Actor, case: Case, order: Order) -> None:
    row = locked(case.pk)
    kept = [tag for tag in row.tags if tag != order.value]
    change(actor=actor, case=row, values={"tags": kept}, reason=order.reason)


ACTIONS: dict[str, Callable[[Actor, Case, Order], None]] = {
    "assign": _assign,
    "status": _status,
    "priority": _priority,
    "tag": _tag,
    "untag": _untag,
}
