"""Who is calling: kept out of facts, sealed for the log, in clear only while the call lives.

A caller's number and name become a sealed party, written in the same group as the fact that names it, and
sealed in that moment: the key that seals it is then the one that the log's place belongs to. The number alone
stays in memory as long as the call, for phones that show it.
"""

from telephony.contract.frames import Party
from telephony.contract.ids import CallId, PartyId, TenantId
from telephony.ports.published import Sealer
from telephony.shell import meters


class Parties:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._pending: dict[PartyId, tuple[TenantId, str, str]] = {}
        self._numbers: dict[CallId, str] = {}

    def met(self, tenant: TenantId, call: CallId, party: PartyId, number: str, name: str) -> None:
        """A caller was met; nothing is written before a fact names the party."""
        self._numbers[call] = number
        self._pending[party] = tenant, number, name

    def take(self, party: PartyId) -> Party | None:
        """The sealed party for the fact that names it, once."""
        met = self._pending.pop(party, None)
        if met is None:
            return None
        tenant, number, name = met
        sealed = self._sealer.seal(tenant, party, number, name)
        if sealed is None:
            meters.UNSEALED.labels(tenant).inc()
        return sealed

    def drop(self, call: CallId, party: PartyId) -> None:
        """No fact named it."""
        self._pending.pop(party, None)
        self._numbers.pop(call, None)

    def recall(self, call: CallId, number: str) -> None:
        """After a restart: the switch still knows the number of a live caller."""
        self._numbers.setdefault(call, number)

    def number(self, call: CallId) -> str:
        """Empty when withheld or unknown."""
        return self._numbers.get(call, "")

    def forget(self, call: CallId) -> None:
        self._numbers.pop(call, None)
