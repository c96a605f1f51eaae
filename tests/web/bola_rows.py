"""What the walk of bola.py needs to know of each app: how to make a row, and which row an id names.

    BOLA_ROWS["cases:case"] = lambda world: world.post("/api/v1/cases/", {"title": "A case"})
    PATHS[("calls:member-list", "queue")] = "calls:queue"  # an id in a path, where it is not the route's own
    FIELDS[("*", "contact")] = "contacts:contact"  # an id in a body or a query; "" names no row
    BODIES["calls:call-detail"] = {...}  # a body, or function of the world, where the smallest will not do

A factory runs inside its tenant and gets the World: `world.post`, `world.user`, `world.row` of another kind.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

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


def _invitation(world: Any) -> str:
    return str(world.post(f"{V1}/auth/invitations/", {"email": "walk@example.org", "role": "agent"}))


def _role(world: Any) -> str:
    """Roles are called by name; the other organisation's has a name that this one does not know."""
    name = f"walk_{world.tenant.pk}"
    body = {"name": name, "display_name": "Walk", "permissions": {"contacts.view": "all"}}
    return str(world.post(f"{V1}/auth/roles/", body))


def _case_merge(world: Any) -> str:
    ids = [world.post(f"{V1}/cases/", {"title": "A", "case_type": _type(world)}) for _ in range(2)]
    answer = world.client().post(f"{V1}/cases/{ids[0]}/merge/", {"into": ids[1]}, HTTP_IF_MATCH="*")
    assert answer.status_code in (200, 201), answer.content
    return str(world.client().get(f"{V1}/cases/merges/").json()["data"][0]["id"])


def _type(world: Any) -> str:
    return str(world.row("reference_data:case-category"))


def _contact_merge(world: Any) -> str:
    ids = [world.post(f"{V1}/contacts/", {"first_name": "A"}) for _ in range(2)]
    answer = world.client().post(f"{V1}/contacts/{ids[0]}/merge/", {"other": ids[1]}, HTTP_IF_MATCH="*")
    assert answer.status_code in (200, 201), answer.content
    return str(world.client().get(f"{V1}/contacts/merges/").json()["data"][0]["id"])


def _document(world: Any) -> str:
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile("a.txt", b"a text", content_type="text/plain")
    answer = world.client().post(f"{V1}/documents/", {"file": file}, format="multipart")
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def _job(world: Any) -> str:
    from web.shared.records.models import Job

    return str(Job.objects.create(kind="contacts.export", created_by=world.user()).pk)


def _notification(world: Any) -> str:
    from django.apps import apps

    model: Any = apps.get_model("notifications", "Notification")
    values = {"title": "A", "notification_type": "task.assigned", "channel": "in_app"}
    return str(model.objects.create(user=world.user(), **values).pk)


def _delivery(world: Any) -> str:
    from django.apps import apps

    model: Any = apps.get_model("records", "WebhookDelivery")
    endpoint = world.row("webhooks:webhook")
    return str(model.objects.create(endpoint_id=endpoint, event_id=uuid.uuid4(), event_type="x").pk)


def _location(world: Any) -> str:
    return str(world.post(f"{V1}/reference-data/locations/", {"name": uuid.uuid4().hex, "type": "state"}))


def _priority(world: Any) -> str:
    levels = [one["level"] for one in world.client().get(f"{V1}/reference-data/priorities/").json()["data"]]
    body = {"name": uuid.uuid4().hex, "level": max(levels, default=0) + 1}
    body |= {"color": "#FF0000", "sla_hours": 2}
    return str(world.post(f"{V1}/reference-data/priorities/", body))


def _category(world: Any) -> str:
    body = {"name": f"x{uuid.uuid4().hex[:12]}", "display_name": "Walk"}
    return str(world.post(f"{V1}/reference-data/categories/", body))


def _item(world: Any) -> str:
    category = world.row("reference_data:category")
    named = world.client().get(f"{V1}/reference-data/categories/{category}/").json()["name"]
    body = {"category": named, "code": uuid.uuid4().hex[:12], "name": "Walk"}
    return str(world.post(f"{V1}/reference-data/items/", body))


def _sign_in(world: Any) -> str:
    """How this organisation's person calls one of their own sign-ins."""
    answer = world.client().get(f"{V1}/auth/sessions/").json()
    return str(answer["data"][0]["id"])


