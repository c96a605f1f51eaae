"""CPU time of processes and of the machine, from /proc.

A process's time is its own and its children's, living or ended (PostgreSQL's backends). Idle is idle and
waiting for I/O, of all cores.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """`used` in seconds by name; `idle` and `total` of the machine, in ticks."""

    at: float
    used: dict[str, float]
    idle: int
    total: int


def sample(pids: dict[str, int]) -> Sample:
    """A look at the processes named. One that is gone counts as nothing."""
    children: dict[int, list[int]] = {}
    stats: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat(int(entry.name))
        if fields:
            stats[int(entry.name)] = fields
            children.setdefault(int(fields[1]), []).append(int(entry.name))

    def used(pid: int) -> int:
        fields = stats.get(pid)
        own = sum(map(int, fields[11:15])) if fields else 0
        return own + sum(used(child) for child in children.get(pid, ()))

    idle, total = machine()
    return Sample(time.monotonic(), {name: used(pid) / _TICK for name, pid in pids.items()}, idle, total)


def machine() -> tuple[int, int]:
    """(idle, total) ticks of all cores."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def _stat(pid: int) -> list[str]:
    """Fields from the third (the state) on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def model() -> str:
    """What the processor calls itself, and how many cores there are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    return f"{os.cpu_count()} x {name}"
