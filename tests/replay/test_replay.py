"""Every journal beside this file is told again: its facts fold to the live view, and nobody is forgotten.

`NAME.jsonl` is a journal, `NAME.digest`, where there is one, what its facts and last view must hash to:
a change of the engine that changes what happened in a recorded story must say so by changing that file.
"""

from pathlib import Path

import pytest

from telephony.contract.view import CallState, View
from telephony.engine.events import PolicyPublished
from tests.fakes.floor_story import TENANT
from tests.property.world import run
from tests.replay import journal

HERE = Path(__file__).parent
JOURNALS = sorted(HERE.glob("*.jsonl"))


def made(seed: int, steps: int) -> journal.Journal:
    world = run(seed, steps)
    first_policy = next(event.policy for _, event in world.journal if isinstance(event, PolicyPublished))
    start = View(tenant=TENANT)
    return journal.Journal("test", 1, start, (first_policy,), tuple(world.journal))


def test_recorded_stories_come_out_the_same():
    for path in JOURNALS:
        told = journal.replay(journal.read(path))
        arrived = [call for call in told.floor.view.calls.values() if call.state is CallState.ARRIVED]
        assert not arrived, path.name
        digest = path.with_suffix(".digest")
        assert not digest.exists() or told.digest() == digest.read_text().strip(), path.name


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
    with pytest.raises(ValueError, match="no event"):
        journal.read(path)
