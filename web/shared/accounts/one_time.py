"""Random secrets that are shown once and kept as SHA-256: links in mails, recovery codes, entry tickets."""

from __future__ import annotations

import hashlib
import secrets

LONGEST = 128


def make(prefix: str) -> str:
    """256 random bits as text. The prefix tells a scanner of leaked secrets what it found."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
