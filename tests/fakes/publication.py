"""Policy, roster and keys without a database: what a test says is published."""

import asyncio
import hashlib
import os

from telephony import codec, sealing
from telephony.contract.frames import Party
from telephony.contract.ids import AgentId, Endpoint, NumberId, PartyId, QueueId, TenantId
from telephony.contract.policy import InboundNumber, Manifest, Policy, QueuePolicy
from telephony.contract.roster import Device, DeviceKind, RosterRow
from telephony.ports.published import Complete

REALM = "asterisk"


def policy(tenant: str, dialled: str, version: int = 1, trunk: str = "trunk", **queue: object) -> Policy:
    """One number that leads to one queue."""
    line = QueuePolicy(queue=QueueId("sales"), name="Sales", **queue)  # type: ignore[arg-type]
    number = InboundNumber(number=NumberId("n1"), trunk=trunk, dialled=dialled, queue=line.queue)
    manifest = Manifest(
        tenant=TenantId(tenant),
        version=version,
        queues=((line.queue, codec.content_hash(line)),),
        numbers=(number,),
    )
    return Policy(hash=codec.content_hash(manifest), manifest=manifest, queues={line.queue: line})


def digest(endpoint: str, secret: str) -> str:
    """What Asterisk holds instead of the secret."""
    return hashlib.md5(f"{endpoint}:{REALM}:{secret}".encode()).hexdigest()


def row(
    tenant: str,
    agent: str,
    endpoint: str,
    secret: str = "pw",
    kind: DeviceKind = DeviceKind.SIP,
    version: int = 1,
    active: bool = True,
) -> RosterRow:
    """One agent of the queue with one phone that needs no desk."""
    device = Device(
        endpoint=Endpoint(endpoint), kind=kind, digest=digest(endpoint, secret), desktop_required=False
    )
    return RosterRow(
        tenant=TenantId(tenant),
        agent=AgentId(agent),
        version=version,
        active=active,
        memberships=((QueueId("sales"), 0),),
        devices=(device,) if active else (),
    )


class Publication:
    """Ports `Published` and `Sealer`."""

    def __init__(self, *updates: Policy | RosterRow) -> None:
        self._known: list[Policy | RosterRow] = list(updates)
        self.again()
        self._master = os.urandom(32)
        self.rings: dict[TenantId, sealing.Keyring] = {}

    def again(self) -> "Publication":
        """For the next daemon, which reads everything from the start."""
        self._updates: asyncio.Queue[Policy | RosterRow | Complete] = asyncio.Queue()
        for update in self._known:
            self._updates.put_nowait(update)
        self._updates.put_nowait(Complete(stale=False))
        return self

    def publish(self, update: Policy | RosterRow) -> None:
        self._known.append(update)
        self._updates.put_nowait(update)

    async def updates(self):
        while True:
            yield await self._updates.get()

    def seal(self, tenant: TenantId, party: PartyId, number: str, name: str) -> Party | None:
        ring = self.rings.get(tenant)
        if ring is None:
            key = sealing.new_wrapped_key(self._master, tenant, 1)
            ring = self.rings[tenant] = sealing.keyring(self._master, [key])
        return sealing.seal_party(ring, party, number, name)
