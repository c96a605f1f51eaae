"""What reading costs is known, and does not grow with the number of rows: query_counts.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.web import many_rows, query_counts, query_rows
from tests.web.bola import World, undone
from tests.web.query_counts import Cost, Reading

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.redis, pytest.mark.timeout(600)]

ADMIN, AGENT = "admin", "agent"
Costs = dict[tuple[str, str], Cost]


@pytest.fixture
def world(tenants, make_user, api) -> World:
    found = World(tenants[0], make_user, api)
    for role in (ADMIN, AGENT):
        found.client(role)
    return found


def asked(role: str) -> list[Reading]:
    """The administrator reads everything; an agent, whose scopes are narrower, what needs no id."""
    return [one for one in query_counts.readings() if role == ADMIN or not one.operation.params]


def costs(world: World, cost: Callable[[Any, str], Cost]) -> Costs:
    return {
        (role, reading.name): cost(world.client(role), reading.url(world))
        for role in (ADMIN, AGENT)
        for reading in asked(role)
    }


def test_reading_costs_what_is_pinned_however_many_rows_there_are(world: World) -> None:
    missing = query_counts.make_rows(world)
    assert not missing, "\n".join(missing)
    with undone():
        few = costs(world, query_counts.cost_of_few)
        many_rows.multiply(world.tenant.pk)
        many = costs(world, query_counts.cost)
    wrong = [*unanswered(many), *grown(few, many), *not_multiplied(few, many)]
    counts: dict[str, dict[str, int]] = {ADMIN: {}, AGENT: {}}
    for (role, name), cost in many.items():
        if role == ADMIN or cost.status == 200:
            counts[role][name] = len(cost.statements)
    if os.environ.get("MURIMA_WRITE_QUERY_COUNTS"):
        query_counts.pin(counts)
    wrong += differing(counts, query_counts.pinned())
    assert not wrong, "\n".join(wrong)


def unanswered(many: Costs) -> Iterator[str]:
    for (role, name), cost in many.items():
        expected = query_rows.ANSWERS.get(name, 200)
        if (role == ADMIN and cost.status != expected) or cost.status not in (200, 403, expected):
            yield f"{name} as {role}: answers {cost.status}"


def grown(few: Costs, many: Costs) -> Iterator[str]:
    """Statements that come more often when there is more; one that two rows gave no reason for comes once."""
    for (role, name), cost in many.items():
        before = few[role, name]
        for shape, times in cost.shapes.items():
            if times > max(before.shapes[shape], 1):
                rows = f"{before.rows} rows, {times} times for {cost.rows}"
                yield f"{name} as {role}: {before.shapes[shape]} times for {rows}: {shape[:900]}"


def not_multiplied(few: Costs, many: Costs) -> Iterator[str]:
    """A list that did not grow has shown nothing."""
    for (role, name), cost in many.items():
        stays = name.partition("?")[0] in query_rows.STATIC
        if role == ADMIN and cost.rows >= 0 and stays != (cost.rows <= few[role, name].rows):
            yield f"{name}: {few[role, name].rows} rows became {cost.rows}; STATIC says {stays}"


def differing(counts: dict[str, dict[str, int]], pinned: dict[str, dict[str, int]]) -> Iterator[str]:
    for role in sorted(counts.keys() | pinned.keys()):
        found, said = counts.get(role, {}), pinned.get(role, {})
        for name in sorted(found.keys() | said.keys()):
            if found.get(name) != said.get(name):
                yield f"{name} as {role}: {found.get(name)} statements, pinned are {said.get(name)}"


def test_a_statement_for_each_row_is_told_and_a_longer_list_of_ids_is_not() -> None:
    def said(*ids: int) -> Cost:
        listed = ", ".join(f"'{one}'::uuid" for one in ids)
        return Cost([f"SELECT a FROM b WHERE c IN ({listed})"], 200, len(ids))

    each = Cost([f"SELECT a FROM b WHERE c = {one}" for one in range(7)], 200, 7)
    key = (ADMIN, "a:b-list")
    assert not list(grown({key: said(1, 2)}, {key: said(*range(7))}))
    assert len(list(grown({key: said(1, 2)}, {key: each}))) == 1
    assert len(list(differing({ADMIN: {"a:b-list": 3}}, {ADMIN: {}}))) == 1
    assert len(list(not_multiplied({key: said(1, 2)}, {key: said(3, 4)}))) == 1
