"""What the walk of bola.py needs to know of each app: how to make a row, and which row an id names.

    BOLA_ROWS["cases:case"] = lambda world: world.post("/api/v1/cases/", {"title": "A case"})
    PATHS[("calls:member-list", "queue")] = "calls:queue"  # an id in a path, where it is not the route's own
    FIELDS[("*", "contact")] = "contacts:contact"  # an id in a body or a query; "" names no row
    BODIES["calls:call-detail"] = {...}  # a body, or function of the world, where the smallest will not do

A factory runs inside its tenant and gets the World: `world.post`, `world.user`, `world.row` of another kind.
"""

from __future__ import annotations

import uuid
from typing import Any

from tests.web.kit_calls import Script, whole_call
from web.shared.core.actor import system

ACTOR = system("tests")
V1 = "/api/v1"


def _call(world: Any) -> str:
    from web.tenant.calls import intake

    script = Script(world.tenant.pk)
    made = whole_call(
        script, 0, party=str(uuid.uuid4()), queue=world.row("calls:queue"), agent=str(world.user("agent").pk)
    )
    intake.take(world.tenant.pk, script.entries)
    return str(made.id)


def _number(world: Any) -> str:
    number = f"+2547{sum(world.tenant.pk.encode()):08d}"
    body = {"trunk": "trunk", "number": number, "queue": world.row("calls:queue")}
    return str(world.post(f"{V1}/calls/numbers/", body))


def _member(world: Any) -> str:
    """A member of a queue is named by their user."""
    url = f"{V1}/calls/queues/{world.row('calls:queue')}/members/"
    return str(world.post(url, {"user": str(world.user("agent").pk)}))


BOLA_ROWS: dict[str, Any] = {
    "user": lambda world: world.user("agent").pk,
    "api-keys:key": lambda world: world.post(f"{V1}/api-keys/", {"name": "A", "scopes": ["contacts.view"]}),
    "contacts:contact": lambda world: world.post(f"{V1}/contacts/", {"first_name": "Amina"}),
    "calls:call": _call,
    "calls:queue": lambda world: world.post(f"{V1}/calls/queues/", {"name": "Help"}),
    "calls:disposition": lambda world: world.post(
        f"{V1}/calls/dispositions/", {"code": "walked", "name": "Walked"}
    ),
    "calls:reason": lambda world: world.post(
        f"{V1}/calls/not-ready-reasons/", {"code": "walk", "name": "Walk"}
    ),
    "calls:device": lambda world: world.post(f"{V1}/calls/devices/", {"user": str(world.user("agent").pk)}),
    "calls:member": _member,
    "calls:number": _number,
}

PATHS: dict[tuple[str, str], str] = {
    ("*", "queue"): "calls:queue",
}

FIELDS: dict[tuple[str, str], str] = {
    ("*", "user"): "user",
    ("*", "agent"): "user",
    ("*", "assigned_to"): "user",
    ("*", "created_by"): "user",
    ("*", "contact"): "contacts:contact",
    ("*", "call"): "calls:call",
    ("*", "queue"): "calls:queue",
}

BODIES: dict[str, dict[str, Any]] = {}

# Routes that are not walked, each with its reason.
UNWALKED: dict[str, str] = {
    "calls:call-draft": "a draft may be older than its call's row: any id opens one's own, empty drawer",
}
