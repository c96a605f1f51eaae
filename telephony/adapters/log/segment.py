"""Segments: one append-only log in a directory, as files of bounded size.

A position is the number of bytes ever written; a file is named by the position at which it starts, so any
position leads to its file by arithmetic and survives rotation. `append` is a plain write: when it returns,
the bytes are the kernel's and kill -9 loses nothing. A thread calls fsync every 20 ms while there is
something new, older file first, and tells how far the disk is known to be.

At the start the tail is checked. What a crash tore off is cut back to the last whole group; damage before the
place that was known to be on the disk is refused loudly, because it is no crash's doing. A lock on the
directory keeps a second process out.
"""

import fcntl
import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

from telephony.adapters.log.records import Record, pack, unpack

SEGMENT_BYTES = 16 << 20
SYNC_SECONDS = 0.02
READ_BYTES = 128 << 10


class Damaged(Exception):
    """A record that was safely on the disk cannot be read any more. Restore the directory, or remove it
    while PostgreSQL is up to continue from there."""


class InUse(Exception):
    """Another process holds this directory."""


class Segments:
    """The files of one directory. All methods but the sync thread belong to one thread."""

    def __init__(self, directory: Path, *, known: int = 0, size: int = SEGMENT_BYTES) -> None:
        """Open and check; `known` is a position that was on the disk. Raises InUse or Damaged."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._size = size
        self._lock_file = _lock(directory / "lock")
        self._starts = sorted(int(path.stem) for path in directory.glob("*.seg")) or [0]
        self.cut = 0
        """Bytes of a torn tail that were cut at the start."""
        try:
            self.end = self._check(known)
            self._file = self._open_last()
        except BaseException:
            os.close(self._lock_file)
            raise
        self._retired: list[int] = []
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        os.fsync(self._file)
        _sync_directory(directory)
        self.synced = self.end
        self.on_synced: Callable[[int], None] = lambda position: None
        """Called by the sync thread after each fsync, with the position that is now on the disk."""
        self.failure: OSError | None = None
        """Why the disk refused an fsync, if it did: what was not on it by then may be lost."""
        self._thread = threading.Thread(target=self._sync, name="murima-fsync", daemon=True)
        self._thread.start()

    # --- writing ---

    def append(self, group: list[Record]) -> int:
        """Write one group; returns the end position. An OSError (disk full) leaves no part of it behind."""
        if self.failure is not None:
            raise self.failure
        data = pack(group)
        if self.end - self._starts[-1] >= self._size:
            self.rotate()
        try:
            _write(self._file, data)
        except OSError:
            os.ftruncate(self._file, self.end - self._starts[-1])
            raise
        self.end += len(data)
        self._wake.set()
        return self.end

    def rotate(self) -> None:
        """Begin a new file, unless the present one is empty."""
        if self.end == self._starts[-1]:
            return
        fresh = os.open(self._path(self.end), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with self._guard:
            self._retired.append(self._file)
            self._file = fresh
            self._starts = [*self._starts, self.end]

    def _sync(self) -> None:
        while not self._stop:
            self._wake.wait()
            self._wake.clear()
            try:
                self.sync()
            except OSError as error:
                self.failure = error
                self.on_synced(self.synced)
                return
            time.sleep(SYNC_SECONDS)

    def sync(self) -> None:
        """Bring everything written so far to the disk."""
        with self._guard:
            end, current, retired = self.end, os.dup(self._file), self._retired
            self._retired = []
        try:
            for file in retired:
                os.fsync(file)
                os.close(file)
            if retired:
                _sync_directory(self._directory)
            os.fsync(current)
        finally:
            os.close(current)
        self.synced = max(self.synced, end)
        self.on_synced(self.synced)

    # --- reading ---

    @property
    def start(self) -> int:
        """The oldest position still held."""
        return self._starts[0]

    def read(self, position: int, limit: int = READ_BYTES) -> tuple[list[Record], int]:
        """(records of whole groups from `position`, the position after them); nothing at the end.

        Reads about `limit` bytes, more when one group is longer. Raises Damaged, or ValueError for a position
        that is not held. Any thread may read: files are opened anew, and lists replaced, never changed.
        """
        if position == self.end:
            return [], position
        if not self.start <= position < self.end:
            raise ValueError(f"position {position} is outside of what is held")
        starts = self._starts
        start = starts[bisect_right(starts, position) - 1]
        while True:
            data = self._bytes(start, position, limit)
            records, used, bad = unpack(data)
            if records:
                return records, position + used
            if bad or len(data) < limit:
                raise Damaged(f"the record at position {position} in {self._directory} cannot be read")
            limit *= 4

    def _bytes(self, start: int, position: int, limit: int) -> bytes:
        with self._path(start).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), limit, position - start)

    def replay(self, upto: int | None = None) -> Iterator[tuple[Record, int]]:
        """Every record before `upto` (default: the present end), with a position at or shortly before it."""
        place, end = self.start, self.end if upto is None else upto
        while place < end:
            records, after = self.read(place)
            for record in records:
                yield record, place
            place = after

    # --- keeping ---

    def drop_before(self, position: int) -> int:
        """Delete whole files that lie before `position`, never the current one; returns how many."""
        dropped = 0
        while len(self._starts) > 1 and self._starts[1] <= position:
            self._path(self._starts[0]).unlink()
            self._starts = self._starts[1:]
            dropped += 1
        return dropped

    def set_aside(self, place: Path) -> None:
        """Move all files to the directory `place` and begin again at the same position, empty."""
        with self._guard:
            for start in self._starts:
                self._path(start).rename(place / self._path(start).name)
            os.close(self._file)
            self._starts = [self.end]
            self._file = self._open_last()

    def close(self) -> None:
        """Sync what is left and let the directory go."""
        self._stop = True
        self._wake.set()
        self._thread.join(5)
        if self.failure is None:
            self.sync()
        os.close(self._file)
        os.close(self._lock_file)

    # --- opening ---

    def _check(self, known: int) -> int:
        """Walk all files, cut what is torn, return the end."""
        place = self._starts[0]
        for index, start in enumerate(self._starts):
            data = self._path(start).read_bytes() if start == place and self._path(start).exists() else b""
            used = unpack(data)[1]
            whole = start == place and used == len(data)
            place += used
            if whole:
                continue
            if place < known:
                raise Damaged(
                    f"{self._directory}: position {place} is unreadable, though {known} was on the disk"
                )
            self._cut_from(index, place)
            break
        return place

    def _cut_from(self, index: int, place: int) -> None:
        """Make the log end at `place`, in file `index` or, when that one does not follow, before it."""
        for start in self._starts[index:]:
            path = self._path(start)
            self.cut += path.stat().st_size
            if start <= place:
                self.cut -= place - start
                os.truncate(path, place - start)
            else:
                path.unlink()
        self._starts = [start for start in self._starts if start <= place]

    def _open_last(self) -> int:
        path = self._path(self._starts[-1])
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _path(self, start: int) -> Path:
        return self._directory / f"{start:020d}.seg"


def _write(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise InUse(f"another daemon holds {path.parent}") from error
    return handle