def _passkey(world: Any) -> str:
    """Nobody has one here, and the path is of one's own account alone: any id is as strange as another."""
    return str(uuid.uuid4())


def _published(world: Any) -> str:
    body = BODIES["workflows:workflow-list"] | {"name": uuid.uuid4().hex}
    pk = str(world.post(f"{V1}/workflows/", body))
    answer = world.client().post(f"{V1}/workflows/{pk}/publish/", {}, HTTP_IF_MATCH="*")
    assert answer.status_code in (200, 201), answer.content
    return pk


def _action_run(world: Any) -> str:
    from django.apps import apps

    model: Any = apps.get_model("workflows", "ActionRun")
    values = {"action": "x", "entity_type": "case", "entity_id": world.row("cases:case")}
    return str(model.objects.create(position=0, cause=uuid.uuid4(), **values).pk)


def _audit(world: Any) -> str:
    from web.shared.records.models import AuditEvent

    world.client()
    world.row("contacts:contact")
    return str(AuditEvent.objects.first().pk)  # type: ignore[union-attr]


def _break_glass(world: Any) -> str:
    from web.shared.accounts import break_glass
    from web.shared.accounts.models import User
    from web.shared.tenants.context import public_context

    with public_context():
        email = f"platform@{world.tenant.pk}.example"
        helper = User.objects.filter(email=email).first() or User.objects.create_superuser(email)
        row, _ = break_glass.open_door(
            actor=ACTOR, user=helper, tenant=world.tenant, reason="The walk asks", minutes=5, access="support"
        )
    return str(row.pk)


BOLA_ROWS: dict[str, Any] = {
    "auth:break-glass": _break_glass,
    "calls:skill": lambda world: world.post(f"{V1}/calls/skills/", {"code": "walk", "name": "Walk"}),
    "auth:sign-in": _sign_in,
    "auth:passkey": _passkey,
    "workflows:workflow": _published,
    "workflows:action-run": _action_run,
    "audit:event": _audit,
    "auth:invitation": _invitation,
    "auth:role": _role,
    "cases:merge": _case_merge,
    "contacts:merge": _contact_merge,
    "documents:document": _document,
    "jobs:job": _job,
    "notifications:notification": _notification,
    "webhooks:delivery": _delivery,
    "reference_data:location": _location,
    "reference_data:category": _category,
    "reference_data:item": _item,
    "reference_data:priority": _priority,
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
    ("*", "case_id"): "cases:case",
    ("*", "document"): "documents:document",
    ("*", "task"): "tasks:task",
    ("*", "webhook"): "webhooks:webhook",
    ("*", "user_id"): "user",
    ("notifications:rule-dry-run", "id"): "notifications:rule",
    ("webhooks:webhook-rotate-secret", "id"): "webhooks:webhook",
    ("workflows:rule-dry-run", "id"): "workflows:rule",
    ("communications:template-preview", "id"): "communications:template",
    ("auth:sessions-one", "sign_in"): "auth:sign-in",
    ("auth:mfa-passkey", "passkey"): "auth:passkey",
}

FIELDS: dict[tuple[str, str], str] = {
    ("*", "user"): "user",
    ("*", "agent"): "user",
    ("*", "assigned_to"): "user",
    ("*", "created_by"): "user",
    ("*", "mentions"): "user",
    ("auth:team-list", "members"): "user",
    ("auth:team-detail", "members"): "user",
    ("*", "teams"): "auth:team",
    ("*", "contact"): "contacts:contact",
    ("*", "from_contact"): "contacts:contact",
    ("*", "to_contact"): "contacts:contact#2",
    ("contacts:contact-merge", "other"): "contacts:contact#2",
    ("contacts:contact-duplicates", "except"): "contacts:contact",
    ("*", "group"): "contacts:group",
    ("contacts:group-members", "add"): "contacts:contact",
    # To take out who is not in is no error, whoever it is.
    ("contacts:group-members", "remove"): "",
    ("*", "location"): "reference_data:location",
    ("*", "call"): "calls:call",
    ("*", "source_call"): "calls:call",
    ("*", "queue"): "calls:queue",
    ("*", "skill"): "calls:skill",
    ("*", "hours"): "cases:calendar",
    ("*", "case"): "cases:case",
    ("*", "case_type"): "reference_data:case-category",
    ("*", "form"): "cases:form",
    ("*", "calendar"): "cases:calendar",
    ("cases:case-merge", "into"): "cases:case#2",
    ("cases:case-bulk", "ids"): "cases:case",
    ("cases:link-list", "case"): "cases:case#2",
    ("events:event-list", "object_id"): "contacts:contact",
    ("tasks:bulk-assign", "ids"): "tasks:task",
    ("tasks:bulk-complete", "ids"): "tasks:task",
    ("*", "entity_id"): "cases:case",
    ("*", "channel"): "communications:channel",
    ("*", "conversation"): "communications:conversation",
    ("*", "template"): "communications:template",
    ("*", "attachments"): "documents:document",
    ("*", "workflow"): "workflows:workflow",
    ("audit:event-list", "actor_id"): "user",
    ("*", "depends_on"): "tasks:task#2",
}
for _kind in ("case-category", "category", "item", "location", "priority"):
    FIELDS[(f"reference_data:{_kind}-merge", "into")] = f"reference_data:{_kind}#2"
    for _route in (f"reference_data:{_kind}-list", f"reference_data:{_kind}-detail"):
        FIELDS[(_route, "parent")] = FIELDS[(_route, "under")] = f"reference_data:{_kind}#2"

