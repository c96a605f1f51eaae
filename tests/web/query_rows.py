"""What the walk of query_counts.py needs to know beside bola_rows.py: rows that no walk with ids needs, and
which lists cannot grow."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.utils import timezone

from tests.web.bola import World
from web.shared.tenants.context import public_context

V1 = "/api/v1"


def _new(world: World, model: str, **values: Any) -> None:
    manager: Any = apps.get_model(model)._default_manager
    manager.create(**values)


def _changed(world: World, url: str, body: dict[str, Any], method: str = "patch") -> None:
    answer = getattr(world.client(), method)(f"{V1}/{url}", body, HTTP_IF_MATCH="*")
    assert answer.status_code in (200, 201), (url, answer.content)


def _asked_with_key(world: World) -> None:
    with public_context():
        _new(
            world, "api.APIRequestLog", tenant_id=world.tenant.pk, api_key_id=world.row("api-keys:key"),
            endpoint="x", method="GET", status_code=200, response_time=timedelta(milliseconds=9),
        )  # fmt: skip


def _passkey(world: World) -> None:
    from web.shared.tenants.services import host_of

    for slug in ("mto", "ziwa"):
        with public_context():
            _new(
                world, "accounts.Authenticator", user=world.user(), kind="passkey", name="A",
                host=host_of(slug), credential_id=slug.encode(), public_key=b"x", confirmed_at=timezone.now(),
            )  # fmt: skip


def _numbers(world: World) -> None:
    numbers = [{"number": "+254712000001", "is_primary": True}, {"number": "+254712000002"}]
    _changed(world, f"contacts/{world.row('contacts:contact')}/", {"phones": numbers})


def _field_schema(world: World) -> None:
    _changed(world, "contacts/field-schema/", {"schema": {"type": "object", "properties": {}}}, "put")


def _policy_of_a_type(world: World) -> None:
    body = {"name": "Typed", "business_time": False, "resolution_minutes": 600}
    world.post(f"{V1}/cases/sla-policies/", body | {"case_type": world.row("reference_data:case-category")})


def _handed_over(world: World) -> None:
    """One person's part that is over: an open one there is only once."""
    for user in (str(world.user("agent").pk), None):
        conversation = world.row("communications:conversation")
        _changed(world, f"communications/conversations/{conversation}/assign/", {"user": user}, "post")


def _run(world: World) -> None:
    _new(
        world, "workflows.RuleRun", rule_id=world.row("workflows:rule"), rule_version=1,
        event_id=uuid.uuid4(), event_type="case.updated", entity_type="case",
        entity_id=world.row("cases:case"), outcome="fired",
    )  # fmt: skip


# Route → makes a row that it shows, of this world.
ALSO: dict[str, Any] = {
    "api-keys:key-requests": _asked_with_key,
    "auth:mfa-passkeys": _passkey,
    "calls:call-transfers": lambda world: _new(
        world, "calls.CallTransfer", call_id=world.row("calls:call"), transfer_type="blind",
        target_kind="outside",
    ),
    "cases:note-versions": lambda world: _changed(
        world, f"cases/{world.row('cases:case')}/notes/{world.row('cases:note')}/", {"content": "Other"}
    ),
    "cases:party-list": lambda world: world.post(
        f"{V1}/cases/{world.row('cases:case')}/parties/", {"name": "A neighbour", "role": "other"}
    ),
    "cases:sla-policy-list": _policy_of_a_type,
    "communications:conversation-segments": _handed_over,
    "contacts:contact-consents": lambda world: _changed(
        world, f"contacts/{world.row('contacts:contact')}/consents/",
        {"purpose": "contact_by_call", "status": "given", "source": "call"}, "post",
    ),
    "contacts:contact-reachability": _numbers,
    "contacts:field-schema": _field_schema,
    "workflows:instance-approvals": lambda world: _new(
        world, "workflows.ApprovalRequest", instance_id=world.row("workflows:instance"), transition="close",
        status="approved", needed=1,
    ),
    "workflows:rule-runs": _run,
}  # fmt: skip

# What is asked beside the path, where an answer is empty without it.
QUERIES = {"contacts:contact-duplicates": "?name=Amina"}

# What an administrator is answered where it is not 200.
ANSWERS = {
    "jobs:job-errors": 409,  # a job that still waits has no file yet
    "jobs:job-result": 409,
}

# Lists that no number of rows makes longer, each with its reason.
STATIC = {
    "auth:permissions": "what the code declares",
    "cases:case-sla": "a case has at most one clock of each kind",
    "events:event-types": "what the code declares",
    "notifications:triggers": "what the code declares",
    "organization:quotas": "what can be limited",
    "workflows:action-list": "what the code declares",
    "workflows:instance-available": "what the definition allows from one stage",
}
