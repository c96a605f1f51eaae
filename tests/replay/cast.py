"""Who plays in the recorded stories: two tenants, five people, each with a phone."""

import uuid
from dataclasses import dataclass
from typing import Any

from telephony.contract.roster import DeviceKind
from tests.fakes.publication import Publication, policy, row

TENANT, OTHER = "t_aaaaaaaaaaaa", "t_bbbbbbbbbbbb"
NUMBERS = {TENANT: "+254700000001", OTHER: "+254700000002"}


@dataclass(frozen=True)
class Person:
    agent: str
    phone: str
    kind: DeviceKind = DeviceKind.SIP
    tenant: str = TENANT


def _person(n: int, kind: DeviceKind = DeviceKind.SIP, tenant: str = TENANT) -> Person:
    return Person(str(uuid.UUID(int=n)), f"d{n:012x}", kind, tenant)


PEOPLE = {
    "anna": _person(1),
    "ben": _person(2),
    "chao": _person(3, DeviceKind.BROWSER),
    "dina": _person(4, DeviceKind.BROWSER),
    "otto": _person(9, tenant=OTHER),
}


def published(**queue: Any) -> Publication:
    """Both tenants, everybody, and a queue of these settings."""
    settings = {"ring_seconds": 3, "wrap_up_seconds": 60} | queue
    rows = [row(each.tenant, each.agent, each.phone, kind=each.kind) for each in PEOPLE.values()]
    return Publication(
        policy(TENANT, NUMBERS[TENANT], **settings), policy(OTHER, NUMBERS[OTHER], **settings), *rows
    )


def republished(version: int, **queue: Any) -> Any:
    """A later policy of the first tenant."""
    return policy(TENANT, NUMBERS[TENANT], version=version, **queue)
