"""Port numbers for one stack, kept from start to start.

Each stack takes a block of its own by holding a lock file for as long as its process lives, so that
stacks on one machine (checkouts, test runs) do not meet: services sit at the block's beginning, RTP
in the rest. Blocks lie below the range from which the kernel hands out ports to clients. A stack that
a person starts prefers the well-known numbers of the documentation when they are free.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
from pathlib import Path

from deployment.dev.say import Trouble

_FIRST, _WIDTH, _BLOCKS = 20000, 640, 19
_SERVICES = 40
NAMES = ("web", "postgres", "redis", "ari", "sip", "ami", "caller",
         "metrics_daemon", "metrics_web", "metrics_intake", "metrics_worker", "metrics_beat")  # fmt: skip
USUAL = {"web": 8000, "postgres": 15432, "redis": 16379, "ari": 18088, "sip": 15060, "ami": 15038}


class Block:
    """A block of ports held by this process; `take` gives it, `release` lets it go."""

    def __init__(self, number: int, descriptor: int) -> None:
        self.first = _FIRST + number * _WIDTH
        self._descriptor = descriptor

    @property
    def rtp(self) -> tuple[int, int]:
        """First and last port for media."""
        return self.first + _SERVICES, self.first + _WIDTH - 1

    def release(self) -> None:
        """Let another stack have the block."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def take(preferred: int | None = None) -> Block:
    """Hold a free block, number `preferred` if it can be had."""
    place = Path(tempfile.gettempdir()) / f"murima-ports-{os.geteuid()}"
    place.mkdir(exist_ok=True)
    order = list(range(_BLOCKS))
    if preferred is not None and preferred in order:
        order.insert(0, preferred)
    for number in order:
        descriptor = os.open(place / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        block = Block(number, descriptor)
        if preferred == number or all(_free(block.first + n) for n in range(len(NAMES))):
            return block
        block.release()
    raise Trouble(f"All {_BLOCKS} blocks of ports from {_FIRST} on are taken by other stacks.")


def choose(file: Path, *, usual: bool) -> tuple[dict[str, int], Block]:
    """The stack's ports by name, with the block that they are from; `file` remembers them."""
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError):
        kept = {}
    block = take(kept.get("block"))
    number = (block.first - _FIRST) // _WIDTH
    before = kept.get("ports", {}) if kept.get("block") == number else {}
    ports: dict[str, int] = {}
    for index, name in enumerate(NAMES):
        candidates = [before.get(name), USUAL.get(name) if usual else None, block.first + index]
        candidates += list(range(block.first + len(NAMES), block.first + _SERVICES))
        ports[name] = next(p for p in candidates if p and p not in ports.values() and _free(p))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"block": number, "ports": ports}))
    return ports, block


def _free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections on this port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
