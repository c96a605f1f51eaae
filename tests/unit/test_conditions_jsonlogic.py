"""Conditions beside JsonLogic: where they agree, where they differ and why, and what they refuse.

The vectors are in the form in which JsonLogic publishes its own: [rule, data, result], a text between groups.
`vectors/jsonlogic.json` holds what both say; `vectors/jsonlogic_differences.json` each known difference with
both answers. An operator of ours that JsonLogic has, too, and that no vector speaks of, fails a test here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from telephony.contract import conditions
from telephony.contract.conditions import (
    MAX_DEPTH,
    MAX_LIST,
    MAX_NODES,
    MAX_TEXT,
    check,
    explain,
    holds,
    truth,
)

HERE = Path(__file__).parent / "vectors"
OURS_ALONE = {"not", "contains", "starts_with", "is_empty", "between", "now"}
REASONS = {"kinds", "lists", "instants", "numbers", "truth", "names", "literals", "arguments", "operators"}


def rows(name: str) -> list[list[Any]]:
    return [row for row in json.loads((HERE / name).read_text()) if isinstance(row, list)]


AGREED, DIFFERENT = rows("jsonlogic.json"), rows("jsonlogic_differences.json")


def operators(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for one in node for name in operators(one)}
    if not isinstance(node, dict):
        return set()
    return {name for key, inner in node.items() for name in ({key} | operators(inner))}


@pytest.mark.parametrize("row", AGREED, ids=lambda row: json.dumps(row[:2]))
def test_where_both_say_the_same(row):
    rule, data, expected = row
    assert check(rule) == []
    assert holds(rule, data) is truth(expected)
    assert "error" not in explain(rule, data)
    if isinstance(rule, dict) and set(rule) <= {"var", "missing"} and not isinstance(expected, dict):
        assert holds({"==": [rule, expected]}, data), "the value itself, too"


@pytest.mark.parametrize("row", DIFFERENT, ids=lambda row: json.dumps(row[:2]))
def test_where_they_differ_it_is_by_a_rule_that_is_written_down(row):
    rule, data, theirs, ours, reason = row
    assert reason in REASONS
    if ours == "refused":
        assert check(rule) != []
        assert holds(rule, data) is False and "error" in explain(rule, data)
        assert holds({"not": rule}, data) is False, "what is refused cannot be turned into a match"
        assert holds({"or": [True, rule]}, data) is False
    else:
        assert holds(rule, data) is ours and "error" not in explain(rule, data)
        assert ours is not (truth(theirs) or theirs == {})  # an empty object is true there


def test_every_operator_and_every_reason_has_its_vectors():
    spoken = {name for rule, *_ in AGREED for name in operators(rule)}
    assert spoken == set(conditions.OPERATORS) - OURS_ALONE
    assert {row[4] for row in DIFFERENT} == REASONS
    for name in REASONS:
        assert f"({name})" in (conditions.__doc__ or ""), "the differences are named where people read them"


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", " ", "AND", "And", "and ", "__class__", "eval", "$where", "var.x", "is_\u0435mpty"]
)
def test_an_operator_that_is_not_there_is_refused_wherever_it_stands(name):
    for place in ({name: [1, 1]}, {"not": {name: 1}}, {"and": [True, {"or": [False, {name: []}]}]}):
        (problem,) = check(place)
        assert "Unknown operator" in problem.text
        assert holds(place, {}) is False


def nested(levels: int) -> Any:
    """`levels` objects in each other around true: an even number of them holds."""
    node: Any = True
    for _ in range(levels):
        node = {"not": node}
    return node


def test_depth_is_bounded_at_its_limit_and_not_before():
    assert check(nested(MAX_DEPTH - 1)) == []
    deep = nested(MAX_DEPTH)
    (problem,) = check(deep)
    assert problem.text == f"More than {MAX_DEPTH} levels." and problem.pointer == "/not/0" * MAX_DEPTH
    assert holds(nested(MAX_DEPTH + 1), {}) is False and holds(nested(MAX_DEPTH + 2), {}) is False


def test_a_condition_deeper_than_pythons_own_stack_is_refused_like_any_other():
    deep = nested(100_000)
    assert len(check(deep)) == 1 and holds(deep, {}) is False
    assert "error" in explain(deep, {}) and conditions.variables(deep) == set()
    inner: Any = 1
    for _ in range(100_000):
        inner = [inner]
    assert check({"in": [1, inner]}) and not holds({"in": [1, inner]}, {})
    # As data it is only looked into as far as a comparison goes.
    assert not holds({"==": [{"var": "a"}, {"var": "b"}]}, {"a": inner, "b": inner})


def test_size_is_bounded_at_its_limit_and_not_before():
    def parts(count: int) -> Any:
        """Exactly `count` of them: the root, and groups of at most 100."""
        groups, rest = [], count - 1
        while rest:
            size = min(rest, 100)
            groups.append({"or": [True] * (size - 1)} if size > 1 else True)
            rest -= size
        return {"and": groups}

    assert check(parts(MAX_NODES)) == []
    assert [one.text for one in check(parts(MAX_NODES + 1))] == [f"More than {MAX_NODES} parts."]
    assert check({"in": [1, [0] * MAX_LIST]}) == []
    assert check({"in": [1, [0] * (MAX_LIST + 1)]})
    assert check({"==": ["x" * MAX_TEXT, "x"]}) == [] and check({"==": ["x" * (MAX_TEXT + 1), "x"]})
    assert check({"in": ["x", ["x" * (MAX_TEXT + 1)]]})
    assert check({"missing": ["a"] * MAX_LIST}) == [] and check({"missing": ["a"] * (MAX_LIST + 1)})


SOME_OF_EACH_KIND: list[tuple[str, Any]] = [
    ("nothing", None), ("truth", True), ("truth", False), ("number", 0), ("number", 1), ("text", ""),
    ("text", "1"), ("text", "true"), ("text", "null"), ("list", []), ("list", [1]), ("list", [True]),
    ("object", {}), ("object", {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize("left", SOME_OF_EACH_KIND, ids=str)
@pytest.mark.parametrize("right", SOME_OF_EACH_KIND, ids=str)
def test_values_of_different_kinds_are_never_equal_and_have_no_order(left, right):
    """Whatever stands in the data: `admin: "false"` is not `admin: false`, and 1 is not true."""
    data = {"l": left[1], "r": right[1]}
    both = [{"var": "l"}, {"var": "r"}]
    if left[0] != right[0]:
        assert not holds({"==": both}, data) and holds({"!=": both}, data)
    if left[0] != right[0] or left[0] not in ("number", "text"):
        assert not any(holds({name: both}, data) for name in ("<", "<=", ">", ">="))
        assert not holds({"between": [{"var": "l"}, {"var": "r"}, {"var": "r"}]}, data)
    if left[0] != "text" or right[0] != "text":
        assert not holds({"starts_with": both}, data)
    if left[0] != "list" and not (left[0] == right[0] == "text"):
        assert not holds({"contains": both}, data) and not holds({"in": both[::-1]}, data)


@pytest.mark.parametrize(
    "condition",
    [
        {"==": {"a": 1}}, {"and": {"a": 1, "b": 2}}, {"and": "x" * (MAX_TEXT + 1)}, {"var": {"a": 1}},
        {"var": True}, {"var": [["a"]]}, {"var": ["a", ["b", ["c"]]]}, {"missing": [["a"]]},
        {"missing": {"a": 1}}, {"now": True}, {"now": [1, 2]}, {"now": {"var": "a"}}, {"now": [[1]]},
        {"not": [True, True]}, {"is_empty": []}, {"between": [1, 2]}, {"between": 1}, {"in": {}},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_what_stands_where_something_else_belongs_is_refused(condition):
    assert check(condition)
    assert holds({"not": condition}, {"a": 1}) is False or condition == {"and": "x" * (MAX_TEXT + 1)}


def test_what_can_never_be_true_because_of_its_kinds_is_said_when_it_is_written():
    known = {"age": int, "open": bool, "tags": list, "name": str}
    for condition in (
        {"==": [{"var": "age"}, "18"]},
        {"==": [{"var": "open"}, 1]},
        {"!=": [{"var": "tags"}, "a"]},
        {"<": [{"var": "open"}, True]},
        {">=": [{"var": "age"}, "18"]},
        {"between": [{"var": "tags"}, 1, 2]},
        {"in": ["a", {"var": "age"}]},
        {"contains": [{"var": "open"}, True]},
        {"starts_with": [{"var": "name"}, 1]},
    ):
        assert [one.pointer for one in check(condition, known)] == [""], condition
