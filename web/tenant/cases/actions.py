"""What workflows and rules can do with a case: give it to somebody, set fields, add a watcher, add a note.

Each calls the service that a person's request calls, so history, audit, clocks and events are the same; the
actor is the rule or the workflow. What stands already is not written again, which is how rules that answer
each other come to rest before their chain is cut.

A rule reaches every case, so who saves one must reach every case: giving a case to somebody, or letting them
watch it, shows it to them even when it is restricted. A rule may restrict a case and never open one: that
a case may be seen by more people is for a person to decide.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max
from django.utils import timezone
from jsonschema import Draft202012Validator

from telephony.contract.conditions import Problem
from web.shared.accounts.queries import team_memberships
from web.shared.api.problems import Problem as Refusal
from web.shared.core.validators import MAX_TAG_LENGTH, MAX_TAGS
from web.shared.tenants.context import current_tenant_id
from web.tenant.cases import forms, people, permissions
from web.tenant.cases.choices import WORKING, CasePriority, CaseStatus, Confidentiality
from web.tenant.cases.models import Case, CaseTypeForm
from web.tenant.cases.problems import refused
from web.tenant.cases.services import assigning, cases, notes, watching
from web.tenant.cases.services.changing import locked
from web.tenant.reference_data import queries as reference
from web.tenant.workflows.actions import ActionCall, Wanted, action

NOBODY, CREATOR, TEAM = "nobody", "creator", "team:"
_WHO = {"type": "string", "minLength": 1, "maxLength": 60}
_TAGS = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_TAGS,
    "items": {"type": "string", "minLength": 1, "maxLength": MAX_TAG_LENGTH},
}
ASSIGN = {
    "type": "object",
    "required": ["to"],
    "additionalProperties": False,
    "properties": {
        "to": {
            **_WHO,
            "description": "A user's id, `creator`, `nobody`, or `team:<id>`: whoever of it has least.",
        },
        "lease_minutes": {
            "type": "integer",
            "minimum": assigning.MIN_LEASE,
            "maximum": assigning.MAX_LEASE,
            "description": "How long the case waits to be taken up before it goes back to the pool.",
        },
    },
}
SET = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {
        "status": {"enum": CaseStatus.values},
        "priority": {"enum": CasePriority.values},
        "case_type": {"type": "string", "minLength": 1, "maxLength": 50, "description": "The type's code."},
        "confidentiality": {"enum": [Confidentiality.RESTRICTED.value]},
        "due_in_hours": {"type": "number", "minimum": 0, "maximum": 24 * 366},
        "add_tags": _TAGS,
        "remove_tags": _TAGS,
        "custom_fields": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 50,
            "description": "Fields of the form and their values; null empties one.",
        },
    },
}
WATCH = {
    "type": "object",
    "required": ["user"],
    "additionalProperties": False,
    "properties": {"user": {**_WHO, "description": "A user's id, or `creator`."}},
}
NOTE = {
    "type": "object",
    "required": ["content"],
    "additionalProperties": False,
    "properties": {"content": {"type": "string", "minLength": 1, "maxLength": 5000}},
}
_REACH = (permissions.VIEW, permissions.VIEW_RESTRICTED)


def register() -> None:
    give = (*_REACH, permissions.ASSIGN)
    action("case.assign", "Give the case to somebody", ASSIGN, assign, on=["case"], needs=give, look=_no_one)
    edit = (*_REACH, permissions.EDIT)
    action("case.set", "Set fields of the case", SET, set_fields, on=["case"], needs=edit, look=_no_field)
    action("case.add_watcher", "Let somebody watch the case", WATCH, watch, on=["case"], needs=edit,
           look=_no_watcher)  # fmt: skip
    action("case.add_note", "Add an internal note to the case", NOTE, note, on=["case"], needs=edit)


# --- doing --------------------------------------------------------------------------------------------------


def assign(call: ActionCall) -> dict[str, Any]:
    """With a team nothing happens while one of it has the case. Somebody who left is a failure in the log."""
    case = locked(call.entity_id)
    wanted = str(call.parameters["to"])
    minutes = call.parameters.get("lease_minutes", assigning.LEASE_MINUTES)
    if wanted.startswith(TEAM):
        user_id: uuid.UUID | None = _least_busy(case, _id(wanted.removeprefix(TEAM)))
    else:
        user_id = None if wanted == NOBODY else _person(case, wanted, "/to")
    was = case.assigned_to_id
    done = assigning.case_assign(
        actor=call.actor,
        case=case,
        user_id=user_id,
        lease_minutes=minutes,
        reason=call.actor.process,
        pointer="/to",
    )
    return {"case": done.pk, "assigned_to": done.assigned_to_id, "changed": done.assigned_to_id != was}


def set_fields(call: ActionCall) -> dict[str, Any]:
    """Fields first, then the status, whose step may depend on nothing but the present one."""
    case, given, reason = locked(call.entity_id), call.parameters, call.actor.process
    before = case.revision
    values = _values(case, given)
    if values:
        case = cases.case_update(actor=call.actor, case=case, values=values, reason=reason)
    if "status" in given and given["status"] != case.status:
        case = cases.case_transition(actor=call.actor, case=case, status=given["status"], reason=reason)
    return {"case": case.pk, "changed": case.revision != before}


def _values(case: Case, given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {name: given[name] for name in ("priority", "confidentiality") if name in given}
    if "case_type" in given:
        values["case_type"] = _types(given["case_type"]).get()
    if "due_in_hours" in given:
        values["due_date"] = timezone.now() + timedelta(hours=given["due_in_hours"])
    if {"add_tags", "remove_tags"} & given.keys():
        kept = [tag for tag in case.tags if tag not in given.get("remove_tags", ())]
        values["tags"] = list(dict.fromkeys([*kept, *given.get("add_tags", ())]))
    if "custom_fields" in given:
        merged = {**case.custom_fields, **given["custom_fields"]}
        values["custom_fields"] = {name: value for name, value in merged.items() if value is not None}
    return values


def watch(call: ActionCall) -> dict[str, Any]:
    case = locked(call.entity_id)
    user_id = _person(case, str(call.parameters["user"]), "/user")
    row = watching.watcher_add(actor=call.actor, case=case, user_id=user_id)
    return {"case": case.pk, "watcher": row.user_id}


def note(call: ActionCall) -> dict[str, Any]:
    """Internal always: nothing that no person read goes to the client."""
    values = {"content": call.parameters["content"], "is_internal": True}
    made = notes.note_add(actor=call.actor, case=locked(call.entity_id), values=values)
    return {"note": made.pk}


def _person(case: Case, wanted: str, pointer: str) -> uuid.UUID:
    found: uuid.UUID | None = case.created_by_id if wanted == CREATOR else _id(wanted)
    if found is None:
        raise refused(pointer, "nobody_there", "There is no such person any more.")
    return found


def _least_busy(case: Case, team_id: uuid.UUID | None) -> uuid.UUID:
    """Of the team, who has the fewest unfinished cases; of several, who was given one the longest ago.

    Two cases given out at the same instant may count alike and go to the same person: fair enough, since the
    next one goes to somebody else.
    """
    members = _workers_of(team_id)
    has_it: uuid.UUID | None = case.assigned_to_id
    if has_it is not None and has_it in members:
        return has_it
    if not members:
        raise refused("/to", "nobody_there", "Nobody of this team may be given cases.")
    busy = Case.objects.filter(assigned_to_id__in=members, status__in=WORKING, merged_into=None)
    rows = busy.order_by().values("assigned_to_id").annotate(count=Count("pk"), at=Max("assigned_at"))
    load = {row["assigned_to_id"]: (row["count"], row["at"].timestamp() if row["at"] else 0) for row in rows}
    return min(members, key=lambda user_id: (*load.get(user_id, (0, 0.0)), str(user_id)))


def _workers_of(team_id: uuid.UUID | None) -> set[uuid.UUID]:
    """Those of the team who may see cases."""
    if team_id is None:
        return set()
    found = team_memberships(str(current_tenant_id()), team_id)
    return {one.user_id for one in found if permissions.VIEW in one.permissions}


def _types(code: str) -> Any:
    return reference.rows("case_category").filter(code=code, is_active=True)


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


# --- looking at what somebody wants to save -----------------------------------------------------------------


def _no_one(wanted: Wanted) -> Iterator[Problem]:
    to = str(wanted.parameters["to"])
    if to.startswith(TEAM):
        if not _workers_of(_id(to.removeprefix(TEAM))):
            yield Problem("/to", "There is no such team, or nobody of it may see cases.")
    elif to not in (NOBODY, CREATOR):
        yield from _no_worker(to, "/to", f"a user's id, `{CREATOR}`, `{NOBODY}`, or `{TEAM}<id>`")


def _no_watcher(wanted: Wanted) -> Iterator[Problem]:
    user = str(wanted.parameters["user"])
    if user != CREATOR:
        yield from _no_worker(user, "/user", f"a user's id, or `{CREATOR}`")


def _no_worker(text: str, pointer: str, form: str) -> Iterator[Problem]:
    user_id = _id(text)
    if user_id is None:
        yield Problem(pointer, f"This is {form}.")
        return
    try:
        people.worker(user_id, pointer)
    except Refusal as said:
        yield from (Problem(pointer, one.detail) for one in said.errors)


def _no_field(wanted: Wanted) -> Iterator[Problem]:
    given = wanted.parameters
    if "case_type" in given and not _types(given["case_type"]).exists():
        yield Problem("/case_type", "There is no case type with this code.")
    both = set(given.get("add_tags", ())) & set(given.get("remove_tags", ()))
    if both:
        yield Problem("/remove_tags", "A tag is added or removed, not both.")
    if "custom_fields" in given:
        yield from _no_custom(given["custom_fields"], wanted)


def _no_custom(values: Mapping[str, Any], wanted: Wanted) -> Iterator[Problem]:
    """Each field must be one of some form, with a value that fits it there. Without any form all are free.

    Which form a case has, and whether its fields go together, is only known when the rule fires.
    """
    known: dict[str, list[Any]] = {}
    there_are = False
    for form in CaseTypeForm.objects.all():
        there_are = True
        for name, schema in form.schema.get("properties", {}).items():
            known.setdefault(name, []).append(schema)
    hidden = frozenset() if wanted.saver.may(permissions.VIEW_SENSITIVE) else forms.sensitive_names()
    for name, value in values.items():
        place = "/custom_fields/" + name.replace("~", "~0").replace("/", "~1")
        if name in hidden:
            yield Problem(place, f"Saving this needs {permissions.VIEW_SENSITIVE}.")
        elif there_are and name not in known:
            yield Problem(place, "No form has such a field.")
        elif value is not None and name in known and not any(_fits(one, value) for one in known[name]):
            yield Problem(place, "No form takes such a value in this field.")


def _fits(schema: Any, value: Any) -> bool:
    checker = Draft202012Validator.FORMAT_CHECKER
    return bool(Draft202012Validator(schema, format_checker=checker).is_valid(value))
