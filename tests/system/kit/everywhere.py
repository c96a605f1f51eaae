"""Looking for a person in everything that a stack keeps: database, Redis, and every file it wrote.

`plain` greps: pg_dump of all schemas, every key of Redis, every file under the stack's home but PostgreSQL's
own (pg_dump tells what those hold), journals, logs and generated files among them, and the files' names. It
looks for the number in whatever form, since all hold its last nine digits, for these reversed, for the name's
parts in any case, for all that as hexadecimal and base64, and for the number's keyed digest, which whoever
has the keys could compare numbers with.

`opened` goes on where grep ends: every sealed party in rows, streams and segments (those set aside, too) is
tried with every key that exists anywhere: in the tables, in the daemon's files, whatever key it names.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import redis

from deployment.dev.stack import Stack
from telephony import codec, sealing
from telephony.adapters.log.records import PARTY, unpack
from telephony.contract.frames import Party
from telephony.contract.ids import PartyId, TenantId
from tests.system.kit.oracle import Oracle


class Everywhere:
    """Everything of one tenant's person: `number` in E.164, and the parts of the name."""

    def __init__(self, stack: Stack, tenant: str, number: str, *names: str) -> None:
        self._stack, self._tenant, self._number = stack, TenantId(tenant), number
        self._master = sealing.master_key(stack.keys["master_key"])
        self._oracle = Oracle(stack)
        digits = number[-9:]
        self._words = [digits, digits[::-1], *names]

    # --- grep -------------------------------------------------------------------------------------------

    def plain(self) -> set[str]:
        """Where the person still stands for everybody to read."""
        needles = self._needles()
        places = [("database", self._dump()), *self._redis(), *self._files()]
        return {place for place, body in places if _holds(body, needles) or _holds(place.encode(), needles)}

    def _needles(self) -> tuple[list[bytes], list[bytes]]:
        """(what is looked for in any case, what is looked for as it is)."""
        loose = [word.lower().encode() for word in self._words]
        exact = []
        for word in self._words:
            for form in {word, word.upper(), word.lower(), word.title()}:
                loose.append(form.encode().hex().encode())
                exact += _in_base64(form.encode())
        for digest in self._digests():
            loose.append(digest.hex().encode())
            exact += [digest, *_in_base64(digest)]
        return loose, exact

    def _digests(self) -> list[bytes]:
        return [sealing.digest(self._ring(version), self._number) for version, _ in self._tenant_keys()]

    def _dump(self) -> bytes:
        program = Path(self._stack.postgres.spec().command[0]).parent / "pg_dump"
        address = f"--dbname={self._stack.postgres.url('postgres')}"
        command = [str(program), "--data-only", address]
        return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout

    def _redis(self) -> Iterator[tuple[str, bytes]]:
        with redis.Redis.from_url(self._stack.redis.url()) as client:
            for key in client.scan_iter(count=1000):
                yield f"redis {key.decode(errors='replace')}", b" ".join(_flat(_value(client, key)))

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for path in self._stack.home.rglob("*"):
            name = path.relative_to(self._stack.home)
            if path.is_file() and name.parts[0] != "postgres":
                yield str(name), _read(path)

    # --- open -------------------------------------------------------------------------------------------

    def opened(self) -> set[str]:
        """Where sealed bytes lie that some key still turns into the person."""
        rings = [self._ring(version) for version, _ in self._tenant_keys()]
        keys = list(self._transit_keys())
        transit = sealing.TransitRing(self._master, keys)
        found = set()
        for place, party in self._sealed():
            if any(self._is_the_person(caller) for caller in _callers(party, rings, transit, keys)):
                found.add(place)
        return found

    def _is_the_person(self, caller: sealing.Caller) -> bool:
        said = f"{caller.number} {caller.name}".lower()
        return any(word.lower() in said for word in self._words)

    def _sealed(self) -> Iterator[tuple[str, Party]]:
        rows = self._oracle.query(
            "SELECT party, key, sealed, digest FROM log_party WHERE tenant = %s AND sealed IS NOT NULL",
            self._tenant,
        )
        for party, key, sealed, digest in rows:
            yield (
                "row",
                Party(
                    tenant=self._tenant, party=PartyId(party), key=key, sealed=sealed, digest=digest or b""
                ),
            )
        with redis.Redis.from_url(self._stack.redis.url()) as client:
            for _, fields in client.xrange(f"murima:{self._tenant}:up"):
                if fields[b"k"] == b"party":
                    yield "stream", codec.decode_party(fields[b"d"])
        for path in self._stack.home.rglob("*.seg"):
            for record in unpack(_read(path))[0]:
                if (
                    record.kind == PARTY
                    and (party := codec.decode_party(record.payload)).tenant == self._tenant
                ):
                    yield "segment", party

    def _tenant_keys(self) -> list[tuple[int, bytes]]:
        """Of the table and of the daemon's copy of it."""
        rows = self._oracle.query("SELECT version, wrapped FROM tenant_key WHERE tenant = %s", self._tenant)
        kept = dict(rows)
        for path in self._stack.home.rglob("published-*.json"):
            for key in json.loads(path.read_bytes())["keys"].get(self._tenant, []):
                kept.setdefault(key["version"], base64.b64decode(key["wrapped"]))
        return sorted(kept.items())

    def _ring(self, version: int) -> sealing.Keyring:
        wrapped = dict(self._tenant_keys())[version]
        row = sealing.WrappedKey(tenant=self._tenant, version=version, wrapped=wrapped, active=True)
        return sealing.keyring(self._master, [row])

    def _transit_keys(self) -> Iterator[sealing.TransitKey]:
        for shard, number, wrapped in self._oracle.query("SELECT shard, number, wrapped FROM transit_key"):
            yield sealing.TransitKey(shard=shard, number=number, wrapped=wrapped)
        for path in self._stack.home.rglob("*transit.json*"):
            for key in json.loads(_read(path) or b'{"keys": []}')["keys"]:
                wrapped = base64.b64decode(key["wrapped"])
                yield sealing.TransitKey(shard="0", number=key["number"], wrapped=wrapped)


