"""What a workflow is made of, as JSON, and whether it makes sense.

    stages       [{"name": "new", "initial": true, "time_limit_minutes": 60, "on_timeout": "escalate"},
                  {"name": "closed", "final": true}]
    transitions  [{"name": "close", "from": ["new"], "to": "closed", "guard": {…}, "required_fields": [names],
                   "permission": code, "roles": [names], "reason_required": true,
                   "approval": {"approvers": 2, "permission": code}}]
    actions      [{"when": "enter", "name": "closed", "action": "task.create", "with": {…}}]

`draft_problems` looks at the form alone, so that half a workflow can be saved; `problems` also at the graph,
the guards and the actions, and is what publishing asks. A final stage may have ways out: that reopens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from telephony.contract import conditions
from telephony.contract.conditions import Problem
from web.shared.accounts import registry
from web.shared.core import entities
from web.shared.core.viewer import Viewer
from web.tenant.workflows import actions as action_registry

MAX_STAGES, MAX_TRANSITIONS, MAX_ACTIONS = 50, 200, 200
NAME = {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,49}\Z"}
LABEL = {"type": "string", "maxLength": 100}
CODE = {"type": "string", "maxLength": 100}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "stages": {
            "type": "array",
            "maxItems": MAX_STAGES,
            "items": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "name": NAME,
                    "label": LABEL,
                    "initial": {"type": "boolean"},
                    "final": {"type": "boolean"},
                    "time_limit_minutes": {"type": "integer", "minimum": 1, "maximum": 527_040},
                    "on_timeout": NAME,
                },
            },
        },
        "transitions": {
            "type": "array",
            "maxItems": MAX_TRANSITIONS,
            "items": {
                "type": "object",
                "required": ["name", "from", "to"],
                "additionalProperties": False,
                "properties": {
                    "name": NAME,
                    "label": LABEL,
                    "from": {"type": "array", "items": NAME, "minItems": 1, "maxItems": MAX_STAGES},
                    "to": NAME,
                    "guard": {"type": "object"},
                    "required_fields": {"type": "array", "items": CODE, "maxItems": 50},
                    "permission": CODE,
                    "roles": {"type": "array", "items": CODE, "minItems": 1, "maxItems": 20},
                    "reason_required": {"type": "boolean"},
                    "approval": {
                        "type": "object",
                        "required": ["approvers"],
                        "additionalProperties": False,
                        "properties": {
                            "approvers": {"type": "integer", "minimum": 1, "maximum": 10},
                            "permission": CODE,
                        },
                    },
                },
            },
        },
        "actions": {
            "type": "array",
            "maxItems": MAX_ACTIONS,
            "items": {
                "type": "object",
                "required": ["when", "name", "action"],
                "additionalProperties": False,
                "properties": {
                    "when": {"enum": ["enter", "leave", "transition"]},
                    "name": NAME,
                    "action": CODE,
                    "with": {"type": "object"},
                },
            },
        },
    },
}


@dataclass(frozen=True)
class Definition:
    """Stages, transitions and actions of one version, with the questions that running asks of them."""

    stages: Sequence[Mapping[str, Any]]
    transitions: Sequence[Mapping[str, Any]]
    actions: Sequence[Mapping[str, Any]]

    @cached_property
    def by_stage(self) -> dict[str, Mapping[str, Any]]:
        return {stage["name"]: stage for stage in self.stages}

    @cached_property
    def by_transition(self) -> dict[str, Mapping[str, Any]]:
        return {one["name"]: one for one in self.transitions}

    @property
    def initial(self) -> str:
        return next(str(stage["name"]) for stage in self.stages if stage.get("initial"))

    def is_final(self, stage: str) -> bool:
        return bool(self.by_stage[stage].get("final"))

    def leaving(self, stage: str) -> list[Mapping[str, Any]]:
        """The transitions that begin in this stage."""
        return [one for one in self.transitions if stage in one["from"]]

    def actions_of(self, left: str, transition: str, entered: str) -> list[Mapping[str, Any]]:
        """What a step does, in order: leaving, the transition's own, entering."""
        wanted = [("leave", left), ("transition", transition), ("enter", entered)]
        return [
            one for pair in wanted if pair[1] for one in self.actions if (one["when"], one["name"]) == pair
        ]


def definition_of(row: Any) -> Definition:
    """Of a WorkflowVersion, or of a Workflow's draft."""
    return Definition(row.stages, row.transitions, row.actions)


# --- checking -----------------------------------------------------------------------------------------------


def draft_problems(row: Any) -> list[Problem]:
    """Whether the parts have the form above."""
    parts = {"stages": row.stages, "transitions": row.transitions, "actions": row.actions}
    return list(action_registry.schema_problems(SCHEMA, parts, ""))


def problems(row: Any, saver: Viewer) -> list[Problem]:
    """Everything that keeps `saver` from publishing the draft; pointers into the workflow."""
    found = draft_problems(row)
    if found:
        return found
    definition = definition_of(row)
    return [
        *_entity(row.entity_type),
        *_names(definition),
        *_ends(definition),
        *_reach(definition),
        *_timeouts(definition),
        *(
            problem
            for index, one in enumerate(definition.transitions)
            for problem in _transition(one, f"/transitions/{index}", row.entity_type, definition)
        ),
        *_actions(definition, row.entity_type, saver),
    ]


