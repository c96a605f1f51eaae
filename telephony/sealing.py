"""A tenant's keys, and what they seal: callers' numbers and names.

Each tenant has numbered keys of 32 random bytes, one of them active, stored wrapped by the deployment's
master key (AES-256-GCM; tenant and version are authenticated with it, so a wrapped key works nowhere else).
From each key two more are derived by HKDF-SHA256: one seals, one makes digests. A party is sealed with its id
as associated data, so that two rows cannot be swapped. The digest (HMAC-SHA256 of the E.164 number) says
"the same caller again" without the number, inside one tenant and under one version of its key.

Nothing here performs input or output; daemon, web and realtime share it.
"""

import hashlib
import hmac
import json
import os
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
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


def keyring(master: bytes, rows: list[WrappedKey]) -> Keyring:
    """Unwrap a tenant's rows (at least one, exactly one active); raises SealError."""
    keys = {row.version: _unwrap(master, row) for row in rows}
    active = [row.version for row in rows if row.active]
    if len(active) != 1:
        raise SealError(f"a tenant has one active key, not {len(active)}")
    return Keyring(rows[0].tenant, keys, active[0])


def _unwrap(master: bytes, row: WrappedKey) -> bytes:
    try:
        return AESGCM(master).decrypt(
            row.wrapped[:_NONCE], row.wrapped[_NONCE:], _bound(row.tenant, row.version)
        )
    except InvalidTag as error:
        raise SealError(
            f"key {row.version} of tenant {row.tenant} was wrapped by another key than MURIMA_MASTER_KEY"
        ) from error


def _bound(tenant: TenantId, version: int) -> bytes:
    return f"murima tenant key {tenant} {version}".encode()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)


# --- parties --------------------------------------------------------------------------------------------


def seal_party(ring: Keyring, party: PartyId, number: str, name: str) -> Party:
    """Seal under the active key. `number` is E.164 with '+', other dialable text, or empty: withheld."""
    nonce = os.urandom(_NONCE)
    clear = json.dumps({"number": number, "name": name}, ensure_ascii=False).encode("utf-8", "replace")
    return Party(
        tenant=ring.tenant,
        party=party,
        key=ring.active,
        sealed=nonce + ring.of(ring.active).seal.encrypt(nonce, clear, _party(ring.tenant, party)),
        digest=digest(ring, number),
    )


def open_party(ring: Keyring, party: Party) -> Caller:
    """Number and name; raises SealError for another tenant's, a changed or an unknown version's seal."""
    try:
        clear = ring.of(party.key).seal.decrypt(
            party.sealed[:_NONCE], party.sealed[_NONCE:], _party(ring.tenant, party.party)
        )
    except (InvalidTag, ValueError) as error:
        raise SealError(
            f"party {party.party} does not open under key {party.key} of {ring.tenant}"
        ) from error
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
