"""Writing workflows and business rules: drafts, versions, and what they may contain.

A draft may be half done; publishing looks at everything (definition.problems) and copies it into the next
version, which running instances of older ones never notice. A rule is checked whole each time it is saved,
because it works from that moment on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from telephony.contract import conditions
from telephony.contract.conditions import Problem
from web.shared.api.problems import Conflict, FieldError, Invalid
from web.shared.core import audit, entities, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.core.viewer import Viewer
from web.tenant.workflows import actions, definition
from web.tenant.workflows.choices import WorkflowStatus
from web.tenant.workflows.models import BusinessRule, Workflow, WorkflowInstance, WorkflowVersion

MAX_TRIGGERS = 20
DOES = ("entity_type", "triggers", "conditions", "actions")
"""The fields of a rule whose change makes a new version of it."""


def workflow_create(*, actor: Actor, values: Mapping[str, Any]) -> Workflow:
    """A draft; Invalid names what has not the form of a workflow."""
    _refuse(definition.draft_problems(Workflow(**values)))
    return base.create(Workflow, actor=actor, values=values)


def workflow_update(*, actor: Actor, workflow: Workflow, values: Mapping[str, Any]) -> Workflow:
    """Change the draft. Published versions stay as they are."""
    with transaction.atomic():
        locked = base.lock(Workflow.objects.all(), pk=workflow.pk)
        if locked.version and values.get("entity_type", locked.entity_type) != locked.entity_type:
            raise _invalid("/entity_type", "immutable", "A published workflow keeps its kind of entity.")
        parts = {
            name: values.get(name, getattr(locked, name)) for name in ("stages", "transitions", "actions")
        }
        _refuse(definition.draft_problems(Workflow(**parts)))
        return base.update(locked, actor=actor, values=values)


def workflow_delete(*, actor: Actor, workflow: Workflow) -> Workflow:
    """Conflict while instances of it run."""
    with transaction.atomic():
        locked = base.lock(Workflow.objects.all(), pk=workflow.pk)
        running = WorkflowInstance.objects.filter(workflow=locked, completed_at=None).count()
        if running:
            raise Conflict("Instances of it are running. Retire it instead.", running=running)
        return base.soft_delete(locked, actor=actor)


def workflow_publish(*, actor: Actor, viewer: Viewer, workflow: Workflow) -> WorkflowVersion:
    """The draft becomes the newest version. Invalid names everything that is wrong with it for `viewer`."""
    with transaction.atomic():
        locked = base.lock(Workflow.objects.all(), pk=workflow.pk)
        _refuse(definition.problems(locked, viewer))
        newest = locked.versions.filter(number=locked.version).first()
        parts = {"stages": locked.stages, "transitions": locked.transitions, "actions": locked.actions}
        published = locked.status == WorkflowStatus.PUBLISHED
        if (
            published
            and newest is not None
            and all(getattr(newest, name) == value for name, value in parts.items())
        ):
            raise Conflict("The draft is the newest version already.", version=locked.version)
        locked.version += 1
        version = WorkflowVersion.objects.create(
            workflow=locked, number=locked.version, published_by_id=actor.user_id, **parts
        )
        locked.status = WorkflowStatus.PUBLISHED
        _changed(locked, actor, "publish", "workflow.published", version=locked.version)
    return version


def workflow_retire(*, actor: Actor, workflow: Workflow) -> Workflow:
    """Start no more of it; what runs, runs on. Publishing again brings it back."""
    with transaction.atomic():
        locked = base.lock(Workflow.objects.all(), pk=workflow.pk)
        if locked.status != WorkflowStatus.PUBLISHED:
            raise Conflict("Only a published workflow can be retired.")
        locked.status = WorkflowStatus.RETIRED
        _changed(locked, actor, "retire", "workflow.retired")
    return locked


def _changed(workflow: Workflow, actor: Actor, verb: str, event: str, **data: Any) -> None:
    workflow.updated_by_id = actor.user_id
    workflow.save(update_fields=["version", "status", "updated_by"])
    audit.record(actor=actor, action=verb, obj=workflow, changes=data)
    events.emit(event, obj=workflow, actor=actor, data=data)


def defaults_load(actor: Actor) -> int:
    """One workflow to begin with, a draft for cases; nothing when there was ever one of its name."""
    from web.tenant.workflows import defaults

    if Workflow.all_objects.filter(name=defaults.NAME).exists():
        return 0
    workflow_create(actor=actor, values=defaults.VALUES)
    return 1


# --- rules --------------------------------------------------------------------------------------------------


def rule_create(*, actor: Actor, viewer: Viewer, values: Mapping[str, Any]) -> BusinessRule:
    """Invalid names what is wrong with it, by pointer; also what `viewer` may not have done by a rule."""
    _refuse(rule_problems(BusinessRule(**values), viewer))
    return base.create(BusinessRule, actor=actor, values=values)


def rule_update(
    *, actor: Actor, viewer: Viewer, rule: BusinessRule, values: Mapping[str, Any]
) -> BusinessRule:
    """Change a rule; its version counts the changes of what it does.

    What it does is only looked at when that changes, or it is switched on: whoever was named in it may be
    gone by now, and then it must still be possible to switch it off.
    """
    with transaction.atomic():
        locked = base.lock(BusinessRule.objects.all(), pk=rule.pk)
        wanted = {name: values.get(name, getattr(locked, name)) for name in DOES}
        changes = any(wanted[name] != getattr(locked, name) for name in DOES)
        if changes or (values.get("is_active") and not locked.is_active):
            _refuse(rule_problems(BusinessRule(**wanted), viewer))
        if changes:
            values = {**values, "version": locked.version + 1}
        return base.update(locked, actor=actor, values=values)


def rule_delete(*, actor: Actor, rule: BusinessRule) -> BusinessRule:
    """Its log stays until its time is over."""
    return base.soft_delete(rule, actor=actor)


def rule_problems(rule: BusinessRule, saver: Viewer) -> list[Problem]:
    """Unknown events, names and actions, conditions that cannot be, and what `saver` may not do."""
    found: list[Problem] = []
    try:
        entities.get(rule.entity_type)
    except entities.UnknownEntity:
        found.append(Problem("/entity_type", f"One of: {', '.join(entities.names())}."))
    if not isinstance(rule.triggers, list) or not 0 < len(rule.triggers) <= MAX_TRIGGERS:
        found.append(Problem("/triggers", f"A list of 1 to {MAX_TRIGGERS} types of events."))
    else:
        found += [
            Problem(f"/triggers/{index}", "There is no such type of event.")
            for index, name in enumerate(rule.triggers)
            if not isinstance(name, str) or name not in events.catalogue
        ]
    known = {f"{rule.entity_type}.*": object, "event.*": object}
    found += [
        Problem(f"/conditions{one.pointer}", one.text) for one in conditions.check(rule.conditions, known)
    ]
    found += actions.check(rule.actions, "/actions", entity_type=rule.entity_type, saver=saver)
    return found


def _refuse(problems: Iterable[Problem]) -> None:
    found = [FieldError(one.pointer, "invalid", one.text) for one in problems]
    if found:
        raise Invalid(errors=found)


def _invalid(pointer: str, code: str, text: str) -> Invalid:
    return Invalid(errors=[FieldError(pointer, code, text)])
