"""Keeps the processes of a stack alive: starts, restarts, holds and stops them.

One thread of its own does every start, because the kernel ties a child's death signal to the thread
that made it. Other threads post small jobs to it and wait for what they asked for. A child that ends
although it is wanted is started again after one second; a held one stays down until released. Each
child leads a process session of its own, so that what it started can be ended with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from deployment.dev import guardian, machine
from deployment.dev.priority import STANDS_BACK, hold_back
from deployment.dev.say import Trouble, say

_TICK_SECONDS = 0.03
_RESTART_SECONDS = 1.0
_ORDER_SECONDS = (0.15, 2.0)
"""How soon the order of the sessions is looked at again: while some are still to be changed, and else."""
_HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Spec:
    """One process: `ready` says whether it answers; `as_server` drops root to the servers' user."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    directory: Path | None = None
    as_server: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    stop_seconds: float = 10.0
    prepare: Callable[[], None] = lambda: None


@dataclasses.dataclass
class _Child:
    spec: Spec
    wanted: bool = True
    process: subprocess.Popen[bytes] | None = None
    restart_at: float = 0.0
    starts: int = 0
    last_exit: int | None = None


def demote(
    command: list[str], *, parent: int, death_signal: int, as_server: bool, nice: int = 0
) -> list[str]:
    """`command` wrapped so that it runs as the servers' user and ends with `parent` (0: it does not)."""
    user = machine.server_user() if as_server else None
    ids = [str(user.pw_uid), str(user.pw_gid)] if user else ["-1", "-1"]
    launcher = [sys.executable, "-S", "-E", str(_HERE / "launch.py")]
    return [*launcher, str(parent), str(death_signal), *ids, str(nice), *command]


