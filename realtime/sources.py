"""What this process takes from the web tier: log, parties, names, the pop, and two services of a desk.

The only module of realtime that calls web's queries and services about calls. Everything that touches the
database runs through `tenant_db`, in a thread, inside one tenant; only plain values come back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog

from realtime import clean
from realtime import messages as m
from telephony.contract.frames import Entry, Party
from telephony.contract.ids import AskId, CallId, PartyId
from telephony.contract.view import View, apply
from telephony.sealing import Keyring, SealError, TransitRing, open_in_transit, open_party
from web.shared.core import asks, keys, log, parties
from web.shared.core.actor import Actor, ActorKind
from web.shared.tenants.context import tenant_db
from web.tenant.calls import queries, services

PAGE = 2000
KEYS_AGAIN_SECONDS = 5.0
"""How long after transit keys were read they are not read again, for a key that is still not there."""

logger = structlog.get_logger(__name__)


class Sources:
    """Reads for feeds. Holds the tenants' keyrings, so that a party on the stream opens without waiting."""

    def __init__(self) -> None:
        self._rings: dict[str, Keyring] = {}
        self._transit = TransitRing(b"", [])
        self._transit_read = float("-inf")

    async def cold(self, tenant: str) -> View:
        """The floor as PostgreSQL knows it: the newest checkpoint and the entries after it."""
        self._rings[tenant] = await tenant_db(tenant, keys.ring, tenant)
        await self.learn_keys(tenant)
        return await tenant_db(tenant, _fold, tenant)

    async def entries(self, tenant: str, after: int, upto: int) -> list[Entry]:
        """Entries with after < seq <= upto, in order; fewer when the rest is not there yet."""
        found = await tenant_db(tenant, log.read, tenant, after=after, limit=upto - after)
        return [entry for entry in found if entry.seq <= upto]

    def open_party(self, party: Party) -> m.Who | None:
        """Number and name of a party on the stream; None when its key is not known here (yet)."""
        try:
            if party.shard:
                caller = open_in_transit(self._transit, party)
            else:
                caller = open_party(self._rings[party.tenant], party)
        except (SealError, KeyError):
            return None
        return m.Who(number=clean.number(caller.number), name=clean.name(caller.name))

    def keys_wanted(self, party: Party) -> bool:
        """Whether keys should be read again: this one is unknown, or the newest known, whose spare is new."""
        fresh = time.monotonic() < self._transit_read + KEYS_AGAIN_SECONDS
        return bool(party.shard) and party.key >= self._transit.newest(party.shard) and not fresh

    async def learn_keys(self, tenant: str) -> None:
        """Read the keys of parties on their way, whichever shard they come from."""
        self._transit_read = time.monotonic()
        self._transit = await tenant_db(tenant, keys.transit, tenant)

    async def parties(self, tenant: str, wanted: Iterable[PartyId]) -> dict[PartyId, m.Who]:
        """Number and name of parties from their rows; erased and unknown ones are left out."""
        return await tenant_db(tenant, _parties, tenant, list(wanted))

    async def names(self, tenant: str) -> tuple[dict[str, str], dict[str, str]]:
        """(queue names, people's names) by id; keys are looked at again too, since they rotate."""
        self._rings[tenant] = await tenant_db(tenant, keys.ring, tenant)
        return await tenant_db(tenant, _names)

    async def pops(self, tenant: str, callers: Sequence[tuple[CallId, str, m.Who]]) -> list[m.Pop]:
        """What the contacts know of callers, each (call, leg, who): in their order."""
        if not callers:
            return []
        asked = [(who.number or "", str(call)) for call, _, who in callers]
        found = await tenant_db(tenant, queries.pops_for, asked)
        return [_pop(*caller, about) for caller, about in zip(callers, found, strict=True)]


def _pop(call: CallId, leg: str, who: m.Who, about: dict[str, Any]) -> m.Pop:
    contact = about["contact"]
    return m.Pop(
        offer=leg,
        call=call,
        party=who,
        contact=None if contact is None else m.ContactCard(**contact),
        matches=about["matches"],
        recent_calls=[m.RecentCall(**each) for each in about["recent_calls"]],
    )


def _fold(tenant: str) -> View:
    view = log.checkpoint(tenant) or View(tenant=tenant)
    while entries := log.read(tenant, after=view.seq, limit=PAGE):
        for entry in entries:
            apply(view, entry)
    return view


def _parties(tenant: str, wanted: list[PartyId]) -> dict[PartyId, m.Who]:
    found = {}
    for party in wanted:
        caller = parties.read(tenant, party)
        if caller is not None:
            found[party] = m.Who(number=clean.number(caller.number), name=clean.name(caller.name))
    return found


def _names() -> tuple[dict[str, str], dict[str, str]]:
    return queries.queue_names(), queries.agent_names()


# --- asks and services -----------------------------------------------------------------------------------


async def send_ask(tenant: str, actor: str, identity: AskId, body: Any) -> None:
    """Put an ask on its way; redis errors when Redis is away."""
    await asks.send_async(tenant, body, actor=actor, ask_id=identity)


async def shift_credentials(tenant: str, user: UUID) -> tuple[str, str]:
    """(endpoint, secret) of the browser phone, with a new secret."""
    return await tenant_db(tenant, services.shift_credentials, actor=_person(user), user_id=user)


async def finish_wrap_up(tenant: str, user: UUID, data: m.WrapupFinish, ask: AskId) -> AskId:
    """Store disposition and note; returns the id of the ask that ends the wrap-up."""
    sent = await tenant_db(
        tenant,
        services.wrap_up_finish,
        data.call,
        user,
        data.disposition,
        data.note,
        ask_id=ask,
        actor=_person(user),
    )
    return AskId(str(sent))


def _person(user: UUID) -> Actor:
    return Actor(ActorKind.USER, id=user, process="realtime")
