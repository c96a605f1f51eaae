"""A passkey in software: WebAuthn's authenticator and the browser around it, for tests.

Makes ES256 credentials with attestation "none" and answers in the JSON that PublicKeyCredential.toJSON()
gives. `origin` is what a browser would write down; a test lies with it to play a look-alike site.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Passkey:
    origin: str
    flags: int = PRESENT | VERIFIED
    counter: int = 0
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )  # fmt: skip
    user_handle: bytes = b""
    host: str = ""

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """What navigator.credentials.create would answer."""
        wanted = options["publicKey"]
        self.host, self.user_handle = wanted["rp"]["id"], unb64(wanted["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        data = self._data(self.flags | ATTESTED) + attested + cbor.encode(cose)
        client = self._client("webauthn.create", wanted["challenge"])
        statement = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        return self._shown({"clientDataJSON": b64(client), "attestationObject": b64(statement)})

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """What navigator.credentials.get would answer; each time the counter grows."""
        wanted = options["publicKey"]
        self.counter += 1
        data = self._data(self.flags)
        client = self._client("webauthn.get", wanted["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._shown(
            {
                "clientDataJSON": b64(client),
                "authenticatorData": b64(data),
                "signature": b64(signature),
                "userHandle": b64(self.user_handle),
            }
        )

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _shown(self, response: dict[str, str]) -> dict[str, Any]:
        name = b64(self.credential_id)
        return {
            "id": name, "rawId": name, "type": "public-key", "response": response,
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
        }  # fmt: skip
