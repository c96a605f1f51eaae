"""The mutation script itself: it finds guards, removes them, and tells red from green."""

import ast

import pytest

from tests.property.mutate import FILES, ROOT, Copy, mutants

GUARD = "(found.intent, found.reason, found.next_intent) == (what.intent, what.reason, None)"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Copy(tmp_path_factory.mktemp("tree"))


def test_guards_are_found_and_every_mutant_is_another_program():
    for file in (each for each in FILES if each.endswith(("match.py", "strategies.py", "wrapup.py"))):
        found = [mutant.source for mutant in mutants(file)]
        assert len(found) >= 5
        assert all(ast.parse(source) for source in found)
        assert ast.unparse(ast.parse((ROOT / file).read_text())) not in found


def test_a_removed_guard_turns_the_stories_red_and_an_untouched_file_leaves_them_green(tree):
    file = "telephony/engine/agent.py"
    found = [mutant for mutant in mutants(file) if mutant.was == GUARD]
    assert len(found) == 1
    assert tree.killed(found[0]) == "stories"
    assert tree.stories()
