"""What hangs on the cases of the large tenant: a task, a document and a running workflow for each.

Who may see these depends on the case, so their lists are as slow as that question, however few rows they
show. One of each is made through the API; the bench multiplies their rows as it does with the cases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp

from tests.bench.client import Client

Multiply = Callable[[str, str, int, dict[str, str]], None]
"""Table, id of the row to copy, how many, and SQL over `n` for what differs."""

_WORKFLOW: dict[str, Any] = {
    "name": "Bench",
    "entity_type": "case",
    "stages": [{"name": "open", "initial": True}, {"name": "closed", "final": True}],
    "transitions": [{"name": "close", "from": ["open"], "to": "closed"}],
}


async def fill(
    client: Client, multiply: Multiply, case: str, cases: int, sql_id: Callable[[str], str]
) -> None:
    """`sql_id(prefix)` is SQL for the id of row `n`; the cases' prefix is d0."""
    own = {"created_at": f"now() - ({cases} - n) * interval '35 seconds'", "updated_at": "now()"}
    task = await client.post("tasks/", {"title": "Call back", "case": case})
    multiply("tasks_task", task["id"], cases, {**own, "id": sql_id("e0"), "case_id": sql_id("d0")})
    form = aiohttp.FormData({"case": case})
    form.add_field("file", b"hello", filename="a.txt", content_type="text/plain")
    document = await client.post("documents/", form)
    multiply(
        "documents_document", document["id"], cases, {**own, "id": sql_id("f0"), "case_id": sql_id("d0")}
    )
    workflow = await client.post("workflows/", _WORKFLOW)
    await client.post(f"workflows/{workflow['id']}/publish/", {})
    started = await client.post("workflows/instances/", {"workflow": workflow["id"], "entity_id": case})
    changed = {**own, "id": sql_id("a1"), "entity_id": sql_id("d0")}
    multiply("workflows_workflowinstance", started["id"], cases, changed)
