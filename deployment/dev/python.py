"""The virtual environment, and the few tools that come from PyPI.

Everything is installed by hash (`--require-hashes`) from the registry that pip is configured for on
this machine. The environment is rebuilt when a requirements file or the interpreter has changed,
which a stamp beside it tells, so that an ordinary start costs nothing.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from deployment.dev import machine
from deployment.dev.say import Trouble, say

REQUIREMENTS = ("requirements/base.txt", "requirements/dev.txt")


def environment() -> Path:
    """The directory of the virtual environment."""
    return machine.checkout() / ".venv"


def interpreter() -> Path:
    """The virtual environment's Python."""
    return environment() / "bin/python"


def ensure() -> Path:
    """Make the virtual environment be what the requirements say; returns its Python."""
    from deployment.dev.prefixes import exclusive

    root, stamp = machine.checkout(), environment() / "murima.stamp"
    files = [root / name for name in REQUIREMENTS]
    wanted = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
    tag = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    with exclusive(f"venv-{tag}"):
        if not (stamp.exists() and stamp.read_text() == wanted and interpreter().exists()):
            if not interpreter().exists():
                _create(environment())
            say("installing Python packages (a minute or two the first time)")
            arguments = [part for file in files for part in ("-r", str(file))]
            _pip(["install", "--require-hashes", "--progress-bar", "off", "--no-compile", "-qq", *arguments])
            stamp.write_text(wanted)
        _link_checkout(root)
    return interpreter()


def _link_checkout(root: Path) -> None:
    """Make the checkout importable in its environment wherever a command is started."""
    for packages in environment().glob("lib/python3*/site-packages"):
        link = packages / "murima-checkout.pth"
        if not link.exists() or link.read_text() != f"{root}\n":
            link.write_text(f"{root}\n")


def _create(where: Path) -> None:
    say(f"creating {where.name} with Python {sys.version.split()[0]}")
    done = subprocess.run(
        [sys.executable, "-m", "venv", str(where)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Trouble(
            f"No virtual environment could be made: {done.stdout.strip()[-400:]}\n"
            "Debian: install python3-venv."
        )


def _pip(arguments: list[str]) -> None:
    command = [str(interpreter()), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    for attempt in (1, 2, 3):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode == 0:
            return
        say(f"  pip ended with {done.returncode} (try {attempt} of 3)")
    raise Trouble("Python packages could not be installed; pip's own words are above.")


def tool(name: str) -> Path:
    """A directory with the PyPI package `name` of locks/<name>.txt installed in it (`bin/` included)."""
    from deployment.dev.prefixes import LOCKS, exclusive

    lock = LOCKS / f"{name}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    place = machine.cache() / "tools" / f"{name}-{digest}"
    with exclusive(f"tool-{name}"):
        if not (place / ".whole").exists():
            place.mkdir(parents=True, exist_ok=True)
            _pip(["install", "-qq", "--require-hashes", "--only-binary=:all:", "--upgrade",
                  "--target", str(place), "-r", str(lock)])  # fmt: skip
            (place / ".whole").touch()
    place.chmod(0o755)
    return place
