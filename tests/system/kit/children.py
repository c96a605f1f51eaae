"""The children of a process, as the kernel lists them: thread by thread."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def children(pid: int) -> Iterator[int]:
    """Process ids; a thread that ends while one looks has none."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield from map(int, (task / "children").read_text().split())
