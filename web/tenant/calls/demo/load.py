"""Makes the demo's organisations, or leaves them as they are.

Everything goes through the services that people's own clicks use, so policy and roster are published too.
Passwords and the SIP phones' secrets are derived from the deployment's secret key: a second start prints the
same ones, another checkout has others, and none is written anywhere. When the secret key changed, they are
set anew (the organisation remembers a fingerprint of it).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from django.conf import settings
from django.db import transaction

from telephony.contract.roster import DeviceKind
from web.shared.accounts import services as accounts
from web.shared.accounts.onboarding import person_add, tenant_create
from web.shared.accounts.queries import people_of
from web.shared.core import keys
from web.shared.core.actor import system
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import Tenant, TenantStatus
from web.shared.tenants.queries import tenant_by_slug
from web.tenant.calls import services
from web.tenant.calls.demo import world
from web.tenant.calls.models import (
    AgentDevice,
    CallDisposition,
    CallQueue,
    NotReadyReason,
    NumberRoute,
    QueueMembership,
)
from web.tenant.contacts import queries as contacts
from web.tenant.contacts import services as contact_services

ACTOR = system("demo_load")
_MARK = "demo_fingerprint"


def secret_of(purpose: str, *, length: int = 16) -> str:
    """A demo secret: lower-case letters and digits, the same for the same purpose and secret key."""
    digest = hmac.new(settings.SECRET_KEY.encode(), f"murima demo {purpose}".encode(), hashlib.sha256)
    return base64.b32encode(digest.digest()).decode().lower()[:length]


def password_of(person: world.Person) -> str:
    return secret_of(f"password {person.email}", length=12)


def sip_secret_of(person: world.Person) -> str:
    return secret_of(f"sip {person.email}", length=24)


def load() -> list[dict[str, Any]]:
    """Make what is missing; returns the description that `demo_load --json` prints."""
    return [_organisation(one) for one in world.ORGANISATIONS]


def _tenant(one: world.Organisation) -> Tenant:
    """The organisation; a schema that is in use was migrated by whoever started the stack."""
    found = tenant_by_slug(one.slug)
    if found is not None and found.status == TenantStatus.ACTIVE:
        return found
    return tenant_create(actor=ACTOR, slug=one.slug, name=one.name)


def _organisation(one: world.Organisation) -> dict[str, Any]:
    tenant = _tenant(one)
    renewed = tenant.settings.get(_MARK) != secret_of("fingerprint")
    people = {person.email: _person(tenant, person, renewed) for person in one.people}
    keys.ensure(tenant.pk)
    with tenant_context(tenant.pk), transaction.atomic():
        _lists(one)
        queues = [_queue(name) for name, _ in one.queues]
        for queue, (_, number) in zip(queues, one.queues, strict=True):
            _number(queue, number)
        for person in one.people:
            _places(people[person.email], person, queues, renewed)
        for contact in one.contacts:
            _contact(*contact)
        described = _describe(tenant, one, people)
    if renewed:
        with public_context():
            tenant.settings = tenant.settings | {_MARK: secret_of("fingerprint")}
            tenant.save(update_fields=["settings", "updated_at"])
    return described


def _person(tenant: Tenant, person: world.Person, renewed: bool) -> Any:
    password = password_of(person)
    with public_context():
        known = people_of(tenant.pk).filter(user__email=person.email, role__name=person.role).first()
        if known is not None and not renewed:
            return known.user
        user = person_add(
            actor=ACTOR,
            tenant=tenant,
            email=person.email,
            role=person.role,
            name=person.name,
            password=password,
        ).user
        if renewed and not user.check_password(password):
            accounts.password_set(actor=ACTOR, user=user, password=password)
    return user


def _lists(one: world.Organisation) -> None:
    for place, (code, name, category) in enumerate(one.dispositions):
        if not CallDisposition.all_objects.filter(code=code).exists():
            values = {"code": code, "name": name, "category": category, "sort_order": place}
            services.disposition_create(actor=ACTOR, values=values)
    for place, (code, name) in enumerate(world.REASONS):
        if not NotReadyReason.all_objects.filter(code=code).exists():
            services.reason_create(actor=ACTOR, values={"code": code, "name": name, "sort_order": place})


def _queue(name: str) -> CallQueue:
    found = CallQueue.objects.filter(name=name).first()
    return found or services.queue_create(actor=ACTOR, values={"name": name})


def _number(queue: CallQueue, number: str) -> None:
    if not NumberRoute.objects.filter(trunk=world.TRUNK, number=number).exists():
        services.number_add(actor=ACTOR, values={"trunk": world.TRUNK, "number": number, "queue": queue})


def _places(user: Any, person: world.Person, queues: list[CallQueue], renewed: bool) -> None:
    """The queues somebody serves, and their SIP phone."""
    for index, penalty in person.queues:
        if not QueueMembership.all_objects.filter(user=user, queue=queues[index]).exists():
            services.member_add(actor=ACTOR, queue=queues[index], user_id=user.pk, penalty=penalty)
    if not (person.sip_phone or person.synthetic):
        return
    device = sip_device_of(user.pk)
    secret = sip_secret_of(person)
    if device is None:
        values = {"label": "Desk phone", "desktop_required": not person.synthetic}
        services.sip_device_create(actor=ACTOR, user_id=user.pk, secret=secret, **values)
    elif renewed:
        digest = services.digest_of(device.endpoint, secret)
        services.device_update(actor=ACTOR, device=device, values={"digest": digest})


def sip_device_of(user_id: Any) -> AgentDevice | None:
    """The SIP phone of a demo person in the tenant chosen."""
    return AgentDevice.objects.filter(user=user_id, kind=DeviceKind.SIP.value).order_by("created_at").first()


def _contact(first_name: str, last_name: str, number: str, language: str) -> None:
    if not contacts.find_by_number(number):
        contact_services.contact_create(
            actor=ACTOR,
            values={"first_name": first_name, "last_name": last_name, "preferred_language": language},
            phones=[{"number": number, "is_primary": True}],
            region="KE",
        )


def _describe(tenant: Tenant, one: world.Organisation, people: dict[str, Any]) -> dict[str, Any]:
    """{id, slug, numbers, users} of one tenant. Synthetic agents are nobody's login and stay out."""
    return {
        "id": str(tenant.pk),
        "slug": one.slug,
        "numbers": [{"number": number, "queue": name} for name, number in one.queues],
        "users": [_login(person, people[person.email]) for person in one.people if not person.synthetic],
    }


def _login(person: world.Person, user: Any) -> dict[str, Any]:
    login: dict[str, Any] = {"email": person.email, "password": password_of(person), "role": person.role}
    device = sip_device_of(user.pk) if person.sip_phone else None
    if device is not None:
        login["sip"] = {"user": device.endpoint, "password": sip_secret_of(person)}
    return login
