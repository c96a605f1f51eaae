"""Segments: groups whole or absent, torn tails cut, damage refused, files kept as long as needed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from telephony.adapters.log.records import ENTRY, PARTY, Record, pack, unpack
from telephony.adapters.log.segment import Damaged, InUse, Segments


def group(*texts: bytes) -> list[Record]:
    return [Record(ENTRY, text) for text in texts]


def payloads(segments: Segments) -> list[bytes]:
    return [record.payload for record, _ in segments.replay()]


def last_file(directory: Path) -> Path:
    return sorted(directory.glob("*.seg"))[-1]


def test_what_was_appended_is_read_back_across_files(tmp_path: Path) -> None:
    segments = Segments(tmp_path, size=200)
    written = [f"record {n}".encode() * 3 for n in range(60)]
    for text in written:
        segments.append([Record(PARTY, b"p"), Record(ENTRY, text)])
    assert len(list(tmp_path.glob("*.seg"))) > 5
    assert payloads(segments)[1::2] == written
    end = segments.end
    segments.close()
    again = Segments(tmp_path, size=200)
    assert (again.end, again.synced, again.cut) == (end, end, 0)
    assert payloads(again)[1::2] == written
    again.close()


@pytest.mark.parametrize("seed", range(5))
def test_a_tail_cut_anywhere_leaves_whole_groups(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    segments = Segments(tmp_path, size=300)
    ends = [0]
    for n in range(12):
        ends.append(segments.append(group(*[os.urandom(chance.randrange(40)) for _ in range(1 + n % 3)])))
    segments.close()
    path = last_file(tmp_path)
    start, size = int(path.stem), path.stat().st_size
    place = chance.randrange(size + 1)
    os.truncate(path, place)
    again = Segments(tmp_path, size=300)
    assert again.end == max(end for end in ends if end <= start + place)
    assert again.append(group(b"after")) > again.start
    assert payloads(again)[-1] == b"after"
    again.close()


def test_a_torn_tail_of_zeroes_or_garbage_is_cut(tmp_path: Path) -> None:
    for garbage in (bytes(4096), os.urandom(4096)):
        segments = Segments(tmp_path)
        segments.append(group(b"kept"))
        end = segments.end
        segments.close()
        with last_file(tmp_path).open("ab") as file:
            file.write(garbage)
        again = Segments(tmp_path)
        assert (again.end, again.cut) == (end, 4096)
        again.close()


def test_damage_of_what_was_on_the_disk_is_refused(tmp_path: Path) -> None:
    segments = Segments(tmp_path, size=100)
    for n in range(10):
        segments.append(group(b"x" * 50 + bytes([n])))
    segments.close()
    known = segments.synced
    first = sorted(tmp_path.glob("*.seg"))[0]
    data = bytearray(first.read_bytes())
    data[20] ^= 1
    first.write_bytes(data)
    with pytest.raises(Damaged):
        Segments(tmp_path, known=known)
    assert len(list(tmp_path.glob("*.seg"))) == 5, "nothing may be cut when it refuses"


def test_files_after_a_torn_one_go_with_it(tmp_path: Path) -> None:
    segments = Segments(tmp_path, size=100)
    for n in range(10):
        segments.append(group(b"x" * 50 + bytes([n])))
    segments.close()
    second = sorted(tmp_path.glob("*.seg"))[1]
    os.truncate(second, second.stat().st_size - 1)
    again = Segments(tmp_path, size=100)
    assert [text[-1] for text in payloads(again)] == [0, 1, 2]
    again.append(group(b"next"))
    assert payloads(again)[-1] == b"next"
    again.close()


def test_a_missing_file_in_the_middle_ends_the_log_there(tmp_path: Path) -> None:
    segments = Segments(tmp_path, size=100)
    for n in range(10):
        segments.append(group(b"x" * 50 + bytes([n])))
    segments.close()
    sorted(tmp_path.glob("*.seg"))[1].unlink()
    with pytest.raises(Damaged):
        Segments(tmp_path, size=100, known=segments.synced)
    again = Segments(tmp_path, size=100)
    assert [text[-1] for text in payloads(again)] == [0, 1]
    again.close()


def test_one_process_per_directory(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    with pytest.raises(InUse):
        Segments(tmp_path)
    segments.close()
    Segments(tmp_path).close()


def test_whole_files_are_dropped_and_positions_stay(tmp_path: Path) -> None:
    segments = Segments(tmp_path, size=100)
    places = [segments.append(group(b"x" * 50 + bytes([n]))) for n in range(10)]
    assert segments.drop_before(places[4]) == 2
    assert segments.start <= places[4]
    records, _ = segments.read(places[4])
    assert records[0].payload[-1] == 5
    with pytest.raises(ValueError, match="outside"):
        segments.read(0)
    segments.drop_before(segments.end)
    segments.append(group(b"still here"))
    segments.close()
    again = Segments(tmp_path, size=100)
    assert payloads(again)[-1] == b"still here"
    again.close()


def test_a_full_disk_leaves_no_part_of_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = Segments(tmp_path)
    segments.append(group(b"before"))
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]) if len(data) > 20 else _full())
    with pytest.raises(OSError, match="full"):
        segments.append(group(b"y" * 12))
    monkeypatch.undo()
    segments.append(group(b"after"))
    assert payloads(segments) == [b"before", b"after"]
    segments.close()


def _full() -> int:
    raise OSError(28, "disk full")


def test_unpack_waits_for_more_and_stops_at_rubbish() -> None:
    data = pack(group(b"one")) + pack(group(b"two", b"three"))
    for cut in range(len(data) + 1):
        records, used, bad = unpack(data[:cut])
        assert not bad
        assert len(records) in (0, 1, 3)
        assert used <= cut
    broken = bytearray(data)
    broken[-1] ^= 0x40
    records, used, bad = unpack(bytes(broken))
    assert (len(records), used, bad) == (1, len(pack(group(b"one"))), True)


_WRITER = """
import sys
from pathlib import Path
from telephony.adapters.log.records import ENTRY, Record
from telephony.adapters.log.segment import Segments
segments = Segments(Path(sys.argv[1]), size=4096)
n = sum(1 for _ in segments.replay())
while True:
    segments.append([Record(ENTRY, b"%09d" % n)])
    print(n, flush=True)
    n += 1
"""


def test_kill_9_at_random_moments_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged = -1
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 400)):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        # What it said between the last line read and its death counts, too.
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
        process.wait()
        segments = Segments(tmp_path, size=4096)
        found = payloads(segments)
        segments.close()
        assert found == [b"%09d" % n for n in range(len(found))]
        assert len(found) > acknowledged
