"""A log that a test owns: what is 'in PostgreSQL' is whatever was put here, and it can be away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from realtime import messages as m
from telephony.contract.frames import Entry, Party
from telephony.contract.ids import CallId, PartyId
from telephony.contract.view import View, apply


class LogSource:
    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.stored: list[Entry] = []
        self.people: dict[PartyId, m.Who] = {}
        self.away = False
        self.unknown_keys: set[int] = set()
        """Transit keys that are not known before keys are read again."""
        self.keys_learned = 0
        self.reads = self.loads = 0

    def _require(self) -> None:
        if self.away:
            raise ConnectionError("the test took the database away")

    async def cold(self, tenant: str) -> View:
        self._require()
        self.loads += 1
        view = View(tenant=tenant)
        for entry in self.stored:
            apply(view, entry)
        return view

    async def entries(self, tenant: str, after: int, upto: int) -> list[Entry]:
        self._require()
        self.reads += 1
        return [each for each in self.stored if after < each.seq <= upto]

    def open_party(self, party: Party) -> m.Who | None:
        if party.key in self.unknown_keys:
            return None
        return m.Who(number=party.sealed.decode(), name="Sealed")

    def keys_wanted(self, party: Party) -> bool:
        return party.key in self.unknown_keys

    async def learn_keys(self, tenant: str) -> None:
        self._require()
        self.keys_learned += 1
        self.unknown_keys.clear()

    async def parties(self, tenant: str, wanted: Iterable[PartyId]) -> dict[PartyId, m.Who]:
        self._require()
        return {each: self.people[each] for each in wanted if each in self.people}

    async def names(self, tenant: str) -> tuple[dict[str, str], dict[str, str]]:
        self._require()
        return {}, {}

    async def pops(self, tenant: str, callers: Sequence[tuple[CallId, str, m.Who]]) -> list[m.Pop]:
        self._require()
        return [
            m.Pop(offer=leg, call=call, party=who, contact=None, matches=0, recent_calls=[])
            for call, leg, who in callers
        ]
