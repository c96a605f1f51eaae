"""What workflows and rules can do: a registry that the apps above fill in `ready()`.

    action("task.create", "Create a task", {"type": "object", "properties": {"title": …}}, create_task)

`run(call)` gets the entity's name and id, parameters that fit the JSON Schema, and a system actor; it calls
its app's services. It runs in a transaction that also marks it done, so what it writes to the database is
written once; whatever leaves the house must go through an outbox of its own, keyed by `call.key`. It may
return ids and states for the log. A ValidationError, a Problem or a LookupError is final; anything else is
tried again, a few times.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from telephony.contract.conditions import Problem
from web.shared.core.actor import Actor

MAX_ACTIONS = 200


@dataclass(frozen=True, slots=True)
class ActionCall:
    """`key` is the same when the same action is tried again."""

    entity_type: str
    entity_id: uuid.UUID
    parameters: Mapping[str, Any]
    actor: Actor
    key: uuid.UUID


Run = Callable[[ActionCall], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    label: str
    schema: Mapping[str, Any]
    run: Run


_actions: dict[str, Action] = {}


def action(name: str, label: str, schema: Mapping[str, Any], run: Run) -> None:
    """Register one; the same name twice, or a schema that is none, is an error."""
    if name in _actions:
        raise ValueError(f"the action {name} is registered twice")
    Draft202012Validator.check_schema(schema)
    _actions[name] = Action(name, label, schema, run)


def known() -> list[Action]:
    return [_actions[name] for name in sorted(_actions)]


def get(name: str) -> Action | None:
    return _actions.get(name)


def check(wanted: Any, pointer: str) -> list[Problem]:
    """What is wrong with a list of {"action": name, "with": parameters}; pointers begin with `pointer`."""
    if not isinstance(wanted, list) or len(wanted) > MAX_ACTIONS:
        return [Problem(pointer, f"A list of at most {MAX_ACTIONS} actions.")]
    return [problem for index, one in enumerate(wanted) for problem in _check_one(one, f"{pointer}/{index}")]


def _check_one(one: Any, pointer: str) -> Iterator[Problem]:
    if not isinstance(one, dict) or not isinstance(one.get("action"), str):
        yield Problem(pointer, "An object with `action` and `with`.")
        return
    found = get(one["action"])
    if found is None:
        yield Problem(f"{pointer}/action", f"Known actions: {', '.join(sorted(_actions)) or 'none'}.")
        return
    yield from schema_problems(found.schema, one.get("with", {}), f"{pointer}/with")


def schema_problems(schema: Mapping[str, Any], value: Any, pointer: str) -> Iterator[Problem]:
    """What `value` has against a JSON Schema, each with its pointer, without repeating the value."""
    for error in Draft202012Validator(schema).iter_errors(value):
        where = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
        yield Problem(pointer + where, _sentence(error))


def _sentence(error: Any) -> str:
    rule, wanted = error.validator, error.validator_value
    if rule == "required":
        return f"Needed: {', '.join(name for name in wanted if name not in error.instance)}."
    if rule == "additionalProperties":
        return f"Only these are known: {', '.join(error.schema.get('properties', {}))}."
    if rule == "enum":
        return f"One of: {', '.join(map(str, wanted))}."
    if rule in ("type", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "pattern"):
        return f"This does not fit: {rule} {wanted}."
    return f"This does not fit the rule `{rule}`."
