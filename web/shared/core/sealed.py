"""Short secrets of a tenant's, sealed with the tenant's own key before they reach a table.

AES-256-GCM under the active version of the tenant's key ring, bound to tenant and purpose, so that what was
sealed for one purpose opens for no other. Versions that rotated stay in the ring: older seals go on opening.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag

from telephony.sealing import SealError
from web.shared.core import keys

_NONCE = 12


def seal(tenant_id: str, purpose: str, secret: bytes) -> bytes:
    """`secret` under the tenant's active key: 4 bytes of version, nonce, ciphertext."""
    ring = keys.ring(tenant_id)
    nonce = os.urandom(_NONCE)
    sealed = ring.of(ring.active).seal.encrypt(nonce, secret, _bound(tenant_id, purpose))
    return ring.active.to_bytes(4, "big") + nonce + sealed


def unseal(tenant_id: str, purpose: str, sealed: bytes) -> bytes:
    """The secret. SealError for another tenant's, another purpose's, or changed bytes."""
    version, nonce, text = int.from_bytes(sealed[:4], "big"), sealed[4 : 4 + _NONCE], sealed[4 + _NONCE :]
    ring = keys.ring(tenant_id)
    if version not in ring.versions:  # the kept ring may be older than a rotation
        ring = keys.fresh_ring(tenant_id)
    try:
        return ring.of(version).seal.decrypt(nonce, text, _bound(tenant_id, purpose))
    except (InvalidTag, ValueError) as error:
        raise SealError(f"a secret of {tenant_id} for {purpose} does not open") from error


def _bound(tenant_id: str, purpose: str) -> bytes:
    return f"murima secret {tenant_id} {purpose}".encode()
