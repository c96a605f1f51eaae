"""Who plays in `demo_calls`: read from the demo's organisations once, before anything is placed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from web.shared.accounts.models import User
from web.shared.core.exits import Code, Exit
from web.shared.tenants.context import tenant_context
from web.shared.tenants.queries import tenant_by_slug
from web.tenant.calls.demo import load, world
from web.tenant.calls.models import CallDisposition


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """A synthetic agent: a user with a SIP phone that needs no desk."""

    user: str
    endpoint: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One organisation: where to call, who calls, who answers."""

    tenant: str
    slug: str
    numbers: tuple[tuple[str, str], ...]
    """(number, name of its queue)"""
    callers: tuple[str, ...]
    dispositions: tuple[str, ...]
    players: tuple[Player, ...]

    def caller(self, chance: random.Random) -> str:
        """Usually a known contact's number, now and then a stranger's."""
        if chance.random() < 0.75:
            return chance.choice(self.callers)
        return f"+25411055{chance.randint(0, 9999):04d}"


def stages() -> list[Stage]:
    """The demo's organisations as they are. Exit when they were never loaded."""
    return [_stage(one) for one in world.ORGANISATIONS]


def _stage(one: world.Organisation) -> Stage:
    tenant = tenant_by_slug(one.slug)
    if tenant is None:
        raise Exit(
            "The demo is not loaded.",
            why=f"There is no organisation with the slug {one.slug}.",
            next_step="manage.py demo_load",
            code=Code.NOT_FOUND,
        )
    with tenant_context(tenant.pk):
        codes = CallDisposition.objects.filter(is_active=True, requires_note=False)
        return Stage(
            tenant=tenant.pk,
            slug=one.slug,
            numbers=tuple((number, name) for name, number in one.queues),
            callers=tuple(number for _, _, number, _ in one.contacts),
            dispositions=tuple(codes.values_list("code", flat=True)),
            players=tuple(_player(person) for person in one.people if person.synthetic),
        )


def _player(person: world.Person) -> Player:
    user = User.objects.get(email=person.email)
    device = load.sip_device_of(user.pk)
    if device is None:
        raise Exit("A synthetic agent has no phone.", next_step="manage.py demo_load", code=Code.NOT_FOUND)
    return Player(user=str(user.pk), endpoint=device.endpoint, secret=load.sip_secret_of(person))