class Keeper:
    """Supervises processes; `home` holds log/ (one file each) and run/pids.json."""

    def __init__(self, home: Path, *, verbose: bool = True) -> None:
        self._home, self._verbose = home, verbose
        self._pids = home / "run/pids.json"
        self._children: dict[str, _Child] = {}
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._order_at = 0.0
        self._thread = threading.Thread(target=self._loop, name="keeper", daemon=True)
        self._guardian: subprocess.Popen[bytes] | None = None
        for name in ("run", "log"):
            (home / name).mkdir(parents=True, exist_ok=True)

    def open(self) -> None:
        """Sweep what an earlier run left, then start keeping."""
        for name in guardian.sweep(self._pids):
            self._say(f"swept a leftover of an earlier run: {name}")
        self._guardian = subprocess.Popen(
            [sys.executable, "-S", "-E", str(_HERE / "guardian.py"), str(self._pids)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._thread.start()

    def start(self, spec: Spec, *, wait_seconds: float = 30.0) -> None:
        """Start a process and wait until it answers."""
        self.launch(spec)
        self.wait_ready(spec.name, wait_seconds)

    def launch(self, spec: Spec) -> None:
        """Start a process without waiting."""
        self._do(lambda: self._add(spec))

    def hold(self, name: str, number: signal.Signals | None = None) -> None:
        """Stop `name` (with its own stop signal, or `number`) and keep it down until released."""
        child = self._child(name)

        def unwant() -> None:
            child.wanted = False
            self._signal(child, number or child.spec.stop_signal)

        self._do(unwant)
        if not self._until(lambda: child.process is None, child.spec.stop_seconds):
            self._do(lambda: self._signal(child, signal.SIGKILL, whole=True))
            self._until(lambda: child.process is None, 5)

    def release(self, name: str, *, wait_seconds: float = 30.0) -> None:
        """Let a held process run again and wait until it answers."""
        child = self._child(name)

        def want() -> None:
            child.wanted, child.restart_at = True, 0.0

        self._do(want)
        self.wait_ready(name, wait_seconds)

    def restart(self, name: str, *, wait_seconds: float = 30.0) -> None:
        """Stop and start `name`."""
        self.hold(name)
        self.release(name, wait_seconds=wait_seconds)

    def kill(self, name: str, number: signal.Signals) -> None:
        """Send a signal to `name` alone; when that ends it, it is started again after a second."""
        child = self._child(name)
        self._do(lambda: self._signal(child, number))

    def status(self) -> dict[str, dict[str, object]]:
        """{name: {pid, wanted, starts, last_exit}}; pid is None while it is down."""
        return {
            name: {"pid": c.process.pid if c.process else None, "wanted": c.wanted, "starts": c.starts,
                   "last_exit": c.last_exit}
            for name, c in list(self._children.items())
        }  # fmt: skip

    def ready(self, name: str) -> bool:
        """Whether the process lives and answers."""
        child = self._child(name)
        return child.process is not None and child.spec.ready()

    def wait_ready(self, name: str, seconds: float) -> None:
        """Wait until `name` answers; raises with the end of its log when it does not in time."""
        child = self._child(name)
        begun = child.starts
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ready(name):
                return
            if child.starts - begun >= 3:
                break
            time.sleep(0.02)
        raise Trouble(f"{name} does not answer. The end of {self.log(name)}:\n{self._tail(name)}")

    def log(self, name: str) -> Path:
        """The file with what `name` prints."""
        return self._home / "log" / f"{name}.log"

    def close(self) -> None:
        """Stop everything, the last started first."""
        for name in reversed(list(self._children)):
            with contextlib.suppress(Trouble):
                self.hold(name)
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(5)
        self._pids.unlink(missing_ok=True)
        if self._guardian and self._guardian.stdin:
            self._guardian.kill()
            self._guardian.stdin.close()
            self._guardian.wait()
            self._guardian = None

    # The rest runs in the keeper's own thread, or only looks.

    def _child(self, name: str) -> _Child:
        try:
            return self._children[name]
        except KeyError:
            raise Trouble(
                f"There is no process '{name}' here; there are: {', '.join(self._children) or 'none'}."
            ) from None

    def _do(self, job: Callable[[], None]) -> None:
        done = threading.Event()
        problem: list[BaseException] = []

        def run() -> None:
            try:
                job()
            except BaseException as error:  # handed to the caller below
                problem.append(error)
            done.set()

        self._jobs.put(run)
        if not done.wait(30):
            raise Trouble("The keeper of the local stack does not answer.")
        if problem:
            raise problem[0]

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _loop(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                pass
            else:
                if job is None:
                    return
                job()
            for child in list(self._children.values()):
                self._tick(child)
            if time.monotonic() >= self._order_at:
                self._order_at = time.monotonic() + _ORDER_SECONDS[self._in_order()]

    def _in_order(self) -> bool:
        """Let all sessions of who stands back stand back; True when they do."""
        pids = {name: child.process.pid for name, child in self._children.items() if child.process}
        return all(hold_back(pids[name], nice) for name, nice in STANDS_BACK.items() if name in pids)

    def _tick(self, child: _Child) -> None:
        if child.process is not None and (code := child.process.poll()) is not None:
            self._end_family(child.process.pid)
            child.process, child.last_exit = None, code
            child.restart_at = time.monotonic() + _RESTART_SECONDS
            self._record()
            if child.wanted:
                self._say(f"{child.spec.name} ended ({code}); starting it again")
        if child.process is None and child.wanted and time.monotonic() >= child.restart_at:
            self._spawn(child)

    def _add(self, spec: Spec) -> None:
        if spec.name in self._children and self._children[spec.name].process is not None:
            raise Trouble(f"{spec.name} runs already.")
        self._children[spec.name] = child = _Child(spec)
        self._spawn(child)

    def _spawn(self, child: _Child) -> None:
        spec = child.spec
        spec.prepare()
        command = demote(
            spec.command, parent=os.getpid(), death_signal=spec.death_signal, as_server=spec.as_server,
            nice=STANDS_BACK.get(spec.name, 0),
        )  # fmt: skip
        with self.log(spec.name).open("ab") as log:
            child.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **spec.environment}, cwd=spec.directory or self._home,
                start_new_session=True,
            )  # fmt: skip
        child.starts += 1
        self._record()

    def _signal(self, child: _Child, number: signal.Signals, *, whole: bool = False) -> None:
        if child.process is None:
            return
        if whole:
            self._end_family(child.process.pid)
        with contextlib.suppress(ProcessLookupError):
            if number not in {signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL}:
                os.kill(child.process.pid, signal.SIGCONT)  # a stopped process would not hear it
            os.kill(child.process.pid, number)

    def _end_family(self, leader: int) -> None:
        for pid in guardian.family(leader):
            if pid != leader:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def _record(self) -> None:
        """Write who is ours; the guardian and the next start believe this file."""
        living = {
            n: [c.process.pid, guardian.started_at(c.process.pid)]
            for n, c in self._children.items()
            if c.process
        }
        temporary = self._pids.with_suffix(".tmp")
        temporary.write_text(json.dumps(living))
        temporary.replace(self._pids)

    def _tail(self, name: str) -> str:
        try:
            return self.log(name).read_text(errors="replace")[-1500:]
        except OSError:
            return "(no log)"

    def _say(self, text: str) -> None:
        if self._verbose:
            say(text)
