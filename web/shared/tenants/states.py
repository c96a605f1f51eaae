"""The models as they are between two operations of a migration, computed once and cheaply.

Most of what a migration costs is not its SQL. Before each operation Django makes the classes of every model
anew that is related to the changed one, by whatever way, and here everything is related to everything through
the user. An operation that only adds to one model needs that model's class alone, pointing at what is there:
`NarrowState` renders just this one, and is marked as delayed, which is Django's own word for "render
everything before somebody looks". Any other operation (Python, an altered field, a rename, anything unknown)
gets Django's plain state, rendered in full.

What is computed is kept for the process by the place it belongs to, so that public, the template and two
hundred tenants, which are at the same place nearly always, share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.migrations import operations as ops
from django.db.migrations.state import ProjectState

Place = frozenset[tuple[str, str]]
"""The migrations that a state comes from."""

ADDITIVE = frozenset(
    {ops.CreateModel, ops.AddField, ops.AddIndex, ops.RemoveIndex, ops.AddConstraint, ops.RemoveConstraint}
)
"""Exactly these: a subclass may do more."""


class NarrowState(ProjectState):
    """A state that renders only the model that was changed."""

    def __init__(self, models: Any = None, real_apps: Any = None, place: Place = frozenset()) -> None:
        super().__init__(models, real_apps)
        self.place = place

    @classmethod
    def of(cls, state: ProjectState, place: Place) -> NarrowState:
        return cls(dict(state.models), state.real_apps, place)

    def clone(self) -> NarrowState:
        new = NarrowState({key: one.clone() for key, one in self.models.items()}, self.real_apps, self.place)
        return self._with_classes(new)

    def fork(self, key: tuple[str, str] | None = None) -> NarrowState:
        """A clone of which only this model will be changed; the others are the same objects."""
        new = NarrowState(dict(self.models), self.real_apps, self.place)
        if key in new.models:
            new.models[key] = new.models[key].clone()
        return self._with_classes(new)

    def _with_classes(self, new: NarrowState) -> NarrowState:
        if "apps" in self.__dict__:
            new.apps = self.apps.clone()
        new.is_delayed = self.is_delayed
        return new

    def plain(self) -> ProjectState:
        """The same state as Django would have it."""
        return ProjectState({key: one.clone() for key, one in self.models.items()}, self.real_apps)

    def reload_model(self, app_label: str, model_name: str, delay: bool = False) -> None:
        if "apps" in self.__dict__:
            self.is_delayed = True
            self._reload({(app_label, model_name)})  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with the states around it."""

    operation: Any
    before: ProjectState
    after: ProjectState


_states: dict[Place, NarrowState] = {}
_steps: dict[tuple[Place, tuple[str, str]], tuple[list[Step], NarrowState]] = {}


def state_at(place: Place, compute: Any) -> NarrowState:
    """The state at a place, computed by `compute()` the first time."""
    if place not in _states:
        _states[place] = NarrowState.of(compute(), place)
    return _states[place]


def steps_of(migration: Any, state: NarrowState) -> tuple[list[Step], NarrowState]:
    """What a migration does to a state, operation by operation, and the state after it."""
    name = (migration.app_label, migration.name)
    key = (state.place, name)
    if key not in _steps:
        steps = []
        for operation in migration.operations:
            steps.append(_step(migration.app_label, operation, state))
            state = _narrow(steps[-1].after, state.place)
        after = state.fork()
        after.place = state.place | {name}
        _steps[key] = (steps, after)
    return _steps[key]


def _step(app: str, operation: Any, state: NarrowState) -> Step:
    before: ProjectState = state
    if type(operation) in ADDITIVE:
        _ = state.apps  # rendered in full when it is not yet, so that what follows needs one class at a time
        changed = operation.name if isinstance(operation, ops.CreateModel) else operation.model_name
        after: ProjectState = state.fork((app, changed.lower()))
    else:
        before = state.plain()
        after = before.clone()
    operation.state_forwards(app, after)
    return Step(operation, before, after)


def _narrow(state: ProjectState, place: Place) -> NarrowState:
    return state if isinstance(state, NarrowState) else NarrowState.of(state, place)
