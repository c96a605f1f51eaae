"""Long work: started by a request, done by a worker, watched at /api/v1/jobs/{id}/.

    jobs.kind("contacts.import", run)                       # in ready(); run(handle) -> result, JSON
    job = jobs.start("contacts.import", actor=actor, params={"dry_run": True}, source=upload)

`run` gets a Handle: params, files to read and write, `progress(done, total, place)`. Whoever takes a job up
gets a turn and a lease; each progress renews the lease, and is refused (LeaseLost) once somebody else has the
turn, so a worker that hung and comes back writes nothing. Progress inside the transaction of a chunk is
committed with the chunk: a killed worker's job is taken up by beat when its lease lapsed, and goes on at
`handle.place`. Five turns without progress are enough: the job has failed.

The row holds ids, states and numbers. What people typed is in the job's files (input, output, errors) below
the tenant's directory: the input goes when the job ends, the others a day later, or with an erasure.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from web.shared.core import audit, events, files
from web.shared.core.actor import Actor, ActorKind
from web.shared.records.models.jobs import Job, JobState
from web.shared.tenants.context import current_tenant_id

LEASE = timedelta(seconds=60)
IDLE_TURNS = 5
FILES_KEPT = timedelta(hours=24)
ROWS_KEPT = timedelta(days=30)
AREA = "jobs"
OPEN = (JobState.QUEUED, JobState.RUNNING)

logger = structlog.get_logger(__name__)


class Cancelled(Exception):
    """Somebody cancelled the job; raised by `progress` so that the runner stops."""


class LeaseLost(Exception):
    """Another worker has the job now: stop, and write nothing more."""


class JobFailed(Exception):
    """Raised by a runner that cannot go on; `code` is told to whoever started the job."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Handle:
    """What a runner holds. Files exist once they are written; `place` is where an earlier turn stopped."""

    tenant_id: str
    id: uuid.UUID
    kind: str
    actor: Actor
    params: Mapping[str, Any]
    place: dict[str, Any]
    done: int
    total: int | None
    turn: int

    @property
    def input(self) -> Path:
        return self._path("input")

    @property
    def output(self) -> Path:
        return files.make_room(self._path("output"))

    @property
    def errors(self) -> Path:
        return files.make_room(self._path("errors"))

    def _path(self, part: str) -> Path:
        return files.tenant_path(self.tenant_id, AREA, self.id, part)

    def progress(self, done: int, total: int | None = None, place: Mapping[str, Any] | None = None) -> None:
        """Write down how far it is, and where to go on. Raises Cancelled, or LeaseLost."""
        self.done, self.total = done, total if total is not None else self.total
        values: dict[str, Any] = {"done": done, "total": self.total, "idle_turns": 0}
        if place is not None:
            self.place = dict(place)
            values["place"] = self.place
        mine = Job.objects.filter(pk=self.id, turn=self.turn, state=JobState.RUNNING)
        if not mine.filter(cancel_requested=False).update(lease_until=timezone.now() + LEASE, **values):
            raise Cancelled if mine.exists() else LeaseLost


