"""Domain events: what became true in the domain, written in the transaction that made it true.

Everything that follows from a change hangs on these rows: webhooks, the /events feed, notifications, business
rules, SLA clocks, screens. A service calls `emit` beside its change; both are committed or neither. After the
commit, and again from beat, `drain` hands new events to each registered consumer, at its own position, in a
transaction of its own: at least once, in an order of its own consistency (see `_unread`), and a consumer that
fails delays nobody else. An event that fails FAILURES times is parked with its consumer's name, and said.

An event names ids, states and fields, never text: it is kept for days, sent to strangers, and not erased.
Telephony's facts are another thing (telephony.contract.facts); intake turns the few that matter into events.

`caused_by` marks what a rule does, so that a chain of rules has a depth and can be cut.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.apps import apps
from django.db import connection, models, transaction
from django.utils import timezone

from web.shared.core.actor import Actor
from web.shared.tenants.context import current_tenant_id, tenant_context

if TYPE_CHECKING:
    from web.shared.records.models import DomainEvent

BATCH = 200
FAILURES = 5
KEPT = timedelta(days=30)

logger = structlog.get_logger(__name__)


# --- the catalogue ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventType:
    """`data` names what an event of this type carries: field → type (uuid.UUID, str, int, bool, list)."""

    name: str
    label: str
    data: Mapping[str, Any] = field(default_factory=dict)


catalogue: dict[str, EventType] = {}


def declare(name: str, label: str, **data: Any) -> str:
    """Declare a type `<entity>.<past participle>`; declaring it twice, differently, is an error."""
    entry = EventType(name, label, data)
    if catalogue.setdefault(name, entry) != entry:
        raise ValueError(f"the event {name} is declared twice, differently")
    return name


def declare_resource(entity: str, label: str, **data: Any) -> None:
    """The three types of a model with `event_name = entity`; `data` is what its `event_data()` returns."""
    for verb in ("created", "updated", "deleted"):
        declare(f"{entity}.{verb}", f"{label}: {verb}", fields=list, **data)


# --- writing ------------------------------------------------------------------------------------------------

_cause: ContextVar[tuple[uuid.UUID, int] | None] = ContextVar("domain_event_cause", default=None)


@contextlib.contextmanager
def caused_by(event: DomainEvent) -> Iterator[None]:
    """Events emitted inside are one deeper than `event` and name it as their cause."""
    token = _cause.set((event.id, event.depth + 1))
    try:
        yield
    finally:
        _cause.reset(token)


def emit(
    kind: str,
    *,
    actor: Actor,
    obj: models.Model | None = None,
    object_type: str = "",
    object_id: Any = None,
    data: Mapping[str, Any] | None = None,
) -> DomainEvent:
    """Write down that `kind` (a declared type) became true of `obj`. Call it in the change's transaction.

    `object_type` defaults to the model's `event_name`. Raises LookupError for a type nobody declared.
    """
    if kind not in catalogue:
        raise LookupError(f"the event {kind} is not declared; add it to the app's events.py")
    cause, depth = _cause.get() or (None, 0)
    row: DomainEvent = _model("DomainEvent").objects.create(
        type=kind,
        object_type=object_type or getattr(obj, "event_name", "") or kind.partition(".")[0],
        object_id=obj.pk if obj is not None else object_id,
        at=timezone.now(),
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        request_id=actor.request_id,
        data=dict(data or {}),
        cause=cause,
        depth=depth,
    )
    _wake_after_commit()
    return row


def emit_for(row: models.Model, verb: str, *, actor: Actor, fields: Sequence[str] = ()) -> None:
    """What core.services tells about a model that has an `event_name`; nothing for one that has none."""
    name: str = getattr(row, "event_name", "")
    if name:
        data = {"fields": sorted(fields), **row.event_data()}  # type: ignore[attr-defined]
        emit(f"{name}.{verb}", obj=row, actor=actor, data=data)


def _wake_after_commit() -> None:
    """Ask a worker to drain, once per transaction; when that cannot be sent, beat does it."""
    tenant = current_tenant_id()
    if tenant is None:
        raise RuntimeError("a domain event belongs to a tenant, and none is chosen")
    waiting: list[Any] = [hook[1] for hook in connection.run_on_commit]
    if not any(getattr(hook, "drains", None) == tenant for hook in waiting):

        def wake() -> None:
            from web.shared.core.event_tasks import wake_worker

            wake_worker(str(tenant))

        wake.drains = tenant  # type: ignore[attr-defined]
        transaction.on_commit(wake, robust=True)


# --- reading ------------------------------------------------------------------------------------------------

Handler = Callable[[list["DomainEvent"]], None]
consumers: dict[str, Handler] = {}


def consumer(name: str, handler: Handler) -> None:
    """Register who is told. The name is the position's key: it never changes."""
    if consumers.setdefault(name, handler) is not handler:
        raise ValueError(f"two consumers of domain events are called {name}")


