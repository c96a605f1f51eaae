"""Bounded conditions: what they mean, what is refused, and that no input makes them fail."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.contract import conditions
from telephony.contract.clock import from_datetime
from telephony.contract.conditions import Problem, check, explain, holds, variables, without_text

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
DATA = {
    "case.status": "open",
    "case.priority": 3,
    "case.tags": ["urgent", "child"],
    "case.title": "",
    "case.sealed": False,
    "case.created_at": datetime(2026, 3, 9, tzinfo=UTC),
    "case.due": "2026-03-11T00:00:00+03:00",
    "case.cost": Decimal("12.50"),
    "case.custom": {"colour": "red"},
    "contact": {"name": {"first": "A"}, "phones": [{"label": "home"}]},
}
V = {"var": "case.status"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, True),
        (None, True),
        (True, True),
        (False, False),
        ({"==": [V, "open"]}, True),
        ({"==": [V, "OPEN"]}, False),
        ({"!=": [V, "closed"]}, True),
        ({"==": [{"var": "case.priority"}, "3"]}, False),
        ({"==": [{"var": "case.sealed"}, 0]}, False),
        ({"==": [{"var": "case.sealed"}, False]}, True),
        ({"==": [1, 1.0]}, True),
        ({"==": [{"var": "case.tags"}, ["urgent", "child"]]}, True),
        ({"==": [{"var": "nothing"}, None]}, True),
        ({"<": [2, {"var": "case.priority"}, 4]}, True),
        ({"<": [2, {"var": "case.priority"}, 3]}, False),
        ({">=": [{"var": "case.priority"}, 3]}, True),
        ({">": [{"var": "case.priority"}, "2"]}, False),
        ({"<": [{"var": "nothing"}, 2]}, False),
        ({"between": [{"var": "case.cost"}, 12, 12.5]}, True),
        ({"between": ["b", "a", "c"]}, True),
        ({"in": [V, ["new", "open"]]}, True),
        ({"in": ["pe", V]}, True),
        ({"contains": [{"var": "case.tags"}, "child"]}, True),
        ({"contains": [{"var": "case.tags"}, "chi"]}, False),
        ({"contains": [{"var": "case.priority"}, 3]}, False),
        ({"starts_with": [V, "op"]}, True),
        ({"starts_with": [{"var": "case.tags"}, "u"]}, False),
        ({"is_empty": {"var": "case.title"}}, True),
        ({"is_empty": [{"var": "case.tags"}]}, False),
        ({"is_empty": [{"var": "case.sealed"}]}, False),
        ({"missing": ["case.status"]}, False),
        ({"missing": ["case.status", "case.title"]}, True),
        ({"not": {"missing": "case.status"}}, True),
        ({"and": [{"==": [V, "open"]}, {"var": "case.tags"}]}, True),
        ({"or": [False, {"var": "case.title"}, {"var": "case.priority"}]}, True),
        ({"==": [{"var": ["nothing", "fallback"]}, "fallback"]}, True),
        ({"==": [{"var": "contact.name.first"}, "A"]}, True),
        ({"==": [{"var": "contact.phones.0.label"}, "home"]}, True),
        ({"is_empty": {"var": "contact.phones.7.label"}}, True),
        ({"==": [{"var": "case.custom.colour"}, "red"]}, True),
        ({"<": [{"var": "case.created_at"}, {"now": -86_400}]}, True),
        ({"<": [{"var": "case.created_at"}, {"now": -2 * 86_400}]}, False),
        ({"<": [{"var": "case.due"}, {"now": 43_200}]}, True),
        ({"==": [{"var": "case.due"}, "2026-03-10T21:00:00Z"]}, True),
        ({"between": [{"var": "case.created_at"}, "2026-03-09", "2026-03-10"]}, True),
        ({"<": ["2026-03-10T12:00:00.5Z", {"now": 1}]}, True),
        ({"<": ["not a date", {"now": 0}]}, False),
    ],
)
def test_what_conditions_mean(condition, expected):
    assert holds(condition, DATA, NOW) is expected
    assert holds(condition, DATA, from_datetime(NOW)) is expected
    assert explain(condition, DATA, NOW)["value"] is expected
    assert check(condition) == []


@pytest.mark.parametrize(
    ("condition", "pointer"),
    [
        ({"==": [1]}, ""),
        ({"xor": [True, False]}, ""),
        ({"==": [1, 1], "!=": [1, 2]}, ""),
        ({"and": []}, ""),
        ({"and": [True, {"nonsense": 1}]}, "/and/1"),
        ({"not": {"or": [{"<": [1]}]}}, "/not/0/or/0"),
        ({"in": [1, [[1]]]}, "/in/1"),
        ({"in": [1, [{"var": "x"}]]}, "/in/1"),
        ({"var": 1}, ""),
        ({"var": ""}, ""),
        ({"var": ["x", {"var": "y"}]}, ""),
        ({"var": "x" * 200}, ""),
        ({"missing": []}, ""),
        ({"now": "soon"}, ""),
        ({"now": 10**12}, ""),
        ({"==": ["x" * 501, 1]}, "/==/0"),
    ],
)
def test_what_is_not_well_formed_is_named_by_pointer_and_holds_for_nothing(condition, pointer):
    assert pointer in [problem.pointer for problem in check(condition)]
    if "==" not in condition or len(condition["=="]) == 1:
        assert holds(condition, DATA, NOW) is False
        assert holds({"not": condition}, DATA, NOW) is False
        assert holds({"or": [True, condition]}, DATA, NOW) is False
        assert "error" in explain(condition, DATA, NOW)


def test_depth_size_and_lists_are_bounded():
    deep: object = True
    for _ in range(conditions.MAX_DEPTH + 1):
        deep = {"not": deep}
    assert check(deep) and not holds(deep, {})
    assert check({"or": [True] * 201})
    wide = {"or": [{"or": [True] * 50}] * 50}
    assert [one.pointer for one in check(wide)] == [""]
    assert check({"in": [1, list(range(201))]}) == [Problem("/in/1", "A list of at most 200.")]
    assert check({"in": [1, list(range(200))]}) == []


def test_known_names_and_their_kinds_are_checked():
    known = {"case.status": str, "case.priority": int, "case.created_at": datetime, "case.custom.*": object}

    def wrong(condition: object) -> list[str]:
        return [one.pointer for one in check(condition, known)]

    assert wrong({"==": [V, "open"]}) == []
    assert wrong({"==": [{"var": "case.custom.colour"}, "red"]}) == []
    assert wrong({"==": [{"var": "case.stauts"}, "open"]}) == ["/==/0/var"]
    assert wrong({"missing": ["case.status", "case.x"]}) == ["/missing"]
    assert wrong({"==": [V, 3]}) == [""]
    assert wrong({"<": [{"var": "case.priority"}, "3"]}) == [""]
    assert wrong({"<": [{"var": "case.created_at"}, {"now": 0}]}) == []
    assert wrong({"<": [True, 1]}) == [""]
    assert wrong({"contains": [{"var": "case.priority"}, 1]}) == [""]
    assert wrong({"starts_with": [{"var": "case.priority"}, "1"]}) == [""]


def test_the_explanation_names_each_value_and_can_lose_its_texts():
    person = str(uuid4())
    condition = {"and": [{"==": [V, "open"]}, {"==": [{"var": "case.owner"}, person]}]}
    tree = explain(condition, {**DATA, "case.owner": person}, NOW)
    assert tree["args"][0]["args"][0] == {"op": "var", "name": "case.status", "value": "open"}
    assert [one["value"] for one in tree["args"]] == [True, True]
    bare = without_text(tree)
    assert bare["args"][0]["args"][0] == {"op": "var", "name": "case.status", "value": {"text": True}}
    assert bare["args"][1]["args"][0]["value"] == person and bare["value"] is True
    assert "open" not in json.dumps(bare)
    lists = without_text(explain({"contains": [{"var": "case.tags"}, "child"]}, DATA, NOW))
    assert "child" not in json.dumps(lists) and "urgent" not in json.dumps(lists)


def test_without_now_nothing_is_compared_to_it():
    assert not holds({"<": [{"var": "case.created_at"}, {"now": 0}]}, DATA)
    assert not holds({">=": [{"var": "case.created_at"}, {"now": 0}]}, DATA)


def test_every_name_asked_for_is_listed():
    asked = {"and": [{"==": [{"var": ["a.b", 1]}, {"var": "c"}]}, {"missing": ["d", "e"]}]}
    assert variables(asked) == {"a.b", "c", "d", "e"}


# --- nothing makes them fail --------------------------------------------------------------------------------

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.dates()
    | st.decimals()
    | st.uuids()
    | st.sampled_from(["2026-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60Z", "open"])
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
_data = st.dictionaries(st.sampled_from(["a", "b", "a.b", "case.status"]), _values, max_size=4)
_leaves = _scalars | st.builds(
    lambda name: {"var": name}, st.sampled_from(["a", "b", "a.b", "a.0.b", "case.status"])
)
_conditions = st.recursive(
    _leaves
    | st.builds(lambda s: {"now": s}, st.integers(-(10**9), 10**9))
    | st.just({"missing": ["a", "z"]}),
    lambda inner: st.builds(
        lambda name, arguments: {name: arguments},
        st.sampled_from([*conditions.OPERATORS, "nonsense"]),
        st.lists(inner, max_size=3) | inner,
    ),
    max_leaves=20,
)


@given(_conditions | _values, _data | _values, st.integers(-(2**62), 2**62) | st.just(NOW) | st.none())
def test_no_condition_and_no_data_make_it_fail(condition, data, now):
    verdict = holds(condition, data, now)
    tree = explain(condition, data, now)
    assert verdict is tree["value"]
    json.dumps(tree, allow_nan=False)
    json.dumps(without_text(tree), allow_nan=False)
    check(condition)
    check(condition, {"a": int})
    variables(condition)


@given(_conditions, _data)
def test_what_check_accepts_is_evaluated_without_an_error(condition, data):
    if check(condition) == []:
        tree = explain(condition, data, NOW)
        assert "error" not in tree
        if isinstance(condition, dict) and condition:
            assert holds({"not": condition}, data, NOW) is not tree["value"]


@given(_scalars, _scalars)
def test_equality_is_even_handed_and_orders_agree_with_it(left, right):
    data = {"l": left, "r": right}
    sides = [{"var": "l"}, {"var": "r"}]

    def said(operator: str) -> bool:
        return holds({operator: sides}, data)

    assert said("==") is holds({"==": sides[::-1]}, data)
    assert said("==") is not said("!=")
    assert not (said("<") and said(">"))
    if said("<") or said(">"):
        assert not said("==")
    if said("==") and said("<="):
        assert said(">=")


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-9999, 9999))
def test_instants_compare_however_they_are_written(moment, seconds):
    aware = moment.replace(tzinfo=UTC)
    later = aware + timedelta(seconds=seconds)
    for one in (aware, aware.isoformat(), aware.isoformat().replace("+00:00", "Z")):
        assert holds({"<": [{"var": "x"}, {"var": "y"}]}, {"x": one, "y": later}) is (seconds > 0)
        assert holds({"==": [{"var": "x"}, {"now": -seconds}]}, {"x": one}, later)
    assert holds({"<=": [{"var": "x"}, {"var": "y"}]}, {"x": date(2000, 1, 1), "y": "2000-01-01T00:00:00Z"})
