"""Writes about queues, numbers, memberships and devices; each publishes what changed.

Everything here is one transaction: check, change, audit, publish. A device's secret is made here, given back
once and never stored: the table and the daemon have the digest that SIP's digest authentication needs.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from telephony.contract.roster import DeviceKind
from web.shared.accounts.models import TenantMembership
from web.shared.api.problems import Conflict
from web.shared.core import audit
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.tenants.context import current_tenant_id
from web.shared.tenants.models import InboundNumber
from web.tenant.calls import asked_skills
from web.tenant.calls.models import AgentDevice, CallQueue, NumberRoute, QueueMembership
from web.tenant.calls.publishing import publish_policy, publish_roster, publish_rosters

REALM = "asterisk"


# --- queues ---------------------------------------------------------------------------------------------


def queue_create(*, actor: Actor, values: Mapping[str, Any]) -> CallQueue:
    """`values["skills"]`, when given, is what the queue asks for: [{skill, least_level}]."""
    own = dict(values)
    wanted = own.pop("skills", [])
    with transaction.atomic():
        queue = base.create(CallQueue, actor=actor, values=own)
        asked_skills.replace(queue, wanted)
        publish_policy(actor)
    return queue


def queue_update(*, actor: Actor, queue: CallQueue, values: Mapping[str, Any]) -> CallQueue:
    with transaction.atomic():
        locked = base.lock(CallQueue.objects.all(), pk=queue.pk)
        was_active = locked.is_active
        if values.get("is_active") is False:
            _refuse_when_numbers_lead_here(locked)
        own = dict(values)
        wanted = own.pop("skills", None)
        base.update(locked, actor=actor, values=own)
        asks = wanted is not None and asked_skills.replace(locked, wanted)
        if asks:
            # The list is part of what If-Match protects.
            locked.save(update_fields=["updated_at"])
            changes = audit.changed_fields(["skills"])
            audit.record(actor=actor, action="update", obj=locked, changes=changes)
        publish_policy(actor)
        if asks or locked.is_active != was_active:
            publish_rosters(locked.members.filter(is_deleted=False).values_list("user", flat=True))
    return locked


def queue_delete(*, actor: Actor, queue: CallQueue) -> None:
    """Its members leave; calls and visits keep pointing at the row. Conflict while a number leads to it."""
    with transaction.atomic():
        locked = base.lock(CallQueue.objects.all(), pk=queue.pk)
        _refuse_when_numbers_lead_here(locked)
        members = list(QueueMembership.objects.filter(queue=locked))
        for member in members:
            base.soft_delete(member, actor=actor)
        base.soft_delete(locked, actor=actor)
        publish_policy(actor)
        publish_rosters(member.user_id for member in members)


def _refuse_when_numbers_lead_here(queue: CallQueue) -> None:
    if NumberRoute.objects.filter(queue=queue).exists():
        raise Conflict("A number still leads to this queue. Point it at another queue first.")


# --- who serves a queue -----------------------------------------------------------------------------------


def member_add(*, actor: Actor, queue: CallQueue, user_id: uuid.UUID, penalty: int = 0) -> QueueMembership:
    """Conflict when they serve it already; ValidationError when they are nobody here."""
    require_member(user_id)
    with transaction.atomic():
        if QueueMembership.objects.filter(queue=queue, user_id=user_id).exists():
            raise Conflict("This person serves this queue already.")
        values = {"queue": queue, "user_id": user_id, "penalty": penalty}
        member = base.create(QueueMembership, actor=actor, values=values)
        publish_roster(user_id)
    return member


def member_update(*, actor: Actor, member: QueueMembership, values: Mapping[str, Any]) -> QueueMembership:
    with transaction.atomic():
        locked = base.lock(QueueMembership.objects.all(), pk=member.pk)
        base.update(locked, actor=actor, values=values)
        publish_roster(locked.user_id)
    return locked


def member_remove(*, actor: Actor, member: QueueMembership) -> None:
    with transaction.atomic():
        base.soft_delete(member, actor=actor)
        publish_roster(member.user_id)


# --- numbers ----------------------------------------------------------------------------------------------


def number_add(*, actor: Actor, values: Mapping[str, Any]) -> NumberRoute:
    """A number of ours on a trunk. Conflict when it is taken; by whom is not said."""
    tenant = str(current_tenant_id())
    with transaction.atomic():
        route = base.create(NumberRoute, actor=actor, values=values)
        try:
            with transaction.atomic():
                InboundNumber.objects.create(trunk=route.trunk, number=route.number, tenant_id=tenant)
        except IntegrityError:
            raise Conflict("This number is taken on this trunk.") from None
        publish_policy(actor)
    return route


def number_update(*, actor: Actor, route: NumberRoute, values: Mapping[str, Any]) -> NumberRoute:
    """Only where it leads and its label may change; another number is another row."""
    with transaction.atomic():
        locked = base.lock(NumberRoute.objects.all(), pk=route.pk)
        base.update(locked, actor=actor, values=values)
        publish_policy(actor)
    return locked


def number_remove(*, actor: Actor, route: NumberRoute) -> None:
    with transaction.atomic():
        base.soft_delete(route, actor=actor)
        InboundNumber.objects.filter(
            trunk=route.trunk, number=route.number, tenant_id=current_tenant_id()
        ).delete()
        publish_policy(actor)


# --- devices ----------------------------------------------------------------------------------------------


def shift_credentials(*, actor: Actor, user_id: uuid.UUID) -> tuple[str, str]:
    """(endpoint, secret) of the user's browser phone, with a new secret; the old one is dead from now on.

    The digest reaches Asterisk with the roster row that is published here.
    """
    require_member(user_id)
    secret = new_secret()
    with transaction.atomic():
        device = (
            AgentDevice.objects.select_for_update()
            .filter(user_id=user_id, kind=DeviceKind.BROWSER.value)
            .first()
        )
        if device is None:
            device = _device(actor, user_id, DeviceKind.BROWSER, secret, {})
        else:
            base.update(device, actor=actor, values={"digest": digest_of(device.endpoint, secret)})
        publish_roster(user_id)
    return device.endpoint, secret


def sip_device_create(
    *, actor: Actor, user_id: uuid.UUID, secret: str = "", **values: Any
) -> tuple[AgentDevice, str]:
    """(device, secret) of a new SIP phone; without a `secret` one is made. The only time it can be seen."""
    require_member(user_id)
    secret = secret or new_secret()
    with transaction.atomic():
        device = _device(actor, user_id, DeviceKind.SIP, secret, values)
        publish_roster(user_id)
    return device, secret


def device_update(*, actor: Actor, device: AgentDevice, values: Mapping[str, Any]) -> AgentDevice:
    with transaction.atomic():
        locked = base.lock(AgentDevice.objects.all(), pk=device.pk)
        base.update(locked, actor=actor, values=values)
        publish_roster(locked.user_id)
    return locked


def device_remove(*, actor: Actor, device: AgentDevice) -> None:
    with transaction.atomic():
        base.soft_delete(device, actor=actor)
        publish_roster(device.user_id)


def new_secret() -> str:
    """192 bits, in characters that every phone's keypad or web page takes."""
    return secrets.token_urlsafe(24)


def digest_of(endpoint: str, secret: str) -> str:
    """MD5(user ':' realm ':' secret): what SIP's digest authentication is made of, weak as it is."""
    said = f"{endpoint}:{REALM}:{secret}".encode()
    return hashlib.md5(said, usedforsecurity=False).hexdigest()


def _device(
    actor: Actor, user_id: uuid.UUID, kind: DeviceKind, secret: str, values: Mapping[str, Any]
) -> AgentDevice:
    endpoint = "d" + secrets.token_hex(6)
    return base.create(
        AgentDevice,
        actor=actor,
        values={
            **values,
            "user_id": user_id,
            "kind": kind.value,
            "endpoint": endpoint,
            "digest": digest_of(endpoint, secret),
        },
    )


def require_member(user_id: uuid.UUID) -> None:
    members = TenantMembership.objects.filter(
        user_id=user_id, tenant_id=current_tenant_id(), is_active=True, user__is_active=True
    )
    if not members.exists():
        raise ValidationError({"user": ValidationError("Nobody here has this id.", code="does_not_exist")})
