"""run.json: every address of a running stack, for people's scripts and for tests.

Written atomically when everything answers, and again whenever a process has been started anew; its shape is
part of the surface. It holds demo secrets, so only its owner may read it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployment.dev.asterisk import TRUNK_SOURCE
from deployment.dev.murima import ORDER

if TYPE_CHECKING:
    from deployment.dev.stack import Stack


def write(stack: Stack, tenants: list[dict[str, Any]], file: Path) -> None:
    """Write `contents` to `file`, atomically."""
    _write(file, json.dumps(contents(stack, tenants), indent=1) + "\n")


def write_environment(stack: Stack, file: Path) -> None:
    """Write the stack's variables to a file that management commands beside it read."""
    _write(file, "".join(f"{name}={value}\n" for name, value in stack.environment.items()))


def _write(file: Path, text: str) -> None:
    temporary = file.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as target:
        target.write(text)
    temporary.replace(file)


def contents(stack: Stack, tenants: list[dict[str, Any]]) -> dict[str, Any]:
    """What run.json says, as tests of a private stack want it, too."""
    status = stack.keeper.status()
    environment = {**os.environ, **stack.environment}
    port = stack.ports
    return {
        "web": stack.web,
        "tenants": [{**t, "url": f"http://{t['slug']}.localhost:{port['web']}"} for t in tenants],
        "sip": {
            "trunk": f"127.0.0.1:{port['sip']}", "trunk_source": TRUNK_SOURCE,
            "registrar": f"127.0.0.1:{port['sip']}", "websocket": environment["MURIMA_SIP_WEBSOCKET"],
        },
        "asterisk": {
            "version": stack.asterisk.version if "asterisk" in status else None,
            "ari": environment["MURIMA_ARI_URL"], "ari_user": environment["MURIMA_ARI_USER"],
            "ari_password": environment["MURIMA_ARI_PASSWORD"],
        },
        "database": environment["MURIMA_DATABASE_URL"],
        "redis": environment["MURIMA_REDIS_URL"],
        "metrics": {n: f"http://127.0.0.1:{port['metrics_' + n]}/metrics" for n in ORDER if n in status},
        "pids": {"supervisor": os.getpid(), **{n: s["pid"] for n, s in status.items() if s["pid"]}},
    }  # fmt: skip
