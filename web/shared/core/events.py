"""Domain events: what became true in the domain, written in the transaction that made it true.

Everything that follows from a change hangs on these rows: webhooks, the /events feed, notifications, business
rules, SLA clocks, screens. A service calls `emit` beside its change; both are committed or neither. After the
commit, and again from beat, `drain` hands new events to each registered consumer, at its own position, in a
transaction of its own: at least once, in an order that never grows behind a reader (see `_unread`), and a
consumer that fails delays nobody else. A batch that fails is tried again one by one, so that the good ones in
front of the bad one pass; the bad one stops its consumer, is tried again after 2, 4, 8 and 16 seconds, and
after FAILURES tries it is parked with its consumer's name, and said. A consumer that says which types it
wants is not handed the others: an import of a hundred thousand contacts, that no rule and no webhook asks
about, moves its position over them and reads none.

An event names ids, states and fields, never text: it is kept for days, sent to strangers, and not erased.
Telephony's facts are another thing (telephony.contract.facts); intake turns the few that matter into events.

`caused_by` marks what a rule does, so that a chain of rules has a depth and can be cut.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.apps import apps
from django.db import connection, models, transaction
from django.utils import timezone

from web.shared.core import copying
from web.shared.core.actor import Actor
from web.shared.core.ids import uuid7
from web.shared.core.tasks import once_after_commit
from web.shared.tenants.context import current_tenant_id, tenant_context

if TYPE_CHECKING:
    from web.shared.records.models import DomainEvent

BATCH = 200
WINDOW = 2000
"""So many events ahead are looked at for those that a consumer wants."""
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

    `object_type` defaults to the model's `event_name`. Ids and times in `data` are written as text. Raises
    LookupError for a type that nobody declared, TypeError for data that its declaration does not name.
    """
    entry = _declared(kind)
    row: DomainEvent = _row(
        entry,
        actor,
        object_type or getattr(obj, "event_name", ""),
        obj.pk if obj is not None else object_id,
        data or {},
    )
    row.save(force_insert=True)
    _wake_after_commit()
    return row


def emit_many(
    kind: str,
    *,
    actor: Actor,
    objects: Iterable[tuple[Any, Mapping[str, Any]]],
    object_type: str = "",
) -> int:
    """As `emit`, for many (object's id, data) at once and in one statement: imports and bulk changes."""
    entry = _declared(kind)
    first = _row(entry, actor, object_type, None, {})
    rows = [
        copying.like(first, id=uuid7(), at=timezone.now(), object_id=pk, data=_checked(entry, data))
        for pk, data in objects
    ]
    if rows:
        copying.insert(rows)
        _wake_after_commit()
    return len(rows)


def _declared(kind: str) -> EventType:
    try:
        return catalogue[kind]
    except KeyError:
        raise LookupError(f"the event {kind} is not declared; add it to the app's events.py") from None


def _row(
    entry: EventType, actor: Actor, object_type: str, object_id: Any, data: Mapping[str, Any]
) -> DomainEvent:
    cause, depth = _cause.get() or (None, 0)
    made: DomainEvent = _model("DomainEvent")(
        type=entry.name,
        object_type=object_type or entry.name.partition(".")[0],
        object_id=object_id,
        at=timezone.now(),
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        request_id=actor.request_id,
        data=_checked(entry, data),
        cause=cause,
        depth=depth,
    )
    return made


