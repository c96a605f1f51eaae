"""The browser application's build: done when its sources changed, skipped else.

Vite writes to web/static/app, from where the web process serves it. A stamp in the build holds the hash
of the sources; npm installs from the lock file, only when that changed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from deployment.dev import machine, tools
from deployment.dev.prefixes import exclusive
from deployment.dev.say import Trouble, say

_SKIP = {"node_modules", "dist", "coverage", ".vite", ".vitest"}


def directory() -> Path:
    """Where the browser application's sources are."""
    return machine.checkout() / "web/ui"


def ensure(*, build: bool = True) -> None:
    """Install what the application needs and build it, if anything changed."""
    if not (directory() / "package-lock.json").exists():
        return
    tag = hashlib.sha256(str(directory()).encode()).hexdigest()[:12]
    with exclusive(f"ui-{tag}"):
        _install()
        stamp = machine.checkout() / "web/static/app/.murima-sources"
        wanted = _hash()
        if build and not (stamp.exists() and stamp.read_text() == wanted):
            say("building the browser application")
            npm(
                ["exec", "--offline", "--", "vite", "build", "--logLevel", "warn"]
            )  # types are make check's business
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.write_text(wanted)


def npm(arguments: list[str]) -> None:
    """Run npm in the application's directory; raises when it fails."""
    node = Path(tools.node()[0]).parent
    environment = {**os.environ, "PATH": f"{node}:{os.environ.get('PATH', '')}", "CI": "1"}
    system = "/etc/ssl/certs/ca-certificates.crt"
    if "NODE_EXTRA_CA_CERTS" not in environment and Path(system).exists():
        environment["NODE_EXTRA_CA_CERTS"] = system
    command = [*tools.npm(), *arguments]
    done = subprocess.run(
        command, cwd=directory(), env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise Trouble(f"npm {' '.join(arguments)} failed; its own words are above.")


def _install() -> None:
    lock = directory() / "package-lock.json"
    stamp = directory() / "node_modules/.murima-lock"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("installing the browser application's packages (npm ci)")
    for attempt in (1, 2):
        try:
            npm(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            break
        except Trouble:
            if attempt == 2:
                raise
    stamp.write_text(wanted)


def _hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(directory().rglob("*")):
        if path.is_file() and not _SKIP & set(path.relative_to(directory()).parts):
            digest.update(str(path.relative_to(directory())).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
