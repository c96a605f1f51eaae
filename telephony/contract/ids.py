"""Names of things, and how they are built.

A call's id is a UUIDv7 that the daemon's shell makes when the call enters. Everything else that we create
for it, in Asterisk and in the facts, is `<call>.<n>` with n counted from 1 and never used again: a command
sent twice then meets 409 or 404 and is done. An offer and the leg that it rings share one id.
"""

import re
from typing import NewType

TenantId = NewType("TenantId", str)
"""The generated schema name, for ever: `t_` and twelve of [a-z0-9]."""
CallId = NewType("CallId", str)
LegId = NewType("LegId", str)
"""`<call>.<n>`. The caller's leg is always `<call>.1`; its Asterisk channel has Asterisk's own id."""
BridgeId = NewType("BridgeId", str)
QueueId = NewType("QueueId", str)
AgentId = NewType("AgentId", str)
"""The user's UUID. One person in two tenants is two agents, since a floor knows one tenant."""
PartyId = NewType("PartyId", str)
"""UUIDv7 of the erasable row that holds a caller's number and name."""
NumberId = NewType("NumberId", str)
Endpoint = NewType("Endpoint", str)
"""SIP user of a device: `d` and twelve hexadecimal characters."""
AskId = NewType("AskId", str)

_TENANT = re.compile(r"t_[a-z0-9]{12}")
_ENDPOINT = re.compile(r"d[0-9a-f]{12}")
_PART = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([1-9][0-9]{0,5})")


def tenant_id(text: str) -> TenantId:
    """Check a tenant id that came from outside; raises ValueError that says what is wrong."""
    if not _TENANT.fullmatch(text):
        raise ValueError("a tenant id is 't_' and twelve of a-z and 0-9")
    return TenantId(text)


def endpoint(text: str) -> Endpoint:
    """Check a device's SIP user; raises ValueError."""
    if not _ENDPOINT.fullmatch(text):
        raise ValueError("an endpoint is 'd' and twelve hexadecimal characters")
    return Endpoint(text)


def part(call: CallId, n: int) -> LegId:
    """The n-th thing made for a call."""
    return LegId(f"{call}.{n}")


def bridge(call: CallId, n: int) -> BridgeId:
    """The n-th thing made for a call, when it is a bridge."""
    return BridgeId(f"{call}.{n}")


def split(text: str) -> tuple[CallId, int] | None:
    """(call, n) of an id that we made, None for anybody else's."""
    found = _PART.fullmatch(text)
    return (CallId(found[1]), int(found[2])) if found else None
