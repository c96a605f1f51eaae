"""Journals as the daemon writes them: whole, bounded, harmless, and gone after three days."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from telephony import codec, journal
from telephony.adapters.bus.memory import MemoryBus
from telephony.adapters.journal import HOUR, KEPT_SECONDS, JournalFiles
from telephony.adapters.log.memory import MemoryLog, Store
from telephony.contract.clock import SECOND
from telephony.contract.ids import CallId, NumberId, PartyId, TenantId
from telephony.contract.view import View
from telephony.engine import events as e
from telephony.engine.floor import Floor
from telephony.settings import BadSettings, read
from telephony.shell.clock import EngineClock
from telephony.shell.directory import Directory
from telephony.shell.door import Door
from telephony.shell.parties import Parties
from telephony.shell.runtime import Runtime
from tests.fakes.publication import Publication, policy, row

ONE, TWO = TenantId("t_aaaaaaaaaaaa"), TenantId("t_bbbbbbbbbbbb")
ANNA = "00000000-0000-0000-0000-000000000001"
START = 1_800_000_000 * SECOND // HOUR * HOUR


def entered(n: int) -> e.CallerEntered:
    return e.CallerEntered(
        call=CallId(f"00000000-0000-7000-8000-{n:012x}"),
        party=PartyId(f"00000000-0000-7000-9000-{n:012x}"),
        node="a",
        channel=f"1.{n}",
        trunk="trunk",
        number=NumberId("n1"),
        first_arrival=START,
    )


def events() -> list[e.Event]:
    return [
        e.DaemonStarted(build="test"),
        e.PolicyPublished(policy=policy(ONE, "+254700000001")),
        e.RosterPublished(row=row(ONE, ANNA, "daaaaaaaaaaaa")),
        e.OffersOpened(),
        *(entered(n) for n in range(3)),
        e.CallerGone(call=entered(0).call, cause=16),
    ]


def tell(files: JournalFiles, floor: Floor, event: e.Event | None, now: int) -> None:
    files.note(floor, event, now)
    if event is None:
        floor.wake(now)
    else:
        floor.step(event, now)


def floor_of(tenant: TenantId = ONE) -> Floor:
    made = Floor(View(tenant=tenant))
    made.epoch = 1
    return made


def written(root: Path) -> list[Path]:
    return sorted(root.iterdir())


def replayed(paths: list[Path]) -> list[journal.Replay]:
    return [journal.replay(journal.read(path)) for path in paths]


def test_a_journal_comes_out_as_the_floor_did_and_names_nothing(tmp_path: Path) -> None:
    files, floor = JournalFiles(tmp_path, "test"), floor_of()
    for n, event in enumerate([*events(), None]):
        tell(files, floor, event, START + n)
    files.close()
    (path,) = tmp_path.iterdir()
    assert path.name.startswith(f"{ONE}-2027011508-1-")
    (told,) = replayed([path])
    assert told.steps == 9
    assert codec.encode_view(told.floor.view) == codec.encode_view(floor.view)
    text = path.read_text()
    digest = row(ONE, ANNA, "daaaaaaaaaaaa").devices[0].digest
    assert "254700000001" not in text and "Sales" not in text and digest not in text


def test_each_tenant_and_hour_has_a_file_that_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    files, one, two = JournalFiles(tmp_path, "test"), floor_of(), floor_of(TWO)
    for n, event in enumerate(events()):
        tell(files, one, event, START + n * HOUR // 4)
        tell(files, two, e.DaemonStarted(build="test"), START + n)
    files.close()
    mine = sorted(path for path in tmp_path.iterdir() if path.name.startswith(ONE))
    assert (len(mine), len(list(tmp_path.iterdir()))) == (2, 3)
    before, after = replayed(mine)
    assert codec.encode_view(journal.read(mine[1]).view) == codec.encode_view(before.floor.view)
    assert codec.encode_view(after.floor.view) == codec.encode_view(one.view)
    assert not journal.read(mine[1]).paused


def test_a_floor_built_anew_begins_a_file(tmp_path: Path) -> None:
    files, first = JournalFiles(tmp_path, "test"), floor_of()
    for event in events():
        tell(files, first, event, START)
    second = Floor(codec.decode_view(codec.encode_view(first.view)), first.policies())
    second.epoch = 1
    tell(files, second, e.OffersOpened(), START)
    files.close()
    told = replayed(sorted(tmp_path.iterdir()))[1]
    assert codec.encode_view(told.floor.view) == codec.encode_view(second.view)


def test_what_has_no_room_is_dropped_and_the_journal_goes_on_without_a_hole(tmp_path: Path) -> None:
    files, floor = JournalFiles(tmp_path, "test", limit=0), floor_of()
    tell(files, floor, events()[0], START)
    files._limit = 1000
    for event in events()[1:]:
        tell(files, floor, event, START)
    files.close()
    (told,) = replayed(list(tmp_path.iterdir()))
    assert told.steps == 7
    assert codec.encode_view(told.floor.view) == codec.encode_view(floor.view)


def test_a_live_call_of_an_older_policy_is_told_under_that_policy(tmp_path: Path) -> None:
    files, floor = JournalFiles(tmp_path, "test"), floor_of()
    for event in events():
        tell(files, floor, event, START)
    newer = policy(ONE, "+254700000001", version=2, max_wait_seconds=7)
    tell(files, floor, e.PolicyPublished(policy=newer), START)
    for n in range(1, 400):
        tell(files, floor, None, START + HOUR + n * SECOND)
    files.close()
    for told, path in zip(replayed(sorted(tmp_path.iterdir())), sorted(tmp_path.iterdir()), strict=True):
        last = told.floor.view
        assert len(journal.read(path).policies) <= 2
    assert codec.encode_view(last) == codec.encode_view(floor.view)


def test_files_are_kept_for_three_days(tmp_path: Path) -> None:
    old, young = tmp_path / "old.jsonl", tmp_path / "young.jsonl"
    for path, age in ((old, KEPT_SECONDS + 60), (young, KEPT_SECONDS - 60)):
        path.write_text("{}\n")
        os.utime(path, (time.time() - age, time.time() - age))
    JournalFiles(tmp_path, "test").close()
    assert list(tmp_path.iterdir()) == [young]


def test_a_disk_that_takes_nothing_is_nobodys_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files, floor = JournalFiles(tmp_path / "file", "test"), floor_of()
    for event in events():
        tell(files, floor, event, START)
    files.close()
    assert not files._thread.is_alive()
    assert floor.view.calls


async def test_a_runtime_has_its_events_written_down(tmp_path: Path) -> None:
    files, store = JournalFiles(tmp_path, "test"), Store()
    runtime = Runtime(
        log=MemoryLog(store),
        bus=MemoryBus(b"k"),
        clock=EngineClock(),
        door=Door(),
        directory=Directory(),
        parties=Parties(Publication()),
        submit=lambda commands: None,
        build="test",
        recorder=files,
    )
    runtime.publish(policy(ONE, "+1"))
    for event in events()[2:]:
        runtime.post(ONE, event)
    await runtime.drained()
    runtime.pause_offers()
    files.close()
    (told,) = replayed(written(tmp_path))
    assert [codec.encode_entry(each) for each in told.entries] == [data for _, _, data in store.frames]
    runtime.failed.cancel()


@pytest.mark.parametrize(
    ("given", "written"),
    [({}, True), ({"MURIMA_JOURNAL": "0"}, False), ({"MURIMA_ENV": "production"}, False),
     ({"MURIMA_ENV": "production", "MURIMA_JOURNAL": "1"}, True), ({"MURIMA_ENV": "test"}, False)],
)  # fmt: skip
def test_journals_are_written_in_development_and_where_they_are_wanted(
    given: dict[str, str], written: bool
) -> None:
    needed = {
        "MURIMA_DATABASE_URL": "postgresql://x/y",
        "MURIMA_REDIS_URL": "redis://x",
        "MURIMA_ASK_KEY": "k",
        "MURIMA_MASTER_KEY": "A" * 43 + "=",
        "MURIMA_ARI_URL": "http://x",
        "MURIMA_ARI_USER": "u",
        "MURIMA_ARI_PASSWORD": "p",
        "MURIMA_HOME": "/h",
    }
    found = read(needed | given).journal
    assert found == (Path("/h/data/journal") if written else None)
    with pytest.raises(BadSettings, match="MURIMA_JOURNAL"):
        read(needed | {"MURIMA_JOURNAL": "perhaps"})


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "telephony.replay", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=60,
    )


def test_the_command_says_steps_facts_and_digest_and_its_exit_codes(tmp_path: Path) -> None:
    files, floor = JournalFiles(tmp_path, "test"), floor_of()
    for event in events():
        tell(files, floor, event, START)
    files.close()
    (path,) = tmp_path.iterdir()
    (told,) = replayed([path])
    done = command(str(path), "--facts")
    assert done.returncode == 0
    *facts, summary = done.stdout.splitlines()
    assert summary == f"{path.name}: 8 steps, {len(told.entries)} facts, {told.digest()}"
    assert [line.encode() for line in facts] == [codec.encode_entry(each) for each in told.entries]
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    assert command(str(broken)).returncode == 1
    assert command().returncode == 2
    assert command(str(path), str(tmp_path / "none.jsonl")).returncode == 3
    away = "postgresql://nobody@127.0.0.1:1/none"
    assert command(str(path), "--log", MURIMA_DATABASE_DAEMON_URL=away).returncode == 5
