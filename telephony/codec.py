"""Bytes of what crosses a process border: JSON by msgspec, in one place for daemon, web and realtime.

Readers are tolerant: unknown fields are ignored, a fact of an unknown kind becomes `Unknown`. Writers are
closed: what is not a registered fact or ask cannot be encoded. An ask is sealed with an HMAC-SHA256 over
its canonical bytes; `open_ask` refuses a wrong seal before it looks at anything else.
"""

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from telephony.contract.asks import ASKS, Envelope
from telephony.contract.facts import FACTS
from telephony.contract.frames import Ack, Beat, Entry, Party, Unknown
from telephony.contract.ids import AskId, PartyId, TenantId
from telephony.contract.policy import Manifest, QueuePolicy
from telephony.contract.roster import RosterRow
from telephony.contract.view import View

_encoder = msgspec.json.Encoder(order="deterministic")
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


class EntryColumns(msgspec.Struct):
    """An entry as columns, its fact left as the bytes that were written: also when this release does not
    know the fact, so that nothing is lost on the way to the database."""

    tenant: str
    epoch: int
    seq: int
    at: int
    type: str
    data: msgspec.Raw
    ask: str | None = None


class _AskWire(msgspec.Struct):
    id: str
    tenant: str
    actor: str
    at: int
    expires: int
    type: str
    data: msgspec.Raw
    mac: str = ""


class PartyColumns(msgspec.Struct):
    """A party as columns: the seal in base64, the digest in hexadecimal."""

    tenant: str
    party: str
    key: int
    sealed: str
    digest: str
    shard: str = ""


_FRAMES: dict[str, type] = {"beat": Beat, "ack": Ack}


def decode_as(kind: type, data: bytes | msgspec.Raw) -> Any:
    """Decode JSON into one of the contract's dataclasses; raises msgspec.ValidationError."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder.decode(data)


def canonical(value: Any) -> bytes:
    """Deterministic JSON of any contract dataclass: the same value gives the same bytes everywhere."""
    return _encoder.encode(value)


def content_hash(value: Any) -> str:
    """SHA-256, hexadecimal, of the canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


# --- facts ----------------------------------------------------------------------------------------------


def encode_entry(entry: Entry) -> bytes:
    """One line of JSON without a newline."""
    name = type(entry.fact).__name__
    if name not in FACTS:
        raise TypeError(f"{name} is not a registered fact")
    return _encoder.encode(
        EntryColumns(
            tenant=entry.tenant,
            epoch=entry.epoch,
            seq=entry.seq,
            at=entry.at,
            type=name,
            data=msgspec.Raw(_encoder.encode(entry.fact)),
            ask=entry.ask,
        )
    )


def entry_columns(data: bytes) -> EntryColumns:
    """The columns of one encoded entry; raises as `decode_entry` does."""
    return decode_as(EntryColumns, data)  # type: ignore[no-any-return]


def decode_entry(data: bytes) -> Entry:
    """Inverse of `encode_entry`; raises msgspec.ValidationError or DecodeError."""
    wire = entry_columns(data)
    return entry(wire.tenant, wire.epoch, wire.seq, wire.at, wire.type, wire.data, wire.ask)


def entry(  # one argument per column of the log's table
    tenant: str, epoch: int, seq: int, at: int, kind: str, data: bytes | msgspec.Raw, ask: str | None
) -> Entry:
    """An entry from its columns, as the log's table holds them."""
    known = FACTS.get(kind)
    fact = Unknown(type=kind) if known is None else decode_as(known, data)
    return Entry(
        tenant=TenantId(tenant), epoch=epoch, seq=seq, at=at, fact=fact, ask=AskId(ask) if ask else None
    )


def encode_fact(fact: Any) -> bytes:
    """The fact alone, as the log's `data` column holds it."""
    return _encoder.encode(fact)


# --- other frames of the upward stream -------------------------------------------------------------------


