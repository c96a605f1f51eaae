"""From tables to what the daemon is given: policy and roster.

`publish_policy` and `publish_roster` run in the transaction of the change that made them necessary, after it.
A lock per tenant and kind is taken before the tables are read, so that of two changes at once the later
publication has seen both.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from telephony.contract.ids import AgentId, Endpoint, NumberId, QueueId
from telephony.contract.ids import TenantId as ContractTenantId
from telephony.contract.policy import FallbackKind, InboundNumber, QueuePolicy, Strategy
from telephony.contract.roster import Device, DeviceKind, RosterRow
from web.shared.accounts.models import TenantMembership
from web.shared.core import published
from web.shared.core.actor import Actor, system
from web.shared.tenants.context import current_tenant_id, tenant_context
from web.tenant.calls import asked_skills
from web.tenant.calls.models import AgentDevice, CallQueue, NumberRoute, QueueMembership


def publish_policy(actor: Actor) -> None:
    """Publish the queues and numbers as they are now in the tables of the tenant chosen."""
    tenant = _tenant()
    _one_at_a_time(tenant, "policy")
    queues = [queue_policy(queue) for queue in _active_queues()]
    routes = NumberRoute.objects.filter(queue__is_active=True).order_by("trunk", "number")
    numbers = [inbound_number(route) for route in routes]
    try:
        published.publish_policy(
            tenant, numbers=numbers, queues=queues, actor=str(actor.user_id or actor.process)
        )
    except published.Unfit as unfit:
        raise ValidationError(unfit.problems) from None


def publish_everything(tenant_id: str) -> None:
    """Publish policy and every roster row of a tenant anew; what is the same makes no new version."""
    with tenant_context(tenant_id), transaction.atomic():
        publish_policy(system("policy_publish"))
        users = set(AgentDevice.all_objects.values_list("user", flat=True))
        users |= set(QueueMembership.all_objects.values_list("user", flat=True))
        publish_rosters(users)


def publish_roster(user_id: uuid.UUID) -> None:
    """Publish one agent's row: queues, devices, and whether they are a member at all."""
    tenant = _tenant()
    _one_at_a_time(tenant, f"roster {user_id}")
    published.publish_roster(roster_row(tenant, user_id))


def publish_rosters(users: Iterable[uuid.UUID]) -> None:
    for user_id in sorted(set(users)):
        publish_roster(user_id)


def _active_queues() -> Iterable[CallQueue]:
    return CallQueue.objects.filter(is_active=True).select_related("hours").order_by("pk")


def queue_policy(queue: CallQueue) -> QueuePolicy:
    return QueuePolicy(
        queue=QueueId(str(queue.pk)),
        name=queue.name,
        strategy=Strategy(queue.strategy),
        ring_seconds=queue.ring_seconds,
        max_wait_seconds=queue.max_wait_seconds,
        priority=queue.priority,
        wrap_up_seconds=queue.wrap_up_seconds,
        wrap_up_extend_seconds=queue.wrap_up_extend_seconds,
        wrap_up_extensions=queue.wrap_up_extensions,
        music=queue.music,
        fallback=FallbackKind(queue.fallback),
        hours=None if queue.hours is None else queue.hours.as_hours(),
    )


def inbound_number(route: NumberRoute) -> InboundNumber:
    return InboundNumber(
        number=NumberId(str(route.pk)),
        trunk=route.trunk,
        dialled=route.number,
        queue=QueueId(str(route.queue_id)),
    )


def roster_row(tenant: str, user_id: uuid.UUID) -> RosterRow:
    """The row of this user; its version is set when it is published."""
    active = TenantMembership.objects.filter(
        user_id=user_id, tenant_id=tenant, is_active=True, user__is_active=True
    ).exists()
    members = list(
        QueueMembership.objects.filter(user_id=user_id, queue__is_active=True, queue__is_deleted=False)
    )
    served = asked_skills.served_by(user_id, [row.queue_id for row in members])
    memberships = sorted(
        (QueueId(str(row.queue_id)), row.penalty) for row in members if row.queue_id in served
    )
    return RosterRow(
        tenant=ContractTenantId(tenant),
        agent=AgentId(str(user_id)),
        version=0,
        active=active,
        memberships=tuple(memberships),
        devices=tuple(_devices(user_id)),
    )


def _devices(user_id: uuid.UUID) -> Iterable[Device]:
    for row in AgentDevice.objects.filter(user_id=user_id).order_by("pk"):
        yield Device(
            endpoint=Endpoint(row.endpoint),
            kind=DeviceKind(row.kind),
            digest=row.digest,
            desktop_required=row.desktop_required,
        )


def _tenant() -> str:
    tenant = current_tenant_id()
    if tenant is None:
        raise RuntimeError("Publishing needs a tenant: use tenant_context().")
    return tenant


def _one_at_a_time(tenant: str, what: str) -> None:
    number = int.from_bytes(
        hashlib.sha256(f"publish {tenant} {what}".encode()).digest()[:8], "big", signed=True
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
