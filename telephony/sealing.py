"""A tenant's keys, and what they seal: callers' numbers and names.

Each tenant has numbered keys of 32 random bytes, one of them active, stored wrapped by the deployment's
master key (AES-256-GCM; tenant and version are authenticated with it, so a wrapped key works nowhere else).
From each key two more are derived by HKDF-SHA256: one seals, one makes digests. A party is sealed with its id
as associated data, so that two rows cannot be swapped. The digest (HMAC-SHA256 of the E.164 number) says
"the same caller again" without the number, inside one tenant and under one version of its key.

On its way from the daemon to its row a party is sealed under a *transit key* instead: a shard's own, made by
its daemon, used for minutes and then destroyed (see telephony.adapters.log.transit). Copies that lie in
segments, streams, and whatever was copied from those, die with it; only the row, which can be erased, lives
under the tenant's key. A transit key gives each tenant a seal of its own by HKDF, and no digest travels.

Nothing here performs input or output; daemon, web and realtime share it.
"""

import hashlib
import hmac
import json
import os
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from telephony.contract.frames import Party
from telephony.contract.ids import PartyId, TenantId

KEY_BYTES = 32
_NONCE = 12


class SealError(Exception):
    """What was sealed cannot be opened: wrong key, unknown version, or changed bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a party's seal hides. Either may be empty: a withheld number, no name."""

    number: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A tenant's key as the database and the local cache hold it."""

    tenant: TenantId
    version: int
    wrapped: bytes
    active: bool


class Keyring:
    """All keys of one tenant, clear, in memory only. `active` is the version that seals."""

    __slots__ = ("_derived", "active", "tenant", "versions")

    def __init__(self, tenant: TenantId, keys: Mapping[int, bytes], active: int) -> None:
        if active not in keys:
            raise SealError(f"tenant {tenant} has no key of version {active}")
        self.tenant = tenant
        self.active = active
        self.versions = tuple(sorted(keys))
        self._derived = {
            version: _Derived(
                seal=AESGCM(_derive(key, b"murima party seal")), digest=_derive(key, b"murima digest")
            )
            for version, key in keys.items()
        }

    def __repr__(self) -> str:
        return f"Keyring({self.tenant}, versions={self.versions}, active={self.active})"

    def of(self, version: int) -> "_Derived":
        """The derived keys of a version; raises SealError when this ring lacks it."""
        found = self._derived.get(version)
        if found is None:
            raise SealError(f"tenant {self.tenant} has no key of version {version} here")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitKey:
    """A shard's key for parties on their way, as the database and the shard's directory hold it."""

    shard: str
    number: int
    """Milliseconds since the epoch at which it was made: never twice, and newer is greater."""
    wrapped: bytes


class TransitRing:
    """Transit keys, clear, in memory only."""

    __slots__ = ("_keys", "_seals")

    def __init__(self, master: bytes, keys: Iterable[TransitKey]) -> None:
        self._keys = {
            (key.shard, key.number): _opened(master, key.wrapped, _transit(key.shard, key.number))
            for key in keys
        }
        self._seals: dict[tuple[str, int, str], AESGCM] = {}

    def __repr__(self) -> str:
        return f"TransitRing({sorted(self._keys)})"

    def newest(self, shard: str) -> int:
        """The greatest number held of a shard; 0 without any."""
        return max((number for name, number in self._keys if name == shard), default=0)

    def of(self, shard: str, number: int, tenant: TenantId) -> AESGCM:
        """A tenant's seal under this key; raises SealError when the ring lacks the key."""
        key = self._keys.get((shard, number))
        if key is None:
            raise SealError(f"there is no transit key {number} of shard {shard} here")
        found = self._seals.get((shard, number, tenant))
        if found is None:
            found = AESGCM(_derive(key, b"murima transit seal " + tenant.encode()))
            self._seals[shard, number, tenant] = found
        return found


@dataclass(frozen=True, slots=True)
class _Derived:
    seal: AESGCM = field(repr=False)
    digest: bytes = field(repr=False)


# --- keys ----------------------------------------------------------------------------------------------


