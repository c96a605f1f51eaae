"""Murima's own processes: which they are, how each starts, and how one sees that it answers."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deployment.dev import machine, python
from deployment.dev.keeper import Spec

if TYPE_CHECKING:
    from deployment.dev.stack import Stack

ORDER = ("daemon", "web", "intake", "worker", "beat")


def specs(stack: Stack) -> list[Spec]:
    """The processes in the order in which they start; those whose code is not there are left out."""
    root = machine.checkout()
    return [_spec(stack, name, root) for name in ORDER if _entry(name, root).exists()]


def _entry(name: str, root: Path) -> Path:
    files = {"daemon": "telephony/__main__.py", "web": "config/asgi.py",
             "intake": "web/shared/core/management/commands/intake.py",
             "worker": "config/celery.py", "beat": "config/celery.py"}  # fmt: skip
    if name == "intake":
        found = sorted(root.glob("web/*/*/management/commands/intake.py"))
        return found[0] if found else root / files[name]
    return root / files[name]


def _spec(stack: Stack, name: str, root: Path) -> Spec:
    python_ = str(python.interpreter())
    bin_ = python.environment() / "bin"
    host, _, port = stack.environment["MURIMA_WEB_BIND"].rpartition(":")
    commands = {
        "daemon": [python_, "-m", "telephony"],
        # -v 0: no access log, whose lines would quote query strings; each request logs one line of its own.
        "web": [str(bin_ / "daphne"), "-v", "0", "-b", host, "-p", port, "--no-server-name",
                "config.asgi:application"],
        "intake": [python_, "manage.py", "intake"],
        "worker": [str(bin_ / "celery"), "-A", "config.celery", "worker", "--pool", "threads",
                   "-c", "4", "-l", "warning"],
        "beat": [str(bin_ / "celery"), "-A", "config.celery", "beat", "-l", "warning",
                 "-s", str(stack.home / "run/beat-schedule"), "--pidfile="],
    }  # fmt: skip
    metrics = f"127.0.0.1:{stack.ports['metrics_' + name]}"
    environment = {**stack.environment, "MURIMA_METRICS_BIND": metrics, "PYTHONUNBUFFERED": "1"}
    return Spec(
        name, commands[name], _ready(name, port, metrics), environment=environment, directory=root,
        stop_signal=signal.SIGTERM, death_signal=signal.SIGKILL,
    )  # fmt: skip


def _ready(name: str, web_port: str, metrics: str) -> Callable[[], bool]:
    if name == "web":
        return lambda: _get(f"http://127.0.0.1:{web_port}/livez")
    if name == "daemon":
        return lambda: _get(f"http://{metrics}/metrics")
    return lambda: True


def _get(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as response:  # noqa: S310 - our own loopback address
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code < 500  # it answers, if not with what we asked for
    except OSError:
        return False
