"""The key pair that signs access tokens: ES256, made from the secret key, published as a JWKS.

Anybody can check a token with the public half, and nobody who can check one can make one. The private half is
derived from MURIMA_SECRET_KEY, so every process has it without a file; what MURIMA_SECRET_KEY_FALLBACKS names
still verifies while a rotation is under way. A token's `kid` is looked up among these keys and nowhere else;
`jku`, `jwk` and `x5u` in a header are not looked at.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

ALGORITHM = "ES256"
# The order of P-256: a private key is a number from 1 to this less one.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    private: ec.EllipticCurvePrivateKey
    public: dict[str, str]


def current() -> SigningKey:
    return _key(settings.SECRET_KEY)


def by_kid(kid: Any) -> SigningKey | None:
    return next((one for one in _all() if one.kid == kid), None)


def jwks() -> dict[str, Any]:
    """The public halves, as RFC 7517 wants them."""
    return {"keys": [one.public for one in _all()]}


def _all() -> list[SigningKey]:
    return [_key(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


@lru_cache(maxsize=8)
def _key(secret: str) -> SigningKey:
    wide = HKDF(algorithm=SHA256(), length=48, salt=None, info=b"murima access tokens").derive(
        secret.encode()
    )
    private = ec.derive_private_key(int.from_bytes(wide, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
    numbers = private.public_key().public_numbers()
    point = {"crv": "P-256", "kty": "EC", "x": _b64(numbers.x), "y": _b64(numbers.y)}
    # RFC 7638: the thumbprint of a key is its name.
    said = json.dumps(point, sort_keys=True, separators=(",", ":")).encode()
    kid = urlsafe_b64encode(hashlib.sha256(said).digest()).rstrip(b"=").decode()
    return SigningKey(kid, private, {**point, "kid": kid, "use": "sig", "alg": ALGORITHM})


def _b64(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