def master_key(text: str) -> bytes:
    """MURIMA_MASTER_KEY as bytes; raises ValueError unless it is base64 of 32 bytes."""
    try:
        key = b64decode(text, validate=True)
    except Base64Error as error:
        raise ValueError("MURIMA_MASTER_KEY is not base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError(f"MURIMA_MASTER_KEY holds {len(key)} bytes; it must be base64 of {KEY_BYTES}")
    return key


def new_wrapped_key(master: bytes, tenant: TenantId, version: int) -> WrappedKey:
    """A fresh active key of this version, wrapped."""
    nonce = os.urandom(_NONCE)
    wrapped = nonce + AESGCM(master).encrypt(nonce, os.urandom(KEY_BYTES), _bound(tenant, version))
    return WrappedKey(tenant=tenant, version=version, wrapped=wrapped, active=True)


def new_transit_key(master: bytes, shard: str, number: int) -> TransitKey:
    """A fresh transit key, wrapped; like a tenant's, it opens under its own shard and number only."""
    nonce = os.urandom(_NONCE)
    wrapped = nonce + AESGCM(master).encrypt(nonce, os.urandom(KEY_BYTES), _transit(shard, number))
    return TransitKey(shard=shard, number=number, wrapped=wrapped)


def keyring(master: bytes, rows: list[WrappedKey]) -> Keyring:
    """Unwrap a tenant's rows (at least one, exactly one active); raises SealError."""
    keys = {row.version: _unwrap(master, row) for row in rows}
    active = [row.version for row in rows if row.active]
    if len(active) != 1:
        raise SealError(f"a tenant has one active key, not {len(active)}")
    return Keyring(rows[0].tenant, keys, active[0])


def _unwrap(master: bytes, row: WrappedKey) -> bytes:
    return _opened(master, row.wrapped, _bound(row.tenant, row.version))


def _opened(master: bytes, wrapped: bytes, bound: bytes) -> bytes:
    try:
        return AESGCM(master).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], bound)
    except (InvalidTag, ValueError) as error:
        raise SealError(
            f"the {bound.decode().removeprefix('murima ')} was wrapped by another key than MURIMA_MASTER_KEY"
        ) from error


def _bound(tenant: TenantId, version: int) -> bytes:
    return f"murima tenant key {tenant} {version}".encode()


def _transit(shard: str, number: int) -> bytes:
    return f"murima transit key {shard} {number}".encode()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)


# --- parties --------------------------------------------------------------------------------------------


def seal_party(ring: Keyring, party: PartyId, number: str, name: str) -> Party:
    """Seal under the active key. `number` is E.164 with '+', other dialable text, or empty: withheld."""
    return Party(
        tenant=ring.tenant,
        party=party,
        key=ring.active,
        sealed=_sealed(ring.of(ring.active).seal, ring.tenant, party, number, name),
        digest=digest(ring, number),
    )


def open_party(ring: Keyring, party: Party) -> Caller:
    """Number and name; raises SealError for another tenant's, a changed or an unknown version's seal, and for
    a party on its way."""
    if party.shard:
        raise SealError(f"party {party.party} is sealed under a transit key")
    return _caller(ring.of(party.key).seal, ring.tenant, party)


def seal_in_transit(
    ring: TransitRing, shard: str, key: int, tenant: TenantId, party: PartyId, number: str, name: str
) -> Party:
    """As `seal_party`, under a shard's transit key; raises SealError when the ring lacks it."""
    sealed = _sealed(ring.of(shard, key, tenant), tenant, party, number, name)
    return Party(tenant=tenant, party=party, key=key, sealed=sealed, digest=b"", shard=shard)


def open_in_transit(ring: TransitRing, party: Party) -> Caller:
    """Number and name of a party on its way; raises SealError, for a key that was destroyed, too."""
    return _caller(ring.of(party.shard, party.key, party.tenant), party.tenant, party)


def _sealed(seal: AESGCM, tenant: TenantId, party: PartyId, number: str, name: str) -> bytes:
    nonce = os.urandom(_NONCE)
    clear = json.dumps({"number": number, "name": name}, ensure_ascii=False).encode("utf-8", "replace")
    return nonce + seal.encrypt(nonce, clear, _party(tenant, party))


def _caller(seal: AESGCM, tenant: TenantId, party: Party) -> Caller:
    try:
        clear = seal.decrypt(party.sealed[:_NONCE], party.sealed[_NONCE:], _party(tenant, party.party))
    except (InvalidTag, ValueError) as error:
        raise SealError(f"party {party.party} does not open under key {party.key} of {tenant}") from error
    found = json.loads(clear)
    return Caller(number=found["number"], name=found["name"])


def digest(ring: Keyring, number: str, version: int | None = None) -> bytes:
    """Keyed hash of a number under a version (default: the active one); empty for a withheld number,
    so that callers who hide are never taken for one another."""
    if not number:
        return b""
    key = ring.of(ring.active if version is None else version).digest
    return hmac.new(key, number.encode(), hashlib.sha256).digest()


def digests(ring: Keyring, number: str) -> list[bytes]:
    """The number's digest under every version held: what to look for while a rotation is under way."""
    return [digest(ring, number, version) for version in ring.versions] if number else []


def _party(tenant: TenantId, party: PartyId) -> bytes:
    return f"murima party {tenant} {party}".encode()
