"""Every journal beside this file is told again: its facts fold to the live view, and nobody is forgotten.

`NAME.jsonl` is a journal that `record.py` took from a real Asterisk, `NAME.digest` what its facts and last
view must hash to: a change of the engine that changes what happened in a recorded story must say so by
changing that file. `NAME-2.jsonl` is by the owner after the one of `NAME-1.jsonl`, or after a hole.
"""

from pathlib import Path

import pytest

from telephony import codec, journal
from telephony.contract.view import CallState, View
from telephony.engine import floor as floor_module
from telephony.engine.events import PolicyPublished
from tests.fakes.floor_story import TENANT
from tests.property.world import run

HERE = Path(__file__).parent
JOURNALS = sorted(HERE.glob("*.jsonl"))


def made(seed: int, steps: int) -> journal.Journal:
    world = run(seed, steps)
    first_policy = next(event.policy for _, event in world.journal if isinstance(event, PolicyPublished))
    start = View(tenant=TENANT)
    return journal.Journal("test", 1, start, (first_policy,), tuple(world.journal))


def test_there_are_stories_enough():
    assert len({path.stem.removesuffix("-2") for path in JOURNALS}) >= 20


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_a_recorded_story_comes_out_the_same(path):
    told = journal.replay(journal.read(path))
    arrived = [call for call in told.floor.view.calls.values() if call.state is CallState.ARRIVED]
    assert not arrived
    assert told.digest() == path.with_suffix(".digest").read_text().strip()


@pytest.mark.parametrize(
    "path", [path for path in JOURNALS if path.stem.endswith("-2")], ids=lambda path: path.stem
)
def test_the_next_owner_begins_with_what_the_journal_of_the_last_one_comes_to(path):
    before = journal.replay(journal.read(path.with_name(path.name.replace("-2.jsonl", "-1.jsonl"))))
    assert codec.encode_view(journal.read(path).view) == codec.encode_view(before.floor.view)


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_a_recorded_story_names_nobody(path):
    text = path.read_text()
    assert path.stat().st_size < 200_000
    for personal in ("25470000000", "25471100000", "Wanjiru", "onerror", "Sales"):
        assert personal not in text


def test_a_journal_survives_its_file(tmp_path):
    before = made(5, 200)
    journal.write(tmp_path / "story.jsonl", before)
    after = journal.read(tmp_path / "story.jsonl")
    assert [at for at, _ in after.lines] == [at for at, _ in before.lines]
    assert journal.replay(after).digest() == journal.replay(before).digest()


def test_a_journal_holds_no_digits(tmp_path):
    path = tmp_path / "story.jsonl"
    journal.write(path, made(5, 600))
    text = path.read_text()
    assert "SendDigits" in text
    assert "12#" not in text


def test_a_line_that_is_no_event_is_refused(tmp_path):
    path = tmp_path / "story.jsonl"
    journal.write(path, made(5, 10))
    path.write_text(path.read_text() + '{"at": 1, "type": "Nonsense", "data": {}}\n')
    with pytest.raises(journal.BadJournal, match="no event"):
        journal.read(path)


def test_a_line_that_a_killed_daemon_did_not_finish_is_left_out(tmp_path):
    path = tmp_path / "story.jsonl"
    whole = made(5, 10)
    journal.write(path, whole)
    path.write_text(path.read_text() + '{"at": 1, "ty')
    assert len(journal.read(path).lines) == len(whole.lines)


def test_the_event_that_breaks_a_floor_is_named(tmp_path, monkeypatch):
    path = tmp_path / "story.jsonl"
    journal.write(path, made(5, 10))

    def break_down(floor, turn, event):
        raise KeyError("a defect")

    monkeypatch.setitem(floor_module._HANDLERS, PolicyPublished, break_down)
    with pytest.raises(journal.Differs, match="breaks at line 3 with KeyError"):
        journal.replay(journal.read(path))


@pytest.mark.parametrize("text", ["", "\n", "{}\n", "no\n", '{"build": 1}\n'])
def test_what_is_no_journal_is_refused(tmp_path, text):
    path = tmp_path / "story.jsonl"
    path.write_text(text)
    with pytest.raises(journal.BadJournal):
        journal.read(path)
