"""`make up`: the whole stack in the foreground, until Ctrl-C.

Set-up first, then servers, migrations, the demo's tenants, Murima's own processes; then run.json with
every address, written atomically, and written again whenever a process has been started anew. One stack
runs per checkout: a lock on a file says so, and the file says which.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from deployment.dev import control, interface, machine, runfile
from deployment.dev.contents import prepare
from deployment.dev.say import Trouble, say
from deployment.dev.stack import Stack

_LOOK_SECONDS = 0.25


class Running:
    """The lock that makes a second start in one checkout refuse, with address and pid."""

    def __init__(self, home: Path) -> None:
        (home / "run").mkdir(parents=True, exist_ok=True)
        self._file = home / "run/supervisor"
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(self._who()) from None
        self.tell("starting")

    def tell(self, address: str) -> None:
        """Record who runs here, for the one who is refused."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "web": address}).encode(), 0)

    def _who(self) -> str:
        try:
            other = json.loads(self._file.read_text())
        except ValueError:
            other = {"pid": "unknown", "web": "starting"}
        return f"Murima runs here already: {other['web']} (pid {other['pid']}). Stop that one first."


def up(home: Path, *, frozen: bool = False) -> None:
    """Run the stack until a signal asks it to end."""
    if os.environ.get("MURIMA_ENV") == "production":
        raise Trouble("The local stack has demo secrets; it refuses to run with MURIMA_ENV=production.")
    begun = time.monotonic()
    home.mkdir(parents=True, exist_ok=True)
    running = Running(home)
    file = home / "run.json"
    file.unlink(missing_ok=True)
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _n, _f: _end(ending, _f))
    stack = Stack(home, durable=True, usual_ports=True, borrow=True, verbose=True, frozen=frozen)
    runfile.write_environment(stack, home / "environment")
    try:
        tenants = _start(stack)
        running.tell(stack.web)
        runfile.write(stack, tenants, file)
        _greet(stack, tenants, time.monotonic() - begun)
        _watch(stack, tenants, file, ending)
    except KeyboardInterrupt:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        say("stopping")
        for left in (file, home / "environment"):
            left.unlink(missing_ok=True)
        stack.stop()


def _end(ending: threading.Event, frame: FrameType | None) -> None:
    ending.set()
    raise KeyboardInterrupt


def _start(stack: Stack) -> list[dict[str, Any]]:
    builder = threading.Thread(target=_build_interface, daemon=True)
    builder.start()
    for part in ("postgres", "redis", "asterisk"):
        say(f"starting {part}")
        stack.start_part(part)
    control.serve(stack.keeper, stack.home)
    say("migrating the database, loading the demo's tenants")
    tenants = prepare(stack)
    builder.join()
    say("starting Murima")
    stack.start_murima()
    return tenants


def _build_interface() -> None:
    try:
        interface.ensure()
    except Trouble as trouble:
        say(f"The browser application could not be built, the rest goes on: {trouble}")


def _watch(stack: Stack, tenants: list[dict[str, Any]], file: Path, ending: threading.Event) -> None:
    """Write run.json again whenever a process has another pid and answers."""
    written = {n: s["pid"] for n, s in stack.keeper.status().items()}
    while not ending.wait(_LOOK_SECONDS):
        now = {n: s["pid"] for n, s in stack.keeper.status().items()}
        if now != written and all(
            stack.keeper.ready(n) for n, pid in now.items() if pid and pid != written.get(n)
        ):
            runfile.write(stack, tenants, file)
            written = now


def _greet(stack: Stack, tenants: list[dict[str, Any]], seconds: float) -> None:
    say(f"\nMurima is up ({seconds:.1f} s). Open an organisation's address and sign in there:")
    for tenant in tenants:
        address = f"http://{tenant['slug']}.localhost:{stack.ports['web']}"
        say(f"\n  {tenant['slug']}: {address}   API: {address}/api/docs/")
        for number in tenant.get("numbers", []):
            say(f"    number {number['number']} -> {number['queue']}")
        for user in tenant.get("users", []):
            sip = f"   SIP phone {user['sip']['user']} {user['sip']['password']}" if "sip" in user else ""
            say(f"    {user['role']:<16} {user['email']}  {user['password']}{sip}")
    if any(machine.checkout().glob("web/*/*/management/commands/demo_calls.py")):
        say("\n  callers: .venv/bin/python manage.py demo_calls --rate 6")
    say(f"\n  platform: {stack.web} (no organisation's people sign in there)")
    say(f"\n  logs: {stack.home / 'log'}   details: {stack.home / 'run.json'}   stop: Ctrl-C\n")