def _callers(
    party: Party,
    rings: Iterable[sealing.Keyring],
    transit: sealing.TransitRing,
    keys: Iterable[sealing.TransitKey],
) -> Iterator[sealing.Caller]:
    """What a sealed party says under each key that opens it."""
    for ring in rings:
        try:
            yield sealing.open_party(ring, dataclasses.replace(party, key=ring.active, shard=""))
        except sealing.SealError:
            continue
    for key in keys:
        try:
            tried = dataclasses.replace(party, key=key.number, shard=key.shard)
            yield sealing.open_in_transit(transit, tried)
        except sealing.SealError:
            continue


def _holds(body: bytes, needles: tuple[list[bytes], list[bytes]]) -> bool:
    lower = body.lower()
    return any(one in lower for one in needles[0]) or any(one in body for one in needles[1])


def _in_base64(data: bytes) -> list[bytes]:
    """What `data` looks like in the middle of something in base64, at each of three alignments."""
    found = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data)
        start = -(-before * 8 // 6)
        end = (before + len(data)) * 8 // 6
        found.append(text[start:end])
    return found


_READERS: dict[bytes, Any] = {
    b"string": lambda client, key: client.get(key),
    b"hash": lambda client, key: client.hgetall(key),
    b"list": lambda client, key: client.lrange(key, 0, -1),
    b"set": lambda client, key: client.smembers(key),
    b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    b"stream": lambda client, key: client.xrange(key),
}


def _flat(value: Any) -> Iterator[bytes]:
    """Every piece of a key's value."""
    if isinstance(value, dict):
        for pair in value.items():
            yield from _flat(pair)
    elif isinstance(value, list | tuple | set):
        for one in value:
            yield from _flat(one)
    else:
        yield value if isinstance(value, bytes) else str(value).encode()


def _read(path: Path) -> bytes:
    """A file's content; nothing of one that went away meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _value(client: Any, key: bytes) -> Any:
    """All of a key; KeyError for a type that nobody here reads. b"none" went away meanwhile."""
    kind = client.type(key)
    return None if kind == b"none" else _READERS[kind](client, key)
