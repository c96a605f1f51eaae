"""The local stack's Redis: nothing in it needs to survive, so nothing is written to disk.

`noeviction`, because a stream that loses entries in silence is worse than a refused write.
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from deployment.dev import machine
from deployment.dev.keeper import Spec


class Redis:
    """One server with its configuration in `home`/redis."""

    def __init__(self, home: Path, port: int, password: str, binary: Path) -> None:
        self._directory, self._port, self._password, self._binary = home / "redis", port, password, binary

    def url(self) -> str:
        """The address, with its password."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def spec(self) -> Spec:
        """How to run the server."""
        self._directory.mkdir(parents=True, exist_ok=True)
        configuration = self._directory / "redis.conf"
        lines = ["bind 127.0.0.1", f"port {self._port}", f'requirepass "{self._password}"', 'save ""',
                 "appendonly no", "maxmemory-policy noeviction", "daemonize no", 'logfile ""',
                 f"dir {self._directory}", "loglevel warning"]  # fmt: skip
        descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as target:
            target.write("\n".join(lines) + "\n")
        machine.give(self._directory)
        return Spec(
            "redis", [str(self._binary), str(configuration)], self._answers,
            as_server=True, death_signal=signal.SIGTERM, directory=self._directory,
        )  # fmt: skip

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as peer:
                peer.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while b"+PONG" not in answer and (chunk := peer.recv(200)):
                    answer += chunk
                return b"+PONG" in answer
        except OSError:
            return False
