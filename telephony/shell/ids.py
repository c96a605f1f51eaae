"""Fresh ids: UUIDv7, ordered by time, random beyond that."""

import os
import uuid

from telephony.contract.clock import Instant
from telephony.contract.ids import CallId, PartyId


def uuid7(now: Instant) -> str:
    """A UUIDv7 text of this instant (RFC 9562: 48 bits of milliseconds, version, variant, randomness)."""
    noise = int.from_bytes(os.urandom(10), "big")
    value = (now // 1000 & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (noise >> 62 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def new_call(now: Instant) -> CallId:
    return CallId(uuid7(now))


def new_party(now: Instant) -> PartyId:
    return PartyId(uuid7(now))
