"""Passwords and keys of one local stack, generated once and kept in a file that only its owner reads.

They guard nothing but a development machine's loopback; production gets its own from its operator.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

_WORDS = ("postgres", "owner", "app", "daemon", "redis", "ari", "ami", "secret_key", "ask_key")


def load(file: Path) -> dict[str, str]:
    """Read the file, adding what is missing; `master_key` is base64 of 32 bytes, `entityid` a MAC."""
    try:
        kept: dict[str, str] = json.loads(file.read_text())
    except FileNotFoundError:
        kept = {}
    fresh = {name: secrets.token_hex(24) for name in _WORDS}
    fresh["master_key"] = base64.b64encode(secrets.token_bytes(32)).decode()
    fresh["entityid"] = ":".join(f"{b:02x}" for b in (2, *secrets.token_bytes(5)))
    whole = {**fresh, **kept}
    if whole != kept:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as target:
            json.dump(whole, target, indent=1)
    return whole