def drain(tenant_id: str) -> int:
    """Give every consumer what it has not had; returns how many events were handled.

    Safe to run twice at once: a position is locked, and who finds it locked goes on to the next.
    """
    handled = 0
    with tenant_context(tenant_id):
        for name, handler in consumers.items():
            while count := _step(name, handler):
                handled += count
    return handled


def _step(name: str, handler: Handler) -> int:
    """One batch for one consumer; 0 when there is nothing, somebody else is at it, or it failed."""
    _model("EventPosition").objects.get_or_create(consumer=name)
    try:
        with transaction.atomic():
            position = _locked(name)
            if position is None:
                return 0
            # After a failure one by one, so that the others are not held back by the bad one.
            batch = _unread(position, 1 if position.failures else BATCH)
            if not batch:
                return 0
            handler(batch)
            _advance(position, batch[-1])
    except Exception as error:  # whatever a consumer raises, the others and the next drain go on
        logger.warning("event_consumer_failed", consumer=name, error=type(error).__name__, exc_info=True)
        return _after_failure(name, type(error).__name__)
    return len(batch)


def _after_failure(name: str, error: str) -> int:
    with transaction.atomic():
        position = _locked(name)
        if position is None:
            return 0
        position.failures += 1
        if position.failures >= FAILURES and (batch := _unread(position, 1)):
            _model("ParkedEvent").objects.get_or_create(
                consumer=name, event_id=batch[0].id, defaults={"error": error}
            )
            logger.error("event_parked", consumer=name, event_id=str(batch[0].id), error=error)
            _advance(position, batch[0])
            return 1
        position.save()
    return 0


def _locked(name: str) -> Any:
    return _model("EventPosition").objects.select_for_update(skip_locked=True).filter(consumer=name).first()


def _advance(position: Any, last: DomainEvent) -> None:
    position.transaction_id, position.sequence, position.failures = last.transaction_id, last.sequence, 0
    position.save()


def _unread(position: Any, limit: int) -> list[DomainEvent]:
    """The next events after `position`, of transactions older than any that still runs.

    Sequence numbers are given before the commit, so a lower one may appear later than a higher one. Ordered
    by (transaction, sequence) and cut at the oldest running transaction, nothing can appear behind a reader.
    """
    return list(
        settled()
        .extra(
            where=["(transaction_id, sequence) > (%s::text::xid8, %s)"],
            params=[str(position.transaction_id), position.sequence],
        )
        .order_by("transaction_id", "sequence")[:limit]
    )


def settled() -> models.QuerySet[DomainEvent]:
    """Events that no running transaction can still put another one in front of."""
    found: models.QuerySet[DomainEvent] = _model("DomainEvent").objects.extra(
        where=["transaction_id < pg_snapshot_xmin(pg_current_snapshot())"]
    )
    return found


def _model(name: str) -> Any:
    return apps.get_model("records", name)
