"""The script that removes guards: its targets are still there, and it tells red from green."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.guard_rows import ROWS, Row
from tests.guards import ROOT, Copy, Unfit, cut

INHERITED = "tests/web/api_cases.py"
TEST = "tests/unit/test_shell_parts.py::test_nothing_leaves_through_a_closed_door"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("guards") / "tree")


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_guard_is_where_the_row_says_and_the_program_can_be_read_without_it(row: Row) -> None:
    whole = (ROOT / row.file).read_text()
    without = cut(row, whole)
    assert without != whole
    if row.file.endswith(".py"):
        ast.parse(without)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_tests_of_a_row_exist(row: Row) -> None:
    assert row.tests
    for node in row.tests:
        path, *names = node.split("::")
        text = Path(ROOT / path).read_text() + (ROOT / INHERITED).read_text()
        assert not names or f"def {names[-1].partition('[')[0]}(" in text, node


def test_names_differ() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_missing_guard_is_missed_and_the_copy_is_whole_again(tree: Copy) -> None:
    row = next(row for row in ROWS if row.name == "door-before-a-command")
    assert tree.missed(row)
    assert (tree.root / row.file).read_text() == (ROOT / row.file).read_text()


def test_what_nobody_misses_survives_and_a_row_without_tests_is_unfit(tree: Copy) -> None:
    file, guard = "telephony/shell/executor.py", "if not self._wanted(command):"
    assert not tree.missed(Row("unseen", file, ((guard, "if False:"),), (TEST,)))
    with pytest.raises(Unfit):
        tree.missed(Row("nothing to run", file, ((guard, "if False:"),), ("tests/unit/test_gone.py",)))
    with pytest.raises(Unfit):
        tree.missed(Row("nothing to cut", file, (("not there", ""),), (TEST,)))
