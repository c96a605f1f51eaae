"""What a webhook's receiver does first: make sure that a message comes from Murima, and now.

Standard Webhooks: the signature is over `id.timestamp.body`, the body exactly as it came. While a secret is
being changed two signatures are sent; one that fits is enough.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

TOLERANCE_SECONDS = 300


class NotSigned(Exception):
    """The message does not come from whoever knows the secret, or is too old. Answer 401 and do nothing."""


def verified(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> dict[str, Any]:
    """The event in `body`, once its signature fits `secret` (`whsec_...`, told when it was made)."""
    sent = {name.lower(): value for name, value in headers.items()}
    try:
        identity, stamp, given = (sent[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
        age = abs((time.time() if now is None else now) - int(stamp))
    except (KeyError, ValueError):
        raise NotSigned("webhook-id, webhook-timestamp or webhook-signature is missing.") from None
    if age > TOLERANCE_SECONDS:
        raise NotSigned(f"The message was signed more than {TOLERANCE_SECONDS} s ago, or ahead.")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    wanted = b"v1," + base64.b64encode(digest)
    if not any(hmac.compare_digest(wanted, one.encode()) for one in given.split()):
        raise NotSigned("No signature fits this secret and this body.")
    event: dict[str, Any] = json.loads(body)
    return event