def _checked(entry: EventType, data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` as it is stored. TypeError for what the type's declaration does not name."""
    strange = sorted(data.keys() - entry.data.keys())
    if strange:
        raise TypeError(f"the event {entry.name} carries {', '.join(strange)}, which its declaration lacks")
    return {name: _plain(value) for name, value in data.items()}


def _plain(value: Any) -> Any:
    """As JSON holds it."""
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value


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

    def wake() -> None:
        from web.shared.core.event_tasks import wake_worker

        wake_worker(str(tenant))

    once_after_commit(f"events {tenant}", wake)


# --- reading ------------------------------------------------------------------------------------------------

Handler = Callable[[list["DomainEvent"]], None]
Wants = Callable[[set[str]], set[str]]
consumers: dict[str, Handler] = {}
_wants: dict[str, Wants | None] = {}


def consumer(name: str, handler: Handler, *, wants: Wants | None = None) -> None:
    """Register who is told. The name is the position's key: it never changes.

    `wants` takes the types of the events ahead and returns those of which the handler would do anything now;
    it is asked in the handler's transaction. Without it the handler is given every event.
    """
    if consumers.setdefault(name, handler) is not handler:
        raise ValueError(f"two consumers of domain events are called {name}")
    _wants[name] = wants


def drain(tenant_id: str, *, patient: bool = True) -> int:
    """Give every consumer what it has not had; returns how many events were handled or passed over.

    Safe to run twice at once: a position is locked, and who finds it locked goes on to the next. With
    `patient` off a consumer that failed is tried again at once, without its pause. It ends when a round over
    those that are behind moved nobody: what came meanwhile, and what the consumers themselves emitted, has
    been handed on too.
    """
    handled = 0
    with tenant_context(tenant_id):
        while behind := _behind():
            passed = _pass_over([name for name in behind if _wants[name] is not None])
            moved = sum(passed.values())
            for name in behind:
                if name not in passed:
                    moved += _catch_up(name, consumers[name], patient)
            if not moved:
                break
            handled += moved
    return handled


def _behind() -> list[str]:
    """Consumers that have not had the newest event that is settled: one look at each table."""
    newest = settled().order_by("-transaction_id", "-sequence").values_list("transaction_id", "sequence")
    last = newest.first()
    if last is None:
        return []
    level = _model("EventPosition").objects.extra(
        where=["(transaction_id, sequence) >= (%s::text::xid8, %s)"], params=[str(last[0]), last[1]]
    )
    level_with_it = set(level.values_list("consumer", flat=True))
    return [name for name in consumers if name not in level_with_it]


def _pass_over(names: list[str]) -> dict[str, int]:
    """Move at once all those who want nothing of what is ahead of them: how many events each was moved over.

    That is the rule while calls come, and one transaction for all is one write to the disk instead of one for
    each. Whoever wants something, has failed, or has no position yet, is left to `_catch_up`.
    """
    passed = {}
    with transaction.atomic(durable=True):
        objects = _model("EventPosition").objects
        found = list(objects.select_for_update(skip_locked=True).filter(consumer__in=names, failures=0))
        window = _window(min(found, key=_place)) if found else []
        for position in found:
            ahead = [one for one in window if _place(one) > _place(position)]
            if ahead and not _wanted(position.consumer, ahead):
                _advance(position, ahead[-1])
                passed[position.consumer] = len(ahead)
    return passed


def _place(row: Any) -> tuple[int, int]:
    return row.transaction_id, row.sequence


def _catch_up(name: str, handler: Handler, patient: bool) -> int:
    """All that one consumer has not had, until its first event that fails alone."""
    _model("EventPosition").objects.get_or_create(consumer=name)
    handled, singly = 0, 0
    while True:
        limit = 1 if singly else BATCH
        try:
            count, taken = _step(name, handler, limit, patient)
        except _ConsumerFailed as failure:
            if failure.size > 1:
                singly = failure.size
                continue
            if not _after_failure(name, failure.error):
                return handled
            count, taken, patient = 1, 1, False
        if not count:
            return handled
        handled += count
        singly = max(0, singly - taken)


class _ConsumerFailed(Exception):
    """A consumer raised; `size` events were in its hands, `error` is the exception's class."""

    def __init__(self, size: int, error: str) -> None:
        super().__init__(error)
        self.size, self.error = size, error


def _step(name: str, handler: Handler, limit: int, patient: bool) -> tuple[int, int]:
    """One batch for one consumer: how many events its position passed, and how many it was handed.

    (0, 0) when there is nothing, somebody else is at it, or it has to wait.
    """
    batch: list[DomainEvent] = []
    try:
        # Durable: inside a longer transaction a position would pass events that are not committed yet.
        with transaction.atomic(durable=True):
            position = _locked(name)
            if position is None or (patient and _pausing(position)):
                return 0, 0
            batch, passed, last = _ahead(name, position, 1 if position.failures else limit)
            if last is None:
                return 0, 0
            if batch:
                handler(batch)
            _advance(position, last)
    except Exception as error:  # whatever a consumer raises, the others and the next drain go on
        if not batch:
            raise
        logger.warning("event_consumer_failed", consumer=name, error=type(error).__name__, exc_info=True)
        raise _ConsumerFailed(len(batch), type(error).__name__) from error
    return passed, len(batch)


def _pausing(position: Any) -> bool:
    failures: int = position.failures
    return failures > 0 and timezone.now() < position.updated_at + timedelta(seconds=2**failures)


def _after_failure(name: str, error: str) -> bool:
    """Count a failure of the next event; True when it was one too many and the event is parked."""
    with transaction.atomic():
        position = _locked(name)
        if position is None:
            return False
        position.failures += 1
        if position.failures < FAILURES or not (batch := _ahead(name, position, 1)[0]):
            position.save()
            return False
        _model("ParkedEvent").objects.get_or_create(
            consumer=name, event_id=batch[0].id, defaults={"error": error[:100]}
        )
        logger.error("event_parked", consumer=name, event_id=str(batch[0].id), error=error)
        _advance(position, batch[0])
        return True


def _locked(name: str) -> Any:
    return _model("EventPosition").objects.select_for_update(skip_locked=True).filter(consumer=name).first()


def _advance(position: Any, last: Any) -> None:
    position.transaction_id, position.sequence, position.failures = last.transaction_id, last.sequence, 0
    position.save()


def _ahead(name: str, position: Any, limit: int) -> tuple[list[DomainEvent], int, Any]:
    """The next events that this consumer wants, at most `limit`; how many its position may pass with them,
    and the last of those (None when there is nothing)."""
    if _wants[name] is None:
        batch = list(_unread(position)[:limit])
        return batch, len(batch), batch[-1] if batch else None
    window = _window(position)
    wanted = _wanted(name, window)
    places = [place for place, one in enumerate(window, 1) if one.type in wanted][:limit]
    passed = places[-1] if len(places) == limit else len(window)
    found = _model("DomainEvent").objects.filter(sequence__in=[window[n - 1].sequence for n in places])
    batch = list(found.order_by("transaction_id", "sequence")) if places else []
    return batch, passed, window[passed - 1] if window else None


def _window(position: Any) -> list[Any]:
    """Place and type of the events after `position`, at most WINDOW."""
    rows = _unread(position).values_list("transaction_id", "sequence", "type", named=True)
    return list(rows[:WINDOW])


def _wanted(name: str, window: list[Any]) -> set[str]:
    wants = _wants[name]
    return wants({one.type for one in window}) if wants and window else set()


def _unread(position: Any) -> models.QuerySet[DomainEvent]:
    """The events after `position`, in order, of transactions older than any that still runs.

    Sequence numbers are given before the commit, so a lower one may appear later than a higher one. Ordered
    by (transaction, sequence) and cut at the oldest running transaction, nothing can appear behind a reader.
    """
    after = settled().extra(
        where=["(transaction_id, sequence) > (%s::text::xid8, %s)"],
        params=[str(position.transaction_id), position.sequence],
    )
    return after.order_by("transaction_id", "sequence")


def settled() -> models.QuerySet[DomainEvent]:
    """Events that no running transaction can still put another one in front of; and our transaction's own."""
    found: models.QuerySet[DomainEvent] = _model("DomainEvent").objects.extra(
        where=[
            "(transaction_id < pg_snapshot_xmin(pg_current_snapshot())"
            " OR transaction_id = pg_current_xact_id_if_assigned())"
        ]
    )
    return found


def unsettled() -> bool:
    """Whether there are committed events that must wait for an older transaction to end."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM records_domainevent"
            " WHERE transaction_id >= pg_snapshot_xmin(pg_current_snapshot()))"
        )
        return bool(cursor.fetchone()[0])


def _model(name: str) -> Any:
    return apps.get_model("records", name)