def _entity(name: str) -> Iterator[Problem]:
    try:
        entities.get(name)
    except entities.UnknownEntity:
        yield Problem("/entity_type", f"One of: {', '.join(entities.names())}.")


def _names(definition: Definition) -> Iterator[Problem]:
    for part, rows in (("stages", definition.stages), ("transitions", definition.transitions)):
        counted = Counter(row["name"] for row in rows)
        for index, row in enumerate(rows):
            if counted[row["name"]] > 1:
                yield Problem(f"/{part}/{index}/name", "Another one has this name.")


def _ends(definition: Definition) -> Iterator[Problem]:
    starts = [index for index, stage in enumerate(definition.stages) if stage.get("initial")]
    if len(starts) != 1:
        yield Problem("/stages", "Exactly one stage is initial.")
    if not any(stage.get("final") for stage in definition.stages):
        yield Problem("/stages", "At least one stage is final.")


def _reach(definition: Definition) -> Iterator[Problem]:
    """Every stage can be reached, and from every stage an end."""
    forward: dict[str, set[str]] = {stage["name"]: set() for stage in definition.stages}
    backward: dict[str, set[str]] = {stage["name"]: set() for stage in definition.stages}
    for one in definition.transitions:
        for stage in one["from"]:
            if stage in forward and one["to"] in forward:
                forward[stage].add(one["to"])
                backward[one["to"]].add(stage)
    reached = _closure(forward, {stage["name"] for stage in definition.stages if stage.get("initial")})
    ending = _closure(backward, {stage["name"] for stage in definition.stages if stage.get("final")})
    for index, stage in enumerate(definition.stages):
        if stage["name"] not in reached:
            yield Problem(f"/stages/{index}", "No way leads here from the initial stage.")
        if stage["name"] not in ending:
            yield Problem(f"/stages/{index}", "No way leads from here to a final stage.")


def _closure(edges: Mapping[str, set[str]], start: set[str]) -> set[str]:
    seen, pending = set(start), list(start)
    while pending:
        fresh = edges[pending.pop()] - seen
        seen |= fresh
        pending += fresh
    return seen


def _timeouts(definition: Definition) -> Iterator[Problem]:
    for index, stage in enumerate(definition.stages):
        name = stage.get("on_timeout")
        if name is None:
            continue
        if "time_limit_minutes" not in stage:
            yield Problem(f"/stages/{index}/on_timeout", "This stage has no time limit.")
        if name not in [one["name"] for one in definition.leaving(stage["name"])]:
            yield Problem(f"/stages/{index}/on_timeout", "No such transition begins in this stage.")
        elif "approval" in definition.by_transition[name]:
            yield Problem(f"/stages/{index}/on_timeout", "A transition that waits for people is no way out.")


def known_names(entity_type: str) -> dict[str, type]:
    """The names that a guard may ask for."""
    return {f"{entity_type}.*": object, "workflow.*": object, "actor.*": object}


def _transition(
    one: Mapping[str, Any], pointer: str, entity_type: str, definition: Definition
) -> Iterator[Problem]:
    for index, stage in enumerate(one["from"]):
        if stage not in definition.by_stage:
            yield Problem(f"{pointer}/from/{index}", "There is no such stage.")
    if len(set(one["from"])) < len(one["from"]):
        yield Problem(f"{pointer}/from", "A stage is named twice.")
    if one["to"] not in definition.by_stage:
        yield Problem(f"{pointer}/to", "There is no such stage.")
    for found in conditions.check(one.get("guard"), known_names(entity_type)):
        yield Problem(f"{pointer}/guard{found.pointer}", found.text)
    for index, name in enumerate(one.get("required_fields", [])):
        if not name.startswith((f"{entity_type}.", "workflow.data.")):
            yield Problem(f"{pointer}/required_fields/{index}", f"A name such as {entity_type}.status.")
    codes = {"permission": one.get("permission"), "approval/permission": _approval_code(one)}
    for where, code in codes.items():
        if code is not None and code not in registry.permissions:
            yield Problem(f"{pointer}/{where}", "There is no such permission.")


def _approval_code(one: Mapping[str, Any]) -> str | None:
    code: str | None = one.get("approval", {}).get("permission")
    return code


def _actions(definition: Definition, entity_type: str, saver: Viewer) -> Iterator[Problem]:
    for index, one in enumerate(definition.actions):
        places = definition.by_transition if one["when"] == "transition" else definition.by_stage
        if one["name"] not in places:
            kind = "transition" if one["when"] == "transition" else "stage"
            yield Problem(f"/actions/{index}/name", f"There is no such {kind}.")
    wanted = [{"action": one["action"], "with": one.get("with", {})} for one in definition.actions]
    yield from action_registry.check(wanted, "/actions", entity_type=entity_type, saver=saver)
