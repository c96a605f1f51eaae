"""Whatever is done to an instance, in whatever order: it stays in a stage of its version, skips no approval,
and its history tells where it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.web.kit_workflows import ACTOR, made, thing, things
from web.shared.api.problems import Conflict, Forbidden, Invalid
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.viewer import Viewer, everything
from web.tenant.workflows import definition, queries, running, services
from web.tenant.workflows.choices import ApprovalStatus, StepKind
from web.tenant.workflows.models import Workflow, WorkflowInstance, WorkflowVersion

__all__ = ["things"]
pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("things")]

NAMES = ("a", "b", "c", "d")
WAYS = tuple(f"w{number}" for number in range(6))


@st.composite
def charts(draw: Any) -> dict[str, Any]:
    """Stages and transitions of a workflow, which may or may not be fit to publish."""
    count = draw(st.integers(2, 4))
    stages = [{"name": name, "initial": index == 0, "final": index == count - 1}
              for index, name in enumerate(NAMES[:count])]  # fmt: skip
    place = st.sampled_from(NAMES[:count])
    # A chain that makes every chart fit, and more ways at will.
    chain = [([NAMES[index]], NAMES[index + 1]) for index in range(count - 1)]
    more = draw(st.lists(st.tuples(st.lists(place, min_size=1, max_size=3, unique=True), place), max_size=3))
    transitions = []
    for name, (start, end) in zip(WAYS, [*chain, *more], strict=False):
        one: dict[str, Any] = {"name": name, "from": start, "to": end}
        if draw(st.booleans()):
            one["approval"] = {"approvers": draw(st.integers(1, 2))}
        if draw(st.integers(0, 3)) == 0:
            one["guard"] = {"var": "thing.active"}
        transitions.append(one)
    return {"stages": stages, "transitions": transitions}


_KINDS = ("move", "move", "move", "approve", "approve", "approve", "reject", "switch", "publish", "migrate")
_acts = st.tuples(st.sampled_from(_KINDS), st.integers(0, 5), st.integers(0, 2))


def check(instance: WorkflowInstance, reached: Counter[str]) -> None:
    """What must hold at any moment."""
    chart = definition.definition_of(instance.version)
    assert instance.current_stage in chart.by_stage
    steps = list(instance.history.select_related("version", "approval").order_by("number"))
    assert queries.folded_stage(steps) == instance.current_stage and len(steps) == instance.steps
    assert (instance.completed_at is not None) == chart.is_final(instance.current_stage)
    reached["completed"] += instance.completed_at is not None
    assert instance.approvals.filter(status=ApprovalStatus.PENDING).count() <= 1
    for step in steps:
        if step.kind != StepKind.TRANSITION:
            continue
        taken = definition.definition_of(step.version).by_transition[step.name]
        assert step.from_stage in taken["from"] and step.to_stage == taken["to"]
        if "approval" not in taken:
            assert step.approval is None
            continue
        request = step.approval
        assert request is not None and request.status == ApprovalStatus.APPROVED
        voters = set(request.votes.filter(approved=True).values_list("user_id", flat=True))
        assert len(voters) == taken["approval"]["approvers"] and request.requested_by not in voters


def test_no_sequence_of_acts_leads_astray(tenant, make_user):
    people = [make_user("supervisor").pk for _ in range(3)]
    scopes = everything().scopes
    viewer = Viewer(None, {code: scope for code, scope in scopes.items() if code != running.SELF_APPROVE})
    reached: Counter[str] = Counter()

    # Without shrinking: against a database that takes minutes, and the acts are few enough to read.
    @settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(charts(), charts(), st.lists(_acts, min_size=4, max_size=20))
    def walk(first: Any, second: Any, acts: Any) -> None:
        row, on = made(**first), thing()
        services.workflow_publish(actor=ACTOR, viewer=everything(), workflow=row)
        instance = running.instance_start(mover=running.Mover(ACTOR), workflow=row, entity_id=on.pk)
        pending = [second]
        for act, number, who in acts:
            mover = running.Mover(Actor(ActorKind.USER, id=people[who]), viewer)
            before = WorkflowInstance.objects.get(pk=instance.pk)
            try:
                do(act, number, mover, before, row, on, pending)
                reached[act] += 1
            except (Conflict, Forbidden, Invalid) as refused:
                reached[f"{act}: {type(refused).__name__}"] += 1
                after = WorkflowInstance.objects.get(pk=instance.pk)
                assert (after.current_stage, after.steps) == (before.current_stage, before.steps)
            after = WorkflowInstance.objects.get(pk=instance.pk)
            assert after.version_id == before.version_id or act == "migrate"
            check(after, reached)

    walk()
    # A walk that never gets there proves nothing.
    for wanted in (
        "move",
        "approve",
        "publish",
        "migrate",
        "completed",
        "approve: Conflict",
        "move: Conflict",
    ):
        assert reached[wanted], reached


def do(act: str, number: int, mover: Any, instance: Any, row: Workflow, on: Any, pending: list[Any]) -> None:
    if act == "move":
        chart = definition.definition_of(instance.version)
        ways = [*chart.leaving(instance.current_stage), *chart.transitions]
        name = ways[number % len(ways)]["name"]
        running.instance_move(mover=mover, instance=instance, transition=name)
    elif act == "approve":
        running.instance_approve(mover=mover, instance=instance)
    elif act == "reject":
        running.instance_reject(mover=mover, instance=instance)
    elif act == "switch":
        type(on).objects.filter(pk=on.pk).update(is_active=number % 2 == 0)
    elif act == "publish" and pending:
        services.workflow_update(actor=ACTOR, workflow=row, values=pending.pop())
        services.workflow_publish(actor=ACTOR, viewer=everything(), workflow=row)
    elif act == "migrate":
        newest = WorkflowVersion.objects.filter(workflow=row).latest("number")
        stage = NAMES[number % len(NAMES)]
        running.instance_migrate(
            mover=mover, instance=instance, version=newest, stage_map=dict.fromkeys(NAMES, stage)
        )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(NAMES)},
            optional={"initial": st.booleans(), "final": st.booleans(), "on_timeout": st.sampled_from(WAYS)},
        ),
        max_size=5,
    ),
    st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(WAYS),
                "from": st.lists(st.sampled_from((*NAMES, "x")), min_size=1, max_size=3),
                "to": st.sampled_from((*NAMES, "x")),
            }
        ),
        max_size=5,
    ),
)
def test_any_graph_is_judged_and_what_is_passed_can_run_to_an_end(tenant, stages, transitions):
    row = Workflow(entity_type="thing", stages=stages, transitions=transitions, actions=[])
    if definition.problems(row, everything()):
        return
    chart = definition.definition_of(row)
    assert chart.initial in chart.by_stage and len(chart.by_stage) == len(stages)
    for stage in chart.by_stage:
        seen, edge = {stage}, {stage}
        while edge:
            edge = {one["to"] for name in edge for one in chart.leaving(name)} - seen
            seen |= edge
        assert any(chart.is_final(name) for name in seen)
