"""`python3 -m deployment.dev COMMAND`: what the Makefile calls, with any Python >= 3.11.

up        set everything up and run it in the foreground
setup     bring everything that tests need (environment, servers, browser, application), start nothing
lock      resolve the Debian packages anew and write the lock files
hold, release, restart NAME; status      drive a running stack
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deployment.dev import control, interface, prefixes, python, tools
from deployment.dev.say import Trouble, say
from deployment.dev.supervisor import up

_COMMANDS = ("up", "setup", "lock", "hold", "release", "restart", "status")


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command; 0 when it went well, 1 with the reason on standard error when not."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the one place that older Pythons reach
        say(
            f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. "
            "Run make with PYTHON=python3.11"
        )
        return 1
    parser = argparse.ArgumentParser(prog="python3 -m deployment.dev")
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--frozen", action="store_true", help="refuse packages other than the locked ones")
    chosen = parser.parse_args(arguments)
    try:
        _carry_out(chosen.command, chosen.name, frozen=chosen.frozen)
    except Trouble as trouble:
        say(f"\n{trouble}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _carry_out(command: str, name: str, *, frozen: bool) -> None:
    if command == "up":
        python.ensure()
        up(control.home(), frozen=frozen)
    elif command == "setup":
        setup(frozen=frozen)
    elif command == "lock":
        for recipe in [name] if name else list(prefixes.RECIPES):
            prefixes.lock(recipe)
    elif command == "status":
        print(json.dumps(control.status(), indent=1))
    else:
        {"hold": control.hold, "release": control.release, "restart": control.restart}[command](name)


def setup(*, frozen: bool) -> None:
    """Bring all that `make test` needs, at the same time what can be; says how long each part took."""
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        servers = beside.submit(_servers, frozen=frozen)
        _timed("Python environment", python.ensure)
        servers.result()
    _timed("Asterisk", lambda: tools.asterisk(frozen=frozen).binary)
    _timed("Node.js", lambda: " ".join(tools.node()))
    _timed("browser application", interface.ensure)


def _servers(*, frozen: bool) -> None:
    """What needs no Python environment (Asterisk's loader is set with a tool from there)."""
    _timed("PostgreSQL", lambda: tools.postgres(frozen=frozen))
    _timed("Redis", lambda: tools.redis(frozen=frozen))
    _timed("Chromium", lambda: tools.chromium(frozen=frozen))


def _timed(label: str, bring: Callable[[], Path | str | None]) -> None:
    begun = time.monotonic()
    found = bring()
    say(f"{label}: {found or 'ready'} ({time.monotonic() - begun:.1f} s)")


if __name__ == "__main__":
    sys.exit(main())
