"""Actions, done after the commit that asked for them.

`enqueue` writes ActionRun rows in the caller's transaction. `run_due` takes them one at a time, each in a
transaction of its own: what the action writes and the mark that it is done are committed together. What fails
in passing is tried again with growing, jittered pauses, at most ATTEMPTS times; what can never work is given
up at once. Everything done carries the event that led to it as its cause, and a chain deeper than MAX_DEPTH
is cut, so that workflows and rules that call each other come to an end.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import structlog
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import transaction
from django.utils import timezone

from telephony.contract.conditions import without_text
from web.shared.api.problems import Problem
from web.shared.core import events
from web.shared.core.actor import Actor, system
from web.shared.core.tasks import once_after_commit
from web.shared.tenants.context import current_tenant_id
from web.tenant.workflows import actions
from web.tenant.workflows.choices import RunStatus
from web.tenant.workflows.models import ActionRun, RuleRun, WorkflowTransition

ATTEMPTS = 5
FIRST_PAUSE = timedelta(seconds=5)
MAX_DEPTH = 5
BATCH = 200
ACTOR = system("workflows")

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cause:
    """As much of an event as `events.caused_by` needs."""

    id: uuid.UUID
    depth: int


def enqueue(
    wanted: Sequence[Mapping[str, Any]],
    *,
    entity_type: str,
    entity_id: uuid.UUID,
    cause: Any,
    step: WorkflowTransition | None = None,
    rule_run: RuleRun | None = None,
) -> list[ActionRun]:
    """Write down what is to be done, in order. `cause`: the event that led here. Call it in a transaction."""
    cut = cause.depth > MAX_DEPTH
    rows = [
        ActionRun(
            action=one["action"],
            parameters=one.get("with", {}),
            entity_type=entity_type,
            entity_id=entity_id,
            step=step,
            rule_run=rule_run,
            position=position,
            cause=cause.id,
            depth=cause.depth,
            status=RunStatus.CUT if cut else RunStatus.PENDING,
        )
        for position, one in enumerate(wanted)
    ]
    ActionRun.objects.bulk_create(rows)
    if cut and rows:
        logger.warning("action_chain_cut", cause=str(cause.id), depth=cause.depth, actions=len(rows))
    elif rows:
        _wake_after_commit()
    return rows


def _wake_after_commit() -> None:
    """Ask a worker once per transaction; when that cannot be sent, beat's sweep does it."""
    tenant = str(current_tenant_id())

    def wake() -> None:
        from web.tenant.workflows.tasks import wake_worker

        wake_worker(tenant)

    once_after_commit(f"actions {tenant}", wake)


def again(row: ActionRun) -> None:
    """Let one that was given up be tried from the beginning; the row is locked by the caller."""
    row.status, row.attempts, row.not_before, row.finished_at = RunStatus.PENDING, 0, timezone.now(), None
    row.save()
    _wake_after_commit()


def run_due(limit: int = BATCH) -> int:
    """Do what is due in the tenant chosen now, at most `limit`; returns how many were looked at.

    Safe to run twice at once: a row being done is locked, and who finds it locked takes the next.
    """
    count = 0
    while count < limit and _run_one():
        count += 1
    return count


def _run_one() -> bool:
    with transaction.atomic():
        row = (
            ActionRun.objects.select_for_update(skip_locked=True)
            .filter(status=RunStatus.PENDING, not_before__lte=timezone.now())
            .order_by("not_before", "position", "pk")
            .first()
        )
        if row is None:
            return False
        row.attempts += 1
        try:
            with transaction.atomic(), events.caused_by(cast(Any, Cause(row.cause, row.depth))):
                result = _run(row)
        except Exception as error:  # whatever an action raises, the others go on
            _after_failure(row, error)
        else:
            row.status, row.result, row.error = RunStatus.DONE, result, ""
            row.finished_at = timezone.now()
        row.save()
        return True


def _run(row: ActionRun) -> dict[str, Any]:
    found = actions.get(row.action)
    if found is None:
        raise LookupError("an action that nobody registered")
    if any(actions.schema_problems(found.schema, row.parameters, "")):
        raise LookupError("parameters that the action does not take any more")
    call = actions.ActionCall(row.entity_type, row.entity_id, row.parameters, _actor(row), row.pk)
    return without_words(found.run(call) or {})


def _actor(row: ActionRun) -> Actor:
    return system("rules") if row.rule_run_id else ACTOR


def without_words(result: Mapping[str, Any]) -> dict[str, Any]:
    """What an action returned, as far as a log may keep it: ids, numbers, flags."""
    return {
        str(name)[:50]: without_text({"value": str(value) if isinstance(value, uuid.UUID) else value})[
            "value"
        ]
        for name, value in list(result.items())[:20]
        if value is None or isinstance(value, str | int | float | uuid.UUID)
    }


def _after_failure(row: ActionRun, error: Exception) -> None:
    final = isinstance(error, ValidationError | Problem | LookupError | ObjectDoesNotExist)
    row.error = _reason(error)
    logger.warning(
        "action_failed",
        action=row.action,
        run=str(row.pk),
        attempt=row.attempts,
        error=row.error,
        final=final,
    )
    if final or row.attempts >= ATTEMPTS:
        row.status, row.finished_at = RunStatus.FAILED, timezone.now()
        return
    row.not_before = timezone.now() + FIRST_PAUSE * 2 ** (row.attempts - 1) * random.uniform(1, 1.5)


def _reason(error: Exception) -> str:
    """Why, in codes alone: what was refused, and where in the things it was given. No words of anybody."""
    if isinstance(error, Problem):
        said = [f"{one.code} at {one.pointer}" for one in error.errors[:3]]
        return (f"{error.code}: {', '.join(said)}" if said else error.code)[:200]
    if isinstance(error, ValidationError) and hasattr(error, "error_dict"):
        said = [f"{one.code} at /{name}" for name, all_of in error.error_dict.items() for one in all_of[:1]]
        return f"invalid: {', '.join(said[:3])}"[:200]
    return type(error).__name__
