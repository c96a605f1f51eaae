"""Records and their frames in a segment.

A record is a kind and the codec's bytes. In the file each has a header of nine bytes (length and CRC-32,
little-endian, then kind), and the records of one append form a group: the last one's kind has the high bit
set. Readers only see whole groups, so a step's facts, with the party that they name, are there together or
not at all: in the file after a crash, and in the database, whose commits follow groups.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

ENTRY = 1
PARTY = 2
_LAST = 0x80
_HEADER = struct.Struct("<IIB")
MAX_PAYLOAD = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    kind: int
    """ENTRY or PARTY."""
    payload: bytes


def pack(group: Iterable[Record]) -> bytes:
    """The bytes of one group; raises ValueError for a payload over 1 MiB or an empty group."""
    records = list(group)
    if not records:
        raise ValueError("a group has at least one record")
    out = []
    for place, record in enumerate(records, 1):
        if len(record.payload) > MAX_PAYLOAD:
            raise ValueError(f"a record of {len(record.payload)} bytes is too long")
        kind = record.kind | _LAST if place == len(records) else record.kind
        out.append(_HEADER.pack(len(record.payload), _sum(kind, record.payload), kind))
        out.append(record.payload)
    return b"".join(out)


def unpack(data: bytes) -> tuple[list[Record], int, bool]:
    """(records of the whole groups at the start of `data`, bytes they take, whether what follows is bad).

    Bytes that end in the middle of a record are not bad: more may follow.
    """
    records: list[Record] = []
    whole = used = place = 0
    while place + _HEADER.size <= len(data):
        length, checksum, kind = _HEADER.unpack_from(data, place)
        if length > MAX_PAYLOAD:
            return records[:whole], used, True
        end = place + _HEADER.size + length
        if end > len(data):
            break
        payload = data[place + _HEADER.size : end]
        if checksum != _sum(kind, payload) or kind & ~_LAST not in (ENTRY, PARTY):
            return records[:whole], used, True
        records.append(Record(kind & ~_LAST, payload))
        place = end
        if kind & _LAST:
            whole, used = len(records), place
    return records[:whole], used, False


def _sum(kind: int, payload: bytes) -> int:
    return crc32(payload, crc32(bytes((kind,))))
