"""Drives a running local stack from outside: hold, release, restart, kill, status.

    from deployment.dev import control
    control.hold("daemon"); control.release("daemon"); control.kill("redis", "KILL"); control.status()

The supervisor listens on a socket in its runtime directory; one JSON line asks, one answers:
{"ask": "hold", "name": "daemon"} → {"ok": true} or {"ok": false, "error": text}. The directory is
opened first and the socket reached through it, because a socket's path may be 107 bytes at most.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployment.dev import machine
from deployment.dev.keeper import Keeper
from deployment.dev.say import Trouble

_NAME = "control.sock"
_TIMEOUT_SECONDS = 90


def home() -> Path:
    """The runtime directory of this checkout's stack."""
    return Path(os.environ.get("MURIMA_HOME") or machine.checkout() / ".murima").absolute()


def hold(name: str, number: str | None = None, *, at: Path | None = None) -> None:
    """Keep a process down until it is released; `number` (say, "KILL") ends it instead of its stop signal."""
    _ask(at, ask="hold", name=name, signal=number)


def release(name: str, *, at: Path | None = None) -> None:
    """Let a held process run again; returns when it answers."""
    _ask(at, ask="release", name=name)


def restart(name: str, *, at: Path | None = None) -> None:
    """Stop and start a process; returns when it answers."""
    _ask(at, ask="restart", name=name)


def kill(name: str, number: str, *, at: Path | None = None) -> None:
    """Send a signal ("KILL", "STOP", "CONT") to one process."""
    _ask(at, ask="kill", name=name, signal=number)


def status(*, at: Path | None = None) -> dict[str, Any]:
    """{process: {pid, wanted, starts, last_exit}}."""
    answer = _ask(at, ask="status")
    found: dict[str, Any] = answer["status"]
    return found


def _ask(at: Path | None, **request: object) -> dict[str, Any]:
    directory = (at or home()) / "run"
    try:
        with _socket_path(directory) as path, socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(_TIMEOUT_SECONDS)
            peer.connect(path)
            peer.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(peer.makefile().readline())
    except (OSError, ValueError) as error:
        raise Trouble(f"No local stack answers at {directory} ({error}). Start it with: make up") from error
    if not answer["ok"]:
        raise Trouble(str(answer["error"]))
    return answer


@contextlib.contextmanager
def _socket_path(directory: Path) -> Iterator[str]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)


def serve(keeper: Keeper, at: Path) -> None:
    """Answer on the socket from a thread, for as long as this process lives."""
    (at / "run" / _NAME).unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    with _socket_path(at / "run") as path:
        server.bind(path)
    (at / "run" / _NAME).chmod(0o600)
    server.listen(16)
    threading.Thread(target=_accept, args=(server, keeper), name="control", daemon=True).start()


def _accept(server: socket.socket, keeper: Keeper) -> None:
    while True:
        peer, _ = server.accept()
        threading.Thread(target=_answer, args=(peer, keeper), daemon=True).start()


def _answer(peer: socket.socket, keeper: Keeper) -> None:
    with contextlib.suppress(OSError), peer:
        peer.settimeout(10)
        try:
            request = json.loads(peer.makefile().readline())
            answer = {"ok": True, **_carry_out(request, keeper)}
        except (Trouble, ValueError, KeyError) as error:
            answer = {"ok": False, "error": str(error)}
        peer.settimeout(None)
        peer.sendall(json.dumps(answer).encode() + b"\n")


def _carry_out(request: dict[str, Any], keeper: Keeper) -> dict[str, Any]:
    ask, name = request["ask"], request.get("name", "")
    number = signal.Signals[f"SIG{request['signal']}"] if request.get("signal") else None
    if ask == "status":
        return {"status": keeper.status()}
    if ask == "hold":
        keeper.hold(name, number)
    elif ask == "release":
        keeper.release(name)
    elif ask == "restart":
        keeper.restart(name)
    elif ask == "kill" and number is not None:
        keeper.kill(name, number)
    else:
        raise Trouble(f"The local stack does not know '{ask}'.")
    return {}
