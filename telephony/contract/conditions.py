"""Conditions that people write and machines evaluate: a bounded subset of JsonLogic, as JSON.

    {"and": [{"==": [{"var": "case.status"}, "open"]},
             {"<": [{"var": "case.created_at"}, {"now": -172800}]}]}

One object with one operator is a node; its arguments are nodes, texts, numbers, true, false, null, or lists
of those. Business rules, workflow guards, notification rules and call flows share this one language. There is
no loop, no arithmetic, no regular expression and no code, so every evaluation ends, in time linear in the
condition and the data that it names.

`var`, `missing`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `and`, `or` and `in` are JsonLogic's; `not`, `contains`,
`starts_with`, `is_empty`, `between` and `now` are ours. Where they differ from JsonLogic, it is so that a
mistake is not a match (tests/unit/vectors has both sides of each):

    (kinds)      values of different kinds are never equal and have no order: "1" is not 1, false is not 0,
                 null has no order. JavaScript's conversions make a typing error in a form a match.
    (lists)      lists are equal when their items are; in JavaScript no two lists ever are.
    (instants)   texts in RFC 3339 are compared as instants, because data spells them in many ways.
    (numbers)    whole numbers are exact however long: ids and digits of a phone number do not run together.
    (truth)      `and` and `or` say true or false, not the deciding value: conditions decide, they do not
                 compute. Empty objects are false like empty lists. Null as a whole is no condition: it holds.
    (names)      a name is a text that is written down, as the fallback is a plain value: so every name that a
                 condition can ask for is known when it is saved. A key with dots in it comes first.
    (literals)   a list holds plain values, an object exactly one operator: a second key is a mistake.
    (arguments)  too few or too many are an error instead of being made up or ignored.
    (operators)  no arithmetic, texts, loops or `if`; one name each (`not` for `!`, `==` for `===`). What is
                 left ends in time linear in its size, and can be explained, value by value.

A condition that is not well formed does not hold, nor does anything around it: no `not` turns an error into a
match. `{}` and null hold: no condition is no hurdle.

Texts in RFC 3339 (`2026-03-01T08:00:00Z`, or a date alone: its midnight in UTC) and datetimes are instants
wherever two of them meet. `{"now": s}` is the instant `now`, which the caller gives, moved by s seconds.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from .clock import SECOND, Instant, from_datetime, to_text

MAX_DEPTH = 12
MAX_NODES = 200
MAX_LIST = 200
MAX_TEXT = 500
MAX_NAME = 120
MAX_SHIFT = 10 * 366 * 86_400
"""Seconds by which `now` may be moved: ten years either way."""
_EQUAL_DEPTH = 16
_SHOWN = 20

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?([Zz]|[+-]\d\d:\d\d))?", re.ASCII
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a condition: a JSON pointer into it, and a sentence."""

    pointer: str
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """An instant among the values of an evaluation."""

    at: Instant


