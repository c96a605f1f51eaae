"""The keeper of the local stack on real processes: restart, hold, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployment.dev import control, guardian
from deployment.dev.keeper import Keeper, Spec
from deployment.dev.say import Trouble
from deployment.dev.supervisor import Running

FAMILY = (
    "import subprocess, sys, time; "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']); time.sleep(300)"
)


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path, verbose=False)
    made.open()
    yield made
    made.close()


def pid(keeper: Keeper) -> int | None:
    found = keeper.status()["it"]["pid"]
    return found if isinstance(found, int) else None


def start(keeper: Keeper, code: str = "import time; time.sleep(300)") -> int:
    keeper.start(Spec("it", [sys.executable, "-c", code], lambda: True))
    found = pid(keeper)
    assert found
    return found


def test_a_dead_child_is_started_again(keeper):
    first = start(keeper)
    keeper.kill("it", signal.SIGKILL)
    until(lambda: pid(keeper) not in {first, None})
    assert keeper.status()["it"]["last_exit"] == -signal.SIGKILL


def test_a_held_child_stays_down_until_it_is_released(keeper):
    start(keeper)
    keeper.hold("it", signal.SIGKILL)
    assert pid(keeper) is None
    time.sleep(1.3)  # longer than the wait before a restart
    assert pid(keeper) is None
    keeper.release("it")
    assert pid(keeper)


def test_a_stopped_child_can_be_held(keeper):
    start(keeper)
    keeper.kill("it", signal.SIGSTOP)
    keeper.hold("it")
    assert pid(keeper) is None


def test_what_a_child_started_ends_with_it(keeper):
    leader = start(keeper, FAMILY)
    until(lambda: len(guardian.family(leader)) == 2)
    keeper.hold("it")
    until(lambda: guardian.family(leader) == [])


def test_a_child_that_never_answers_is_named_with_the_end_of_its_log(keeper):
    spec = Spec("it", [sys.executable, "-c", "print('no such luck'); raise SystemExit(3)"], lambda: False)
    with pytest.raises(Trouble, match="no such luck"):
        keeper.start(spec, wait_seconds=10)


def test_control_reaches_the_keeper_through_its_socket(keeper, tmp_path):
    first = start(keeper)
    control.serve(keeper, tmp_path)
    assert control.status(at=tmp_path)["it"]["pid"] == first
    control.hold("it", at=tmp_path)
    assert pid(keeper) is None
    control.release("it", at=tmp_path)
    assert pid(keeper) not in {first, None}
    with pytest.raises(Trouble, match="There is no process"):
        control.hold("nobody", at=tmp_path)


SUPERVISOR = """
import sys, time
from pathlib import Path
from deployment.dev.keeper import Keeper, Spec
keeper = Keeper(Path(sys.argv[1]), verbose=False)
keeper.open()
keeper.start(Spec("it", [sys.executable, "-c", sys.argv[2]], lambda: True))
print("up", flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_outlives_its_supervisor(tmp_path, number):
    root = Path(__file__).parents[2]
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), FAMILY],
        stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert supervisor.stdout
    assert supervisor.stdout.readline() == "up\n"
    [leader, _] = json.loads((tmp_path / "run/pids.json").read_text())["it"]
    until(lambda: len(guardian.family(leader)) == 2)
    supervisor.send_signal(number)
    supervisor.wait(10)
    supervisor.stdout.close()
    until(lambda: guardian.family(leader) == [])


def test_a_reused_number_is_no_reason_to_kill(tmp_path):
    stranger = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True
    )
    try:
        file = tmp_path / "pids.json"
        file.write_text(json.dumps({"it": [stranger.pid, 1]}))
        assert guardian.sweep(file) == []
        assert stranger.poll() is None
        file.write_text(json.dumps({"it": [stranger.pid, guardian.started_at(stranger.pid)]}))
        assert guardian.sweep(file) == ["it"]
        stranger.wait(10)
    finally:
        stranger.kill()


def test_a_second_start_is_refused_with_address_and_pid(tmp_path):
    running = Running(tmp_path)
    running.tell("http://127.0.0.1:8000")
    with pytest.raises(Trouble, match=rf"http://127.0.0.1:8000 \(pid {os.getpid()}\)"):
        Running(tmp_path)
