"""A POST that is sent twice acts once.

With `Idempotency-Key`, the view's work and the stored answer are one transaction: either both are committed
or neither, so there is no half-done state to clean up after a crash. While the first request runs, a lock in
PostgreSQL makes the second answer 409. Only successes are stored (a refused body may be corrected and sent
under the same key), for 24 hours, per tenant and per owner of the key. The same key with another method,
path or body is 422.

Answers hold what people typed, and sometimes a secret that is shown once, so they are stored sealed with
a key made of ours and of the client's Idempotency-Key, of which only a hash is kept: the table alone tells
nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.apps import apps
from django.db import connection, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from web.shared.api.problems import FieldError, IdempotencyInProgress, IdempotencyKeyReuse, Malformed
from web.shared.tenants.context import current_tenant_id

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
STORED_HEADERS = ("Location", "ETag")


def run_once(request: Request, owner: str, work: Callable[[], Any]) -> Any:
    """`work()` inside a transaction, or the stored answer to the same request. `owner` is who sends the key.

    `work` returns a REST Response; one of 400 and above rolls everything back and is not stored.
    """
    key = _key(request)
    fingerprint = _fingerprint(request)
    # The platform's host has no tenant's schema, and a table of its own.
    rows = apps.get_model("records" if current_tenant_id() else "platform", "IdempotencyKey").objects
    with transaction.atomic():
        if not _locked(owner, key):
            raise IdempotencyInProgress(headers={"Retry-After": "1"})
        fresh_after = timezone.now() - KEPT
        stored = rows.filter(owner=owner, key=_digest(key)).first()
        if stored is not None and stored.created_at > fresh_after:
            return _replay(stored, key, fingerprint)
        response = work()
        if response.status_code >= 400:
            transaction.set_rollback(True)
            return response
        rows.update_or_create(
            owner=owner,
            key=_digest(key),
            defaults={
                "fingerprint": fingerprint,
                "status": response.status_code,
                "headers": {name: response[name] for name in STORED_HEADERS if response.has_header(name)},
                "body": _seal(key, b"" if response.data is None else JSONRenderer().render(response.data)),
                "created_at": timezone.now(),
            },
        )
    return response


def _replay(stored: Any, key: str, fingerprint: bytes) -> HttpResponse:
    if bytes(stored.fingerprint) != fingerprint:
        raise IdempotencyKeyReuse()
    response = HttpResponse(
        _open(key, bytes(stored.body)), status=stored.status, content_type="application/json"
    )
    for name, value in stored.headers.items():
        response[name] = value
    response["Idempotent-Replayed"] = "true"
    return response


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _sealer(key: str) -> AESGCM:
    return AESGCM(salted_hmac("murima.idempotency", key, algorithm="sha256").digest())


def _seal(key: str, body: bytes) -> bytes:
    nonce = secrets.token_bytes(12)
    return nonce + _sealer(key).encrypt(nonce, body, None)


def _open(key: str, sealed: bytes) -> bytes:
    return _sealer(key).decrypt(sealed[:12], sealed[12:], None)


def _key(request: Request) -> str:
    key: str = request.headers[HEADER]
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise Malformed(
            "The Idempotency-Key cannot be used.",
            errors=[FieldError("", "bad_idempotency_key", "1 to 255 printable ASCII characters.")],
        )
    return key


def _fingerprint(request: Request) -> bytes:
    said = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if (request.content_type or "").startswith("multipart/"):
        # The boundary differs each time, and a file is too large to be held twice: what was sent is hashed.
        sent: Any = request.data
        for name in sorted(sent):
            for value in sent.getlist(name):
                said.update(f"{name}\n{getattr(value, 'name', value)}\n".encode())
                for chunk in value.chunks() if hasattr(value, "chunks") else ():
                    said.update(chunk)
    else:
        said.update(request._request.body)
    return said.digest()


def _locked(owner: str, key: str) -> bool:
    """Take the lock of (schema, owner, key) until the transaction ends; False when somebody has it."""
    schema = getattr(connection, "schema_name", "")
    number = int.from_bytes(
        hashlib.sha256(f"{schema} {owner} {key}".encode()).digest()[:8], "big", signed=True
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return bool(cursor.fetchone()[0])
