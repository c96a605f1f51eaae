"""Journals as files: one per tenant, hour and owner, written by a thread, kept for three days.

`note` puts an event into a bounded queue and returns. When the queue is full the event is dropped and
counted, and the tenant's journal goes on in a new file that begins with the floor as it then is: a journal
never has a hole. So it is with a floor that was built anew. Files are named by tenant, hour, epoch and
number; what cannot be written is counted and forgotten, since a diagnostic must not cost a call.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog
from prometheus_client import Counter

from telephony import journal
from telephony.contract.clock import SECOND, Instant, to_datetime
from telephony.engine import events as e
from telephony.engine.floor import Floor

HOUR = 3600 * SECOND
KEPT_SECONDS = 72 * 3600
QUEUE = 20_000
"""Events on their way to the disk; a busy second has some hundreds."""
BATCH = 1000
GATHER_SECONDS = 0.05
"""How long the thread lets events gather: one that it takes singly costs the loop a change of threads."""
SWEEP_SECONDS = 600.0
CLOSE_SECONDS = 2.0

WRITTEN = Counter("murima_journal_lines_total", "Lines written to journals")
DROPPED = Counter("murima_journal_dropped_total", "Events that no journal holds", ["why"])

log = structlog.get_logger("journal")

_Item = tuple[str, bytes | Instant, e.Event | None]
"""(file, first line) or (file, at, event)."""


@dataclass(slots=True)
class _Open:
    floor: Floor
    hour: int
    name: str


class JournalFiles:
    """Implements `ports.journal.Recorder`. `note` belongs to one thread; `close` writes what is left."""

    def __init__(self, root: Path, build: str, limit: int = QUEUE) -> None:
        self._root, self._build, self._limit = root, build, limit
        self._open: dict[str, _Open] = {}
        self._count = 0
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def note(self, floor: Floor, event: e.Event | None, now: Instant) -> None:
        tenant = floor.view.tenant
        if self._queue.qsize() >= self._limit:
            self._open.pop(tenant, None)
            DROPPED.labels("full").inc()
            return
        found = self._open.get(tenant)
        try:
            if found is None or found.floor is not floor or found.hour != now // HOUR:
                found = self._open[tenant] = self._begin(floor, now)
        except Exception as error:
            self._broken(error)
            return
        self._queue.put((found.name, now, event))

    def _begin(self, floor: Floor, now: Instant) -> _Open:
        """A new file. Its first line is made here, because the floor is about to change."""
        name = f"{floor.view.tenant}-{to_datetime(now):%Y%m%d%H}-{floor.epoch}-{self._count}.jsonl"
        self._count += 1
        first = journal.head(self._build, floor.epoch, floor.view, floor.policies(), floor.paused)
        self._queue.put((name, first, None))
        return _Open(floor, now // HOUR, name)

    def _broken(self, error: Exception) -> None:
        DROPPED.labels("broken").inc()
        log.error("journal_broke", error=type(error).__name__)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(CLOSE_SECONDS)

    # --- in the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        sweep_at = 0.0
        while True:
            if time.monotonic() >= sweep_at:
                self._sweep()
                sweep_at = time.monotonic() + SWEEP_SECONDS
            batch = self._batch(max(0.0, sweep_at - time.monotonic()))
            items = [each for each in batch if each is not None]
            self._write(items)
            if len(items) < len(batch):
                return

    def _batch(self, seconds: float) -> list[_Item | None]:
        """What is there, after waiting for something to be there."""
        found: list[_Item | None] = []
        try:
            found.append(self._queue.get(timeout=seconds))
            if found[0] is not None:
                time.sleep(GATHER_SECONDS)
            while len(found) < BATCH and found[-1] is not None:
                found.append(self._queue.get_nowait())
        except Empty:
            pass
        return found

    def _write(self, items: Iterable[_Item]) -> None:
        files: dict[str, list[bytes]] = {}
        for name, at, event in items:
            try:
                text = at if isinstance(at, bytes) else journal.line(at, event)
            except Exception as error:
                self._broken(error)
                continue
            files.setdefault(name, []).append(text + b"\n")
        for name, lines in files.items():
            try:
                self._root.mkdir(parents=True, exist_ok=True)
                with (self._root / name).open("ab") as file:
                    file.write(b"".join(lines))
                WRITTEN.inc(len(lines))
            except OSError as error:
                DROPPED.labels("disk").inc(len(lines))
                log.warning("journal_not_written", error=type(error).__name__)

    def _sweep(self) -> None:
        """Remove files older than 72 h."""
        oldest = time.time() - KEPT_SECONDS
        for path in self._root.glob("*.jsonl"):
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except OSError as error:
                log.warning("journal_not_removed", error=type(error).__name__)