_WEEK = {"monday": [["08:00", "17:00"]]}
BODIES: dict[str, Any] = {
    "cases:link-list": lambda world: {"case": world.row("cases:case#2"), "link_type": "related"},
    "cases:party-list": lambda world: {"contact": world.row("contacts:contact"), "role": "witness"},
    "cases:calendar-list": {"name": "Walk", "zone": "Africa/Nairobi", "weekly": _WEEK},
    "cases:form-list": lambda world: {
        "case_type": _type(world),
        "schema": {"type": "object", "properties": {}},
    },
    "cases:sla-policy-list": {"name": "Walk", "business_time": False, "resolution_minutes": 600},
    "contacts:contact-list": {"first_name": "Amina"},
    "notifications:rule-list": {
        "name": "Walk",
        "trigger_event": "task.overdue",
        "recipients": ["assignee"],
        "channels": ["in_app"],
        "template": "{{ task.title }}",
    },
    "tasks:reminder-list": {"remind_at": "2099-01-01T08:00:00Z"},
    "tasks:series-list": lambda world: {
        "title": "Walk",
        "recurrence": "FREQ=WEEKLY;BYDAY=MO",
        "starts_at": (timezone.now() + timedelta(days=30)).isoformat(),
    },
    "tasks:task-list": lambda world: {
        "title": "Walk",
        "entity_type": "case",
        "entity_id": world.row("cases:case"),
    },
    "tasks:task-detail": lambda world: {"entity_type": "case", "entity_id": world.row("cases:case")},
    "communications:channel-list": {"name": "Walk", "type": "sms", "configuration": {"sender": "HELP"}},
    "communications:template-list": {"name": "Walk", "channel_type": "sms", "content": "Good day"},
    "workflows:workflow-list": {
        "name": "Walk",
        "entity_type": "case",
        "stages": [{"name": "new", "initial": True}, {"name": "closed", "final": True}],
        "transitions": [{"name": "close", "from": ["new"], "to": "closed"}],
    },
    "workflows:rule-list": {
        "name": "Walk",
        "entity_type": "case",
        "triggers": ["case.updated"],
        "conditions": {"==": [{"var": "case.priority"}, "high"]},
        "actions": [],
    },
    "cases:case-bulk": lambda world: {
        "ids": [world.row("cases:case")],
        "action": "priority",
        "value": "high",
    },
    "webhooks:webhook-list": {"url": "https://hooks.example.com/in", "event_types": ["case.created"]},
}

# Routes that are not walked, each with its reason.
UNWALKED: dict[str, str] = {
    "calls:call-draft": "a draft may be older than its call's row: any id opens one's own, empty drawer",
    "auth:mfa-passkey": "removing asks for one's own password before it looks for anything: any id gets the "
    "same 403; renaming a stranger's has its own test",
    "auth:oidc-start": "a browser's way out to a provider, before anybody is known",
    "auth:oidc-callback": "a browser's way back from a provider, before anybody is known",
    "documents:link": "the path is a signed token; its own tests forge it",
    "jobs:job-file": "the path is a signed token; its own tests forge it",
}

# Work on many rows at once answers 200 and says of each how it went.
REPORTED = frozenset({"cases:case-bulk"})