Runner = Callable[[Handle], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """`media_type` and `extension` are of the output."""

    name: str
    run: Runner
    media_type: str = "application/octet-stream"
    extension: str = "bin"


kinds: dict[str, Kind] = {}


def kind(name: str, run: Runner, *, media_type: str = "text/csv", extension: str = "csv") -> None:
    """Register what does jobs of this name; the same name twice is an error."""
    if name in kinds:
        raise ValueError(f"the job {name} is registered twice")
    kinds[name] = Kind(name, run, media_type, extension)


# --- starting and stopping ----------------------------------------------------------------------------------


def start(
    name: str,
    *,
    actor: Actor,
    params: Mapping[str, Any] | None = None,
    source: Iterable[bytes] | bytes | Path | None = None,
    total: int | None = None,
) -> Job:
    """Write the job down and send it to a worker after the commit. `source` is its input; a Path is moved.

    `params` is JSON without anything a person typed. Raises LookupError for a kind that nobody registered.
    """
    if name not in kinds:
        raise LookupError(f"nobody does jobs called {name}")
    tenant_id = _tenant()
    job = Job(
        kind=name,
        params=dict(params or {}),
        total=total,
        created_by_id=actor.user_id,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        request_id=actor.request_id,
        lease_until=timezone.now() + LEASE,
    )
    if source is not None:
        _write_input(files.make_room(files.tenant_path(tenant_id, AREA, job.pk, "input")), source)
    with transaction.atomic():
        job.save(force_insert=True)
        audit.record(actor=actor, action="job.start", obj=job, changes={"kind": name})
        transaction.on_commit(lambda: _send(tenant_id, job.pk), robust=True)
    return job


def _write_input(path: Path, source: Iterable[bytes] | bytes | Path) -> None:
    if isinstance(source, Path):
        shutil.move(source, path)
        return
    with path.open("wb") as out:
        for piece in [source] if isinstance(source, bytes) else source:
            out.write(piece)


def _send(tenant_id: str, pk: uuid.UUID) -> None:
    from web.shared.core.job_tasks import send

    send(tenant_id, str(pk))


def cancel(job: Job, *, actor: Actor) -> Job:
    """Stop it: at once while it waits, at its next progress while it runs; nothing when it has ended."""
    with transaction.atomic():
        row = Job.objects.select_for_update().get(pk=job.pk)
        if row.state not in OPEN or row.cancel_requested:
            return row
        row.cancel_requested = True
        row.save(update_fields=["cancel_requested"])
        audit.record(actor=actor, action="job.cancel", obj=row)
        if row.state == JobState.QUEUED:
            _end(row, JobState.CANCELLED, {})
    return row


# --- running ------------------------------------------------------------------------------------------------


def run(pk: uuid.UUID | str) -> str:
    """Take the job up, if nobody else has it, and do it; returns its state, or "busy"."""
    job = _take(uuid.UUID(str(pk)))
    if job is None:
        return "busy"
    if job.state != JobState.RUNNING:
        return str(job.state)
    handle = Handle(
        tenant_id=_tenant(),
        id=job.pk,
        kind=job.kind,
        actor=_actor(job),
        params=job.params,
        place=dict(job.place),
        done=job.done,
        total=job.total,
        turn=job.turn,
    )
    state, result = _outcome(handle)
    if state is None:
        return "busy"
    with transaction.atomic():
        row = Job.objects.select_for_update().filter(pk=job.pk, turn=job.turn, state=JobState.RUNNING).first()
        if row is None:
            return "busy"
        _end(row, state, result)
    return str(state)


def _outcome(handle: Handle) -> tuple[JobState | None, dict[str, Any]]:
    """What came of it; no state when it is somebody else's now, or is to be taken up again."""
    try:
        return JobState.DONE, dict(kinds[handle.kind].run(handle) or {})
    except Cancelled:
        return JobState.CANCELLED, {}
    except LeaseLost:
        return None, {}
    except (OperationalError, InterfaceError) as error:
        # The database is away or ended us: the lease lapses and another turn goes on where this one was.
        logger.warning("job_interrupted", job=str(handle.id), kind=handle.kind, error=type(error).__name__)
        return None, {}
    except JobFailed as failure:
        return JobState.FAILED, {"error": failure.code}
    except Exception as error:
        logger.error("job_failed", job=str(handle.id), kind=handle.kind, exc_info=error)
        return JobState.FAILED, {"error": "internal_error"}


def _take(pk: uuid.UUID) -> Job | None:
    with transaction.atomic():
        job = (
            Job.objects.select_for_update(skip_locked=True)
            .filter(pk=pk)
            .filter(Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, lease_until__lt=timezone.now()))
            .first()
        )
        if job is None:
            return None
        if job.cancel_requested:
            return _end(job, JobState.CANCELLED, {})
        if job.idle_turns >= IDLE_TURNS or job.kind not in kinds:
            return _end(job, JobState.FAILED, {"error": "gave_up" if job.kind in kinds else "unknown_kind"})
        job.state, job.started_at = JobState.RUNNING, job.started_at or timezone.now()
        job.turn, job.idle_turns = job.turn + 1, job.idle_turns + 1
        job.lease_until = timezone.now() + LEASE
        job.save()
    return job


def _end(job: Job, state: JobState, result: dict[str, Any]) -> Job:
    """In a transaction, on the locked row."""
    job.state, job.result, job.lease_until = state, result, None
    job.finished_at = timezone.now()
    job.expires_at = job.finished_at + FILES_KEPT
    job.save()
    events.emit(
        "job.finished",
        actor=_actor(job),
        object_type="job",
        object_id=job.pk,
        data={"kind": job.kind, "state": str(state)},
    )
    path = files.tenant_path(_tenant(), AREA, job.pk, "input")
    transaction.on_commit(lambda: path.unlink(missing_ok=True), robust=True)
    return job


def _actor(job: Job) -> Actor:
    return Actor(ActorKind(job.actor_kind), id=job.actor_id, process="job", request_id=job.request_id)


# --- what is left -------------------------------------------------------------------------------------------


def waiting() -> list[uuid.UUID]:
    """Jobs of the tenant chosen that nobody does: never begun, or left by a worker that died."""
    return list(waiting_rows().order_by("created_at").values_list("pk", flat=True)[:100])


def waiting_rows() -> QuerySet[Job]:
    return Job.objects.filter(state__in=OPEN, lease_until__lt=timezone.now())


def forget_old() -> int:
    """Remove files a day after the end, rows after 30 days, uploads nobody took up; in the tenant chosen."""
    now = timezone.now()
    for job in Job.objects.filter(expires_at__lt=now)[:500]:
        drop_files(job.pk)
        Job.objects.filter(pk=job.pk).update(expires_at=None)
    files.forget_uploads(_tenant())
    count, _ = Job.objects.filter(finished_at__lt=now - ROWS_KEPT, expires_at=None).delete()
    return int(count)


def drop_files(pk: uuid.UUID) -> None:
    shutil.rmtree(files.tenant_path(_tenant(), AREA, pk), ignore_errors=True)


def erase_files(contact_id: uuid.UUID, actor: Actor) -> int:
    """A person was erased: no finished job's files may still tell of them, and no export under way either."""
    ended = list(Job.objects.filter(expires_at__isnull=False).values_list("pk", flat=True))
    for pk in ended:
        transaction.on_commit(partial(drop_files, pk), robust=True)
    Job.objects.filter(pk__in=ended).update(expires_at=None)
    for job in Job.objects.filter(state__in=OPEN, kind__endswith=".export"):
        cancel(job, actor=actor)
    return len(ended)


def _tenant() -> str:
    tenant_id = current_tenant_id()
    if tenant_id is None:
        raise RuntimeError("a job belongs to a tenant, and none is chosen")
    return str(tenant_id)