class _BadError(Exception):
    """The condition is not well formed. Stays inside this module."""

    def __init__(self, pointer: str, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(pointer, text)


@dataclass(frozen=True, slots=True)
class _World:
    data: Any
    now: Moment | None


# --- the three questions ------------------------------------------------------------------------------------


def holds(condition: Any, data: Any, now: Instant | datetime | None = None) -> bool:
    """Whether `condition` holds for `data`, a mapping of names to values. Never raises.

    `now`: microseconds since the epoch, or an aware datetime; without it `{"now": …}` has no value.
    """
    return bool(explain(condition, data, now)["value"])


def explain(condition: Any, data: Any, now: Instant | datetime | None = None) -> dict[str, Any]:
    """The same with the reason: a tree of {op, value, args}, leaves {value} or {op: "var", name, value}.

    The root's `value` is true or false. A condition that is not well formed gives {value: false, error,
    pointer}. JSON throughout; the texts of the data are in it, see `without_text`. Never raises.
    """
    if condition is None or condition == {}:
        return {"value": True}
    try:
        node, value = _evaluate(condition, _World(data, _moment_of(now)), "", 0)
    except _BadError as bad:
        return {"value": False, "error": bad.problem.text, "pointer": bad.problem.pointer}
    return {**node, "value": truth(value)}


def check(condition: Any, known: Mapping[str, type] | None = None) -> list[Problem]:
    """Everything that is wrong with `condition`; an empty list when it may be used.

    `known` names the variables there are, with their types (bool, int, float, str, list, datetime; any other
    type fits everywhere); a name ending in `.*` stands for all below it. None: every name is welcome.
    """
    if condition is None or condition == {}:
        return []
    found: list[Problem] = []
    count = [0]
    _check(condition, "", 1, known, found, count)
    if count[0] > MAX_NODES:
        found.append(Problem("", f"More than {MAX_NODES} parts."))
    return found


def variables(condition: Any) -> set[str]:
    """Every name that `condition` asks for."""
    found: set[str] = set()
    pending = [(condition, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            continue
        if isinstance(node, dict):
            for name, arguments in node.items():
                listed = _listed(arguments)
                if name == "var":
                    found.update(one for one in listed[:1] if isinstance(one, str))
                elif name == "missing":
                    found.update(one for one in listed if isinstance(one, str))
                pending += [(one, depth + 1) for one in listed]
        elif isinstance(node, list):
            pending += [(one, depth + 1) for one in node]
    return found


def without_text(tree: Mapping[str, Any]) -> dict[str, Any]:
    """An explanation fit for a log: texts become {"text": true}, except ids and instants."""
    kept = {name: tree[name] for name in ("op", "name", "error", "pointer") if name in tree}
    if "value" in tree:
        kept["value"] = _wordless(tree["value"])
    if "args" in tree:
        kept["args"] = [without_text(one) for one in tree["args"]]
    return kept


def _wordless(value: Any) -> Any:
    if isinstance(value, str):
        return value if _UUID.fullmatch(value) or _parse(value) is not None else {"text": True}
    if isinstance(value, list):
        return [_wordless(one) for one in value]
    return value


# --- values -------------------------------------------------------------------------------------------------


def truth(value: Any) -> bool:
    """Null, false, 0, and empty texts, lists and objects are false; everything else is true."""
    if isinstance(value, Moment):
        return True
    return bool(value)


def plain(value: Any) -> Any:
    """A value of the data as conditions see it: None, bool, number, str, Moment, list or dict."""
    if value is None or isinstance(value, bool | int | Moment):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, datetime):
        return _moment_of(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    try:
        return str(value)
    except Exception:  # a stranger's __str__
        return None


def _moment_of(value: Any) -> Moment | None:
    if isinstance(value, datetime):
        try:
            return None if value.utcoffset() is None else Moment(from_datetime(value))
        except (ValueError, OverflowError):
            return None
    if isinstance(value, int) and not isinstance(value, bool):
        return Moment(value)
    return None


def _parse(text: str) -> Moment | None:
    """The instant that an RFC 3339 text names."""
    match = _RFC3339.fullmatch(text) if 10 <= len(text) <= 40 else None
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    clock, zone = clock or "00:00:00", "+00:00" if zone in (None, "Z", "z") else zone
    try:
        return _moment_of(datetime.fromisoformat(f"{day}T{clock}.{(fraction or '').ljust(6, '0')}{zone}"))
    except ValueError:
        return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _pair(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Both as things that have an order among each other, or None."""
    if _number(left) and _number(right):
        return left, right
    moments = tuple(
        value if isinstance(value, Moment) else _parse(value) if isinstance(value, str) else None
        for value in (left, right)
    )
    if moments[0] is not None and moments[1] is not None:
        return moments[0].at, moments[1].at
    return (left, right) if isinstance(left, str) and isinstance(right, str) else None


def equal(left: Any, right: Any, depth: int = 0) -> bool:
    """Of the same kind and the same; lists item by item, objects never."""
    left, right = plain(left), plain(right)
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right) or depth >= _EQUAL_DEPTH:
            return False
        return all(equal(one, other, depth + 1) for one, other in zip(left, right, strict=True))
    if left is None or isinstance(left, bool) or right is None or isinstance(right, bool):
        return left is right
    pair = _pair(left, right)
    return pair is not None and bool(pair[0] == pair[1])


def _shown(value: Any, depth: int = 0) -> Any:
    """A value as JSON, short."""
    if isinstance(value, Moment):
        try:
            return to_text(value.at)
        except (OverflowError, ValueError):
            return None
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list):
        return [] if depth else [_shown(plain(one), 1) for one in value[:_SHOWN]]
    return {} if isinstance(value, dict) else value


# --- operators ----------------------------------------------------------------------------------------------


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[list[Any]], bool]:
    def compared(values: list[Any]) -> bool:
        pairs = [_pair(left, right) for left, right in pairwise(values)]
        return all(pair is not None and bool(test(*pair)) for pair in pairs)

    return compared


def _contains(values: list[Any]) -> bool:
    whole, part = values
    if isinstance(whole, list):
        return any(equal(one, part) for one in whole)
    return isinstance(whole, str) and isinstance(part, str) and part in whole


def _starts_with(values: list[Any]) -> bool:
    whole, part = values
    return isinstance(whole, str) and isinstance(part, str) and whole.startswith(part)


def _between(values: list[Any]) -> bool:
    value, low, high = values
    return _compare(lambda left, right: left <= right)([low, value, high])


_MANY = MAX_LIST
_OPERATORS: dict[str, tuple[int, int, Callable[[list[Any]], bool]]] = {
    "and": (1, _MANY, lambda values: all(truth(one) for one in values)),
    "or": (1, _MANY, lambda values: any(truth(one) for one in values)),
    "not": (1, 1, lambda values: not truth(values[0])),
    "==": (2, 2, lambda values: equal(values[0], values[1])),
    "!=": (2, 2, lambda values: not equal(values[0], values[1])),
    "<": (2, 3, _compare(lambda left, right: left < right)),
    "<=": (2, 3, _compare(lambda left, right: left <= right)),
    ">": (2, 2, _compare(lambda left, right: left > right)),
    ">=": (2, 2, _compare(lambda left, right: left >= right)),
    "in": (2, 2, lambda values: _contains([values[1], values[0]])),
    "contains": (2, 2, _contains),
    "starts_with": (2, 2, _starts_with),
    "is_empty": (1, 1, lambda values: _empty(values[0])),
    "between": (3, 3, _between),
}
"""Operator → least and most arguments, and what it makes of their values."""
_READERS = ("var", "missing", "now")
OPERATORS = (*_OPERATORS, *_READERS)


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and len(value) == 0)


def lookup(data: Any, name: str) -> Any:
    """The value called `name`: of the longest key that begins it ("case.custom"), then along the dots."""
    if not isinstance(data, Mapping):
        return None
    parts = name.split(".")[:_EQUAL_DEPTH]
    for length in range(len(parts), 0, -1):
        key = name if length == len(parts) else ".".join(parts[:length])
        if key in data:
            return _within(data[key], parts[length:])
    return None


def _within(value: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 6:
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return plain(value)


# --- evaluating ---------------------------------------------------------------------------------------------


def _listed(arguments: Any) -> list[Any]:
    return arguments if isinstance(arguments, list) else [arguments]


def _parts(node: Any, pointer: str) -> tuple[str, list[Any]]:
    if len(node) != 1:
        raise _BadError(pointer, "An object with exactly one operator.")
    ((name, arguments),) = node.items()
    if name not in OPERATORS:
        raise _BadError(pointer, f"Unknown operator; known: {', '.join(OPERATORS)}.")
    return name, _listed(arguments)


def _below(pointer: str, name: str, index: int | None = None) -> str:
    escaped = str(name).replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{escaped}" if index is None else f"{pointer}/{escaped}/{index}"


def _evaluate(node: Any, world: _World, pointer: str, depth: int) -> tuple[dict[str, Any], Any]:
    """(explanation, value)."""
    if depth > MAX_DEPTH:
        raise _BadError(pointer, f"More than {MAX_DEPTH} levels.")
    if not isinstance(node, dict):
        value = _literal(node, pointer)
        return {"value": _shown(value)}, value
    name, arguments = _parts(node, pointer)
    if name in _READERS:
        return _read(name, arguments, world, pointer)
    least, most, function = _OPERATORS[name]
    if not least <= len(arguments) <= most:
        raise _BadError(pointer, _arity(name, least, most))
    done = [
        _evaluate(one, world, _below(pointer, name, index), depth + 1) for index, one in enumerate(arguments)
    ]
    value = function([value for _, value in done])
    return {"op": name, "value": value, "args": [shown for shown, _ in done]}, value


def _literal(value: Any, pointer: str) -> Any:
    if isinstance(value, list):
        if any(isinstance(one, dict | list) for one in value):
            raise _BadError(pointer, "A list here holds texts, numbers, true, false and null only.")
        return [plain(one) for one in value]
    return plain(value)


def _read(name: str, arguments: list[Any], world: _World, pointer: str) -> tuple[dict[str, Any], Any]:
    value: Any
    if name == "now":
        seconds = _shift(arguments, pointer)
        value = None if world.now is None else Moment(world.now.at + int(seconds * SECOND))
        return {"op": name, "value": _shown(value)}, value
    names = _names(name, arguments, pointer)
    if name == "missing":
        value = [one for one in names if lookup(world.data, one) in (None, "")]
        return {"op": name, "value": len(value) > 0, "args": [{"name": one} for one in value]}, value
    value = lookup(world.data, names[0])
    if value is None and len(arguments) == 2:
        value = _literal(arguments[1], _below(pointer, name, 1))
    return {"op": name, "name": names[0], "value": _shown(value)}, value


def _shift(arguments: list[Any], pointer: str) -> int | float:
    seconds = arguments[0] if arguments else 0
    if len(arguments) > 1 or not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise _BadError(pointer, "`now` takes a number of seconds.")
    if not -MAX_SHIFT <= seconds <= MAX_SHIFT:
        raise _BadError(pointer, f"At most {MAX_SHIFT} seconds either way.")
    return seconds


def _names(operator: str, arguments: list[Any], pointer: str) -> list[str]:
    """The names that `var` or `missing` asks for."""
    if operator == "var":
        if not 1 <= len(arguments) <= 2 or isinstance(arguments[-1], dict):
            raise _BadError(pointer, "`var` takes a name, and perhaps a value for when there is none.")
        arguments = arguments[:1]
    if not arguments or len(arguments) > MAX_LIST:
        raise _BadError(pointer, f"`{operator}` takes names.")
    for one in arguments:
        if not isinstance(one, str) or not 0 < len(one) <= MAX_NAME:
            raise _BadError(pointer, f"A name is a text of 1 to {MAX_NAME} characters.")
    return arguments


def _arity(name: str, least: int, most: int) -> str:
    return f"`{name}` takes {least if least == most else f'{least} to {most}'} arguments."


# --- checking -----------------------------------------------------------------------------------------------

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"), (int, "number"), (float, "number"), (Decimal, "number"), (str, "text"),
    (datetime, "text"), (date, "text"), (list, "list"), (tuple, "list"),
)  # fmt: skip


def _kind_of_type(kind: type | None) -> str:
    return next((name for one, name in _KINDS if isinstance(kind, type) and issubclass(kind, one)), "any")


def _check(
    node: Any,
    pointer: str,
    depth: int,
    known: Mapping[str, type] | None,
    found: list[Problem],
    count: list[int],
) -> str:
    """Adds to `found` what is wrong at and below `node`; returns the kind of its value, "any" if unsure."""
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_NODES:
        if depth > MAX_DEPTH:
            found.append(Problem(pointer, f"More than {MAX_DEPTH} levels."))
        return "any"
    if not isinstance(node, dict):
        found += _literal_problems(node, pointer)
        return "any" if node is None else _kind_of_type(type(node))
    try:
        name, arguments = _parts(node, pointer)
        if name in _READERS:
            return _check_reader(name, arguments, pointer, known, found)
        least, most, _ = _OPERATORS[name]
        if not least <= len(arguments) <= most:
            raise _BadError(pointer, _arity(name, least, most))
    except _BadError as bad:
        found.append(bad.problem)
        return "any"
    kinds = [
        _check(one, _below(pointer, name, index), depth + 1, known, found, count)
        for index, one in enumerate(arguments)
    ]
    found += [Problem(pointer, text) for text in _mismatches(name, kinds)]
    return "boolean"


def _check_reader(
    name: str, arguments: list[Any], pointer: str, known: Mapping[str, type] | None, found: list[Problem]
) -> str:
    if name == "now":
        _shift(arguments, pointer)
        return "text"
    names = _names(name, arguments, pointer)
    for one in names:
        if known is not None and not _is_known(one, known):
            found.append(Problem(_below(pointer, name), "There is no such value here."))
    if name == "missing":
        return "list"
    if len(arguments) == 2:
        found += _literal_problems(arguments[1], _below(pointer, name, 1))
    return _kind_of_type((known or {}).get(names[0]))


def _is_known(name: str, known: Mapping[str, type]) -> bool:
    if name in known:
        return True
    parts = name.split(".")
    return any(".".join([*parts[:length], "*"]) in known for length in range(1, len(parts)))


def _literal_problems(value: Any, pointer: str) -> Iterator[Problem]:
    if isinstance(value, list):
        if len(value) > MAX_LIST:
            yield Problem(pointer, f"A list of at most {MAX_LIST}.")
        elif any(isinstance(one, dict | list) for one in value):
            yield Problem(pointer, "A list here holds texts, numbers, true, false and null only.")
        else:
            for one in value:
                yield from _literal_problems(one, pointer)
    elif isinstance(value, str):
        if len(value) > MAX_TEXT:
            yield Problem(pointer, f"A text of at most {MAX_TEXT} characters.")
    elif isinstance(value, float):
        if value - value != 0:
            yield Problem(pointer, "A finite number.")
    elif not (value is None or isinstance(value, bool | int)):
        yield Problem(pointer, "A text, a number, true, false, null, a list of those, or an operator.")


def _mismatches(name: str, kinds: list[str]) -> Iterator[str]:
    """Comparisons that can never be true because of what stands on either side."""
    sure = [kind for kind in kinds if kind != "any"]
    if name in ("==", "!=") and len(set(sure)) > 1:
        yield f"A {sure[0]} is never equal to a {sure[1]}."
    elif name in ("<", "<=", ">", ">=", "between"):
        if any(kind in ("boolean", "list") for kind in sure):
            yield "Only numbers, texts and instants have an order."
        elif len(set(sure)) > 1:
            yield "A number and a text have no order among each other."
    elif name in ("in", "contains"):
        whole = kinds[1] if name == "in" else kinds[0]
        if whole in ("number", "boolean"):
            yield f"A {whole} contains nothing."
    elif name == "starts_with" and any(kind != "text" for kind in sure):
        yield "Only a text starts with a text."
