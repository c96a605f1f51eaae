"""The intake's process: one at a time, for all tenants.

A connection of its own holds an advisory lock (a second process waits until the first is gone) and listens
for the log's notices, which name their tenants: those have a turn, and nobody else. Each second one question
(tenants_where) finds the tenants whose log has gone on without a notice, or whose outbox has something due;
so the work grows with what happens and hardly with the number of tenants. A tenant whose turn fails is left
alone for a while, longer each time, and the others go on. Rounds begin at least GATHER_SECONDS apart unless
one is behind: a call's facts come in bursts and every turn computes its calls anew, so facts that are taken
together cost a fraction. The longer a round took, the longer the next one gathers, up to GATHER_LONGEST: the
busier the machine, the less of it the rows take. Two processes at once, in the moment a lost lock goes
unnoticed, do no harm: a turn locks its position.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import psycopg
import structlog
from django.conf import settings
from django.db import close_old_connections
from prometheus_client import Counter, Gauge

from web.shared.core import log
from web.shared.tenants.context import tenant_context
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.ids import TenantId
from web.shared.tenants.queries import tenant_ids
from web.tenant.calls import intake, outbox, services

LOCK = 0x6D75_7269_6D61_0001
"""Advisory lock of the intake: 'murima' and a number."""
POLL_SECONDS = 1.0
GATHER_SECONDS = 0.2
"""The first fact after a quiet time is taken at once; those that follow wait until this much is over."""
GATHER_LONGEST = 1.0
GATHER_SHARE = 8
"""Rounds take at most about one in so many seconds, until GATHER_LONGEST is reached."""
TENANTS_SECONDS = 5.0
TIDY_SECONDS = 3600.0
LONGEST_PAUSE = 30.0

FACTS = Counter("murima_intake_facts_total", "Log entries taken.", ["tenant"])
UNKNOWN = Counter("murima_intake_unknown_facts_total", "Facts of a newer release, skipped.", ["tenant"])
PARKED = Counter("murima_intake_parked_calls_total", "Calls that could not be applied.", ["tenant"])
FAILED = Counter("murima_intake_failed_turns_total", "Turns that failed and will be tried again.", ["tenant"])
TURN = Gauge("murima_intake_last_turn_timestamp_seconds", "When the last round over all tenants ended.")

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Trouble:
    """A tenant whose turn failed: how often in a row, and until when it is left alone (monotonic)."""

    times: int = 0
    until: float = 0.0


@dataclass(slots=True)
class Follower:
    """`run` returns when `stop` is set; `drain` does what there is and returns."""

    stop: threading.Event
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _tenants: list[str] = field(default_factory=list)
    _tenants_at: float = float("-inf")
    _named: set[str] = field(default_factory=set)
    _asked_at: float = float("-inf")
    _tidied_at: float = float("-inf")

    def run(self) -> None:
        """Serve until told to stop, through every loss of the database."""
        lost = 0
        while not self.stop.is_set():
            try:
                with _connection() as own:
                    if self._take_lock(own):
                        lost = 0
                        self._serve(own)
            except psycopg.Error as error:
                lost += 1
                logger.warning("intake_database_lost", error=type(error).__name__, times=lost)
                self.stop.wait(random.uniform(0.2, min(10.0, 0.5 * 2.0 ** min(lost, 6))))

    def drain(self) -> int:
        """Rounds until no tenant has anything left; returns the entries taken."""
        total = 0
        while taken := self.round(self._behind()):
            total += taken
        return total

    def round(self, tenants: Iterable[str] = ()) -> int:
        """One turn for each of these, and for whoever needs one unnamed; returns the entries taken."""
        close_old_connections()
        due = set(tenants)
        if time.monotonic() - self._asked_at >= POLL_SECONDS:
            self._asked_at = time.monotonic()
            due.update(self._behind())
            for waiting in tenants_where(self._known_tenants(), outbox.due_rows()):
                self._sweep(waiting)
        taken = 0
        for tenant in self._known_tenants():
            if tenant in due:
                taken += (count := self._turn(tenant))
                if count >= intake.BATCH:
                    self._named.add(tenant)
        if time.monotonic() - self._tidied_at >= TIDY_SECONDS:
            self._tidied_at = time.monotonic()
            for tenant in self._known_tenants():
                self._tidy(tenant)
        TURN.set_to_current_time()
        return taken

    def _serve(self, own: psycopg.Connection[tuple[object, ...]]) -> None:
        own.execute(f"LISTEN {log.CHANNEL}")
        while not self.stop.is_set():
            begun = time.monotonic()
            named, self._named = self._named, set()
            if self.round(named):
                own.execute("SELECT 1")  # the lock's connection is still there
            if not self._named:
                now = time.monotonic()
                self.stop.wait(begun + _gathering(now - begun) - now)
            # Everything that has come meanwhile, or the first that comes.
            for notice in own.notifies(timeout=0.0 if self._named else POLL_SECONDS, stop_after=1):
                self._named.add(notice.payload.partition(" ")[0])

    def _take_lock(self, own: psycopg.Connection[tuple[object, ...]]) -> bool:
        """Wait for the lock; False when told to stop first."""
        said = False
        while not self.stop.is_set():
            row = own.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
            if row is not None and row[0]:
                logger.info("intake_started")
                return True
            if not said:
                logger.info("intake_waits_for_another")
                said = True
            self.stop.wait(random.uniform(0.5, 1.5))
        return False

    def _turn(self, tenant: str) -> int:
        trouble = self._troubles.get(tenant)
        if trouble is not None and time.monotonic() < trouble.until:
            return 0
        try:
            turn = intake.turn(tenant)
        except Exception as error:  # one tenant's trouble must not be everybody's
            self._leave_alone(tenant, error)
            return 0
        self._troubles.pop(tenant, None)
        FACTS.labels(tenant).inc(turn.taken)
        UNKNOWN.labels(tenant).inc(turn.unknown)
        PARKED.labels(tenant).inc(turn.parked)
        return turn.taken

    def _leave_alone(self, tenant: str, error: Exception) -> None:
        trouble = self._troubles.setdefault(tenant, _Trouble())
        trouble.times += 1
        longest = min(LONGEST_PAUSE, 0.25 * 2.0 ** min(trouble.times, 8))
        trouble.until = time.monotonic() + random.uniform(0.2, max(0.3, longest))
        FAILED.labels(tenant).inc()
        logger.warning(
            "intake_turn_failed",
            tenant=tenant,
            error=type(error).__name__,
            times=trouble.times,
            exc_info=error,
        )

    def _sweep(self, tenant: str) -> None:
        try:
            outbox.sweep(tenant)
        except Exception as error:  # it is tried again in a second
            logger.warning("outbox_sweep_failed", tenant=tenant, error=type(error).__name__)

    def _tidy(self, tenant: str) -> None:
        try:
            with tenant_context(tenant):
                outbox.forget_done()
                services.drafts_forget()
        except Exception as error:  # it is tried again in an hour
            logger.warning("tidy_failed", tenant=tenant, error=type(error).__name__)

    def _behind(self) -> list[TenantId]:
        return tenants_where(self._known_tenants(), intake.BEHIND)

    def _known_tenants(self) -> list[str]:
        """All tenants, suspended ones too: what already happened there still becomes rows."""
        if time.monotonic() - self._tenants_at > TENANTS_SECONDS:
            self._tenants = [str(tenant) for tenant in tenant_ids(active_only=False)]
            self._tenants_at = time.monotonic()
        return self._tenants


def _gathering(took: float) -> float:
    """Seconds from the beginning of a round that took so long to the beginning of the next."""
    return min(max(GATHER_SECONDS, GATHER_SHARE * took), GATHER_LONGEST)


def _connection() -> psycopg.Connection[tuple[object, ...]]:
    """A connection outside Django's: the lock and the listening last as long as it does."""
    database = settings.DATABASES["default"]
    return psycopg.connect(
        host=database["HOST"] or None,
        port=database["PORT"] or None,
        user=database["USER"],
        password=database["PASSWORD"],
        dbname=database["NAME"],
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        autocommit=True,
        application_name="murima-intake",
    )
