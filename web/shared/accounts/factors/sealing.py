"""Sealing of TOTP secrets: AES-256-GCM under a key derived from the master key, bound to their person."""

from __future__ import annotations

import os
import uuid
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from telephony.sealing import master_key

_NONCE = 12


def seal(user_id: uuid.UUID, secret: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + _sealer(settings.MASTER_KEY).encrypt(nonce, secret, user_id.bytes)


def unseal(user_id: uuid.UUID, sealed: bytes) -> bytes:
    """Raises cryptography's InvalidTag for another person's or a changed seal."""
    return _sealer(settings.MASTER_KEY).decrypt(sealed[:_NONCE], sealed[_NONCE:], user_id.bytes)


@lru_cache(maxsize=2)
def _sealer(master: str) -> AESGCM:
    info = b"murima totp secrets"
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(master_key(master)))