def encode_frame(frame: Entry | Party | Beat | Ack) -> tuple[str, bytes]:
    """(kind, JSON) of one frame of the upward stream: kind is fact, party, beat or ack."""
    if isinstance(frame, Entry):
        return "fact", encode_entry(frame)
    if isinstance(frame, Party):
        return "party", encode_party(frame)
    return ("beat" if isinstance(frame, Beat) else "ack"), _encoder.encode(frame)


def decode_frame(kind: str, data: bytes) -> Entry | Party | Beat | Ack | None:
    """Inverse of `encode_frame`; None for a kind this release does not know."""
    if kind == "fact":
        return decode_entry(data)
    if kind == "party":
        return decode_party(data)
    known = _FRAMES.get(kind)
    return None if known is None else decode_as(known, data)


def encode_party(party: Party) -> bytes:
    return _encoder.encode(
        PartyColumns(
            tenant=party.tenant,
            party=party.party,
            key=party.key,
            sealed=base64.b64encode(party.sealed).decode(),
            digest=party.digest.hex(),
            shard=party.shard,
        )
    )


def party_columns(data: bytes) -> PartyColumns:
    """The columns of one encoded party; raises as `decode_party` does."""
    return decode_as(PartyColumns, data)  # type: ignore[no-any-return]


def decode_party(data: bytes) -> Party:
    wire = party_columns(data)
    return Party(
        tenant=TenantId(wire.tenant),
        party=PartyId(wire.party),
        key=wire.key,
        sealed=base64.b64decode(wire.sealed),
        digest=bytes.fromhex(wire.digest),
        shard=wire.shard,
    )


# --- asks -----------------------------------------------------------------------------------------------


def seal_ask(envelope: Envelope, key: bytes) -> bytes:
    """JSON of an ask with its seal; `key` is MURIMA_ASK_KEY as bytes."""
    name = type(envelope.body).__name__
    if name not in ASKS:
        raise TypeError(f"{name} is not a registered ask")
    wire = _AskWire(
        id=envelope.id,
        tenant=envelope.tenant,
        actor=envelope.actor,
        at=envelope.at,
        expires=envelope.expires,
        type=name,
        data=msgspec.Raw(_encoder.encode(envelope.body)),
    )
    wire.mac = _mac(wire, key)
    return _encoder.encode(wire)


def open_ask(data: bytes, key: bytes) -> Envelope:
    """Inverse of `seal_ask`; raises ValueError for a wrong seal, an unknown kind or a bad shape."""
    wire = decode_as(_AskWire, data)
    if not hmac.compare_digest(wire.mac, _mac(wire, key)):
        raise ValueError("the ask's seal does not fit: it was not made by this deployment's web tier")
    kind = ASKS.get(wire.type)
    if kind is None:
        raise ValueError("this daemon does not know that kind of ask")
    return Envelope(
        id=AskId(wire.id),
        tenant=TenantId(wire.tenant),
        actor=wire.actor,
        at=wire.at,
        expires=wire.expires,
        body=decode_as(kind, wire.data),
    )


def _mac(wire: _AskWire, key: bytes) -> str:
    fields = [wire.id, wire.tenant, wire.actor, wire.at, wire.expires, wire.type, bytes(wire.data).decode()]
    return hmac.new(key, _encoder.encode(fields), hashlib.sha256).hexdigest()


# --- published things, checkpoints ----------------------------------------------------------------------


def decode_manifest(data: bytes) -> Manifest:
    return decode_as(Manifest, data)  # type: ignore[no-any-return]


def decode_queue(data: bytes) -> QueuePolicy:
    return decode_as(QueuePolicy, data)  # type: ignore[no-any-return]


def decode_roster(data: bytes) -> RosterRow:
    return decode_as(RosterRow, data)  # type: ignore[no-any-return]


def encode_view(view: View) -> bytes:
    """A checkpoint: the whole view, deterministic, so that equal floors have equal bytes."""
    return _encoder.encode(view)


def decode_view(data: bytes) -> View:
    """Inverse of `encode_view`; the asks get their age order back, which sorted keys had hidden."""
    view: View = decode_as(View, data)
    view.asks = dict(sorted(view.asks.items(), key=lambda item: (item[1], item[0])))
    return view
