"""What workflows and rules can do: a registry that the apps above fill in `ready()`.

    action("task.create", "Create a task", {"type": "object", "properties": {"title": …}}, create_task,
           needs=[TASKS_EDIT], look=unknown_people)

Saving a rule, or publishing a workflow, asks whether each action can work: its parameters fit the JSON
Schema, its kind of entity is one of `on`, and `look(wanted)` finds everything that the parameters name. It
also asks whether the one who saves may do the same by hand: `needs` are codes to be held for everybody's
things, because an action reaches whatever its event is about. So nobody gets through a rule what their role
denies them. From then on the rule is the organisation's, as its author's later roles are not asked about.

`run(call)` gets the entity's name and id, parameters that fit the JSON Schema, and a system actor; it calls
its app's services. It runs in a transaction that also marks it done, so what it writes to the database is
written once; whatever leaves the house must go through an outbox of its own, keyed by `call.key`. It may
return ids and states for the log. A ValidationError, a Problem or a LookupError is final; anything else is
tried again, a few times.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from telephony.contract.conditions import Problem
from web.shared.accounts import registry
from web.shared.accounts.registry import Scope
from web.shared.core.actor import Actor
from web.shared.core.viewer import Viewer

MAX_ACTIONS = 200


@dataclass(frozen=True, slots=True)
class ActionCall:
    """`key` is the same when the same action is tried again."""

    entity_type: str
    entity_id: uuid.UUID
    parameters: Mapping[str, Any]
    actor: Actor
    key: uuid.UUID


@dataclass(frozen=True, slots=True)
class Wanted:
    """An action that somebody is about to save, its parameters fitting the schema; `saver` is who."""

    entity_type: str
    parameters: Mapping[str, Any]
    saver: Viewer


Run = Callable[[ActionCall], Mapping[str, Any] | None]
Look = Callable[[Wanted], Iterable[Problem]]
"""What is wrong with parameters beyond their form; pointers begin at the parameters."""


def _nothing_wrong(wanted: Wanted) -> Iterable[Problem]:
    return ()


@dataclass(frozen=True, slots=True)
class Action:
    """`on`: the entities it is for, empty for all of them."""

    name: str
    label: str
    schema: Mapping[str, Any]
    run: Run
    on: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    look: Look = _nothing_wrong


_actions: dict[str, Action] = {}


def action(
    name: str,
    label: str,
    schema: Mapping[str, Any],
    run: Run,
    *,
    on: Iterable[str] = (),
    needs: Iterable[str] = (),
    look: Look = _nothing_wrong,
) -> None:
    """Register one; the same name twice, an unknown code, or a schema that is none, is an error."""
    if name in _actions:
        raise ValueError(f"the action {name} is registered twice")
    made = Action(name, label, schema, run, tuple(on), tuple(needs), look)
    for code in made.needs:
        if code not in registry.permissions:
            raise ValueError(f"the action {name} needs {code}, which nobody declared")
    Draft202012Validator.check_schema(schema)
    _actions[name] = made


def known() -> list[Action]:
    return [_actions[name] for name in sorted(_actions)]


def get(name: str) -> Action | None:
    return _actions.get(name)


def check(wanted: Any, pointer: str, *, entity_type: str, saver: Viewer) -> list[Problem]:
    """What is wrong with a list of {"action": name, "with": parameters}; pointers begin with `pointer`."""
    if not isinstance(wanted, list) or len(wanted) > MAX_ACTIONS:
        return [Problem(pointer, f"A list of at most {MAX_ACTIONS} actions.")]
    return [
        problem
        for index, one in enumerate(wanted)
        for problem in _check_one(one, f"{pointer}/{index}", entity_type, saver)
    ]


def _check_one(one: Any, pointer: str, entity_type: str, saver: Viewer) -> Iterator[Problem]:
    if not isinstance(one, dict) or not isinstance(one.get("action"), str):
        yield Problem(pointer, "An object with `action` and `with`.")
        return
    found = get(one["action"])
    if found is None:
        yield Problem(f"{pointer}/action", f"Known actions: {', '.join(sorted(_actions)) or 'none'}.")
        return
    if found.on and entity_type not in found.on:
        yield Problem(f"{pointer}/action", f"This can be done with: {', '.join(found.on)}.")
        return
    for code in found.needs:
        if saver.scope(code) is not Scope.ALL:
            yield Problem(f"{pointer}/action", f"Saving this needs {code}, for all and not only one's own.")
    form = list(schema_problems(found.schema, one.get("with", {}), f"{pointer}/with"))
    yield from form
    if not form:
        wanted = Wanted(entity_type, one.get("with", {}), saver)
        yield from (Problem(f"{pointer}/with{said.pointer}", said.text) for said in found.look(wanted))


def schema_problems(schema: Mapping[str, Any], value: Any, pointer: str) -> Iterator[Problem]:
    """What `value` has against a JSON Schema, each with its pointer, without repeating the value."""
    for error in Draft202012Validator(schema).iter_errors(value):
        where = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
        yield Problem(pointer + where, _sentence(error))


_SAID_WITH_THEIR_VALUE = frozenset(
    [
        "type",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "minimum",
        "maximum",
        "pattern",
    ]
)


def _sentence(error: Any) -> str:
    rule, wanted = error.validator, error.validator_value
    if rule == "required":
        return f"Needed: {', '.join(name for name in wanted if name not in error.instance)}."
    if rule == "additionalProperties":
        return f"Only these are known: {', '.join(error.schema.get('properties', {}))}."
    if rule == "enum":
        return f"One of: {', '.join(map(str, wanted))}."
    if rule in (
        "type",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "minimum",
        "maximum",
        "pattern",
    ):
        return f"This does not fit: {rule} {wanted}."
    return f"This does not fit the rule `{rule}`."
