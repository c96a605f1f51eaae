"""Ends what a dead supervisor left behind.

The guardian waits on a pipe whose other end only the supervisor holds; end of file means that it is
gone, however it died. Children get their death signal from the kernel; what is still there a moment
later (children of children, too) is killed. `sweep` does the same at the next start, should the
guardian itself have been killed. A process is believed to be ours only when its start time is the
recorded one, so that a reused number never costs a stranger's life.

Usage: guardian.py PIDS_FILE (standard input: the pipe).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

_GRACE_SECONDS = 1.5


def started_at(pid: int) -> int | None:
    """A process's start time in clock ticks since boot, None when it is gone (or a zombie)."""
    stat = _stat(pid)
    return None if stat is None or stat[0] in "ZX" else int(stat[19])


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def family(leader: int) -> list[int]:
    """Every live process of the process session that `leader` opened."""
    found = []
    for entry in Path("/proc").iterdir():
        if (
            entry.name.isdigit()
            and (stat := _stat(int(entry.name)))
            and stat[0] not in "ZX"
            and int(stat[3]) == leader
        ):
            found.append(int(entry.name))
    return found


def sweep(file: Path) -> list[str]:
    """Kill what `file` ({name: [pid, start time]}) says was ours and still lives; returns the names."""
    try:
        recorded: dict[str, list[int]] = json.loads(file.read_text())
    except (OSError, ValueError):
        return []
    swept = []
    for name, (pid, start) in recorded.items():
        current = started_at(pid)
        if current is not None and current != start:
            continue  # the number belongs to somebody else now
        victims = family(pid)
        for victim in victims:
            with contextlib.suppress(OSError):
                os.kill(victim, signal.SIGKILL)
        if victims:
            swept.append(name)
    file.unlink(missing_ok=True)
    return swept


def main() -> None:
    """Wait for the supervisor's end, then sweep."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1024):
        pass
    time.sleep(_GRACE_SECONDS)
    sweep(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
