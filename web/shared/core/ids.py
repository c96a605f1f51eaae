"""Identifiers of rows: UUID version 7 (RFC 9562), whose first 48 bits are the creation's millisecond.

They sort by age, so an index on them grows at one end and a cursor on (created_at, id) is stable.
"""

from __future__ import annotations

import secrets
import time
import uuid


def uuid7() -> uuid.UUID:
    """A fresh id; ids of one millisecond come in no particular order."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return uuid.UUID(int=value)
