"""An endpoint's secret: shown once, stored sealed, and two at a time while it is being changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from datetime import datetime, timedelta

from web.shared.core import sealed
from web.shared.records.models import WebhookEndpoint

PREFIX = "whsec_"
OVERLAP = timedelta(hours=24)
_PURPOSE = "webhook"


def new() -> str:
    """A fresh secret as the receiver gets it."""
    return PREFIX + base64.b64encode(os.urandom(32)).decode()


def seal(tenant_id: str, endpoint: WebhookEndpoint, secret: str) -> bytes:
    return sealed.seal(tenant_id, f"{_PURPOSE} {endpoint.pk}", secret.encode())


def active(tenant_id: str, endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """The secrets that sign now, newest first."""
    stored = [endpoint.secret]
    if endpoint.previous_secret and endpoint.previous_is_valid(now):
        stored.append(endpoint.previous_secret)
    return [sealed.unseal(tenant_id, f"{_PURPOSE} {endpoint.pk}", bytes(one)).decode() for one in stored]


def signatures(secrets: list[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature header: `v1,<base64>` for each secret, separated by spaces."""
    said = f"{message_id}.{timestamp}.".encode() + body
    found = []
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix(PREFIX))
        found.append("v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode())
    return " ".join(found)
