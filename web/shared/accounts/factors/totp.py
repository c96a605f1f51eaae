"""Codes of authenticator apps: RFC 6238, SHA-1, six digits, 30 seconds, one step of tolerance either way.

A code is accepted once: the row remembers the newest step used, under its lock, and only later ones count.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from urllib.parse import quote, urlencode

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from web.shared.accounts.factors import sealing
from web.shared.accounts.models import Authenticator, User
from web.shared.api.problems import Conflict

STEP_SECONDS, DIGITS, TOLERANCE = 30, 6, 1


def code_at(secret: bytes, step: int) -> str:
    """The six digits of a time step (seconds since the epoch // 30)."""
    mac = hmac.new(secret, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = mac[-1] & 15
    number = struct.unpack(">I", mac[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def begin(user: User, *, issuer: str) -> tuple[str, str]:
    """A new, unconfirmed secret: (base32 text, otpauth URI). Conflict when a confirmed one is there."""
    secret = secrets.token_bytes(20)
    with transaction.atomic():
        # Two tabs that begin at once: the later one's secret counts.
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
        if _rows(user).filter(confirmed_at__isnull=False).exists():
            raise Conflict("An authenticator app is set up already. Remove it first.")
        _rows(user).delete()
        Authenticator.objects.create(
            user=user, kind=Authenticator.Kind.TOTP, sealed_secret=sealing.seal(user.pk, secret)
        )
    text = base64.b32encode(secret).decode()
    label = quote(f"{issuer}:{user.email}", safe="")
    values = {"secret": text, "issuer": issuer, "period": STEP_SECONDS, "digits": DIGITS}
    return text, f"otpauth://totp/{label}?{urlencode(values, quote_via=quote)}"


def use(user: User, code: str, *, confirmed: bool = True) -> bool:
    """Whether `code` is right and new for this person's (un)confirmed app; it is used up thereby."""
    with transaction.atomic():
        rows = _rows(user).select_for_update(of=("self",))
        row = rows.filter(confirmed_at__isnull=not confirmed).first()
        if row is None or row.sealed_secret is None or not (code.isascii() and code.isdigit()):
            return False
        step = _step_of(sealing.unseal(user.pk, bytes(row.sealed_secret)), code, after=row.last_step)
        if step is None:
            return False
        row.last_step, row.last_used_at = step, timezone.now()
        if not confirmed:
            row.confirmed_at = timezone.now()
        row.save(update_fields=["last_step", "last_used_at", "confirmed_at"])
    return True


def remove(user: User) -> bool:
    return bool(_rows(user).delete()[0])


def is_set_up(user: User) -> bool:
    return _rows(user).filter(confirmed_at__isnull=False).exists()


def _step_of(secret: bytes, code: str, *, after: int) -> int | None:
    now = _seconds() // STEP_SECONDS
    found = None
    for step in range(now - TOLERANCE, now + TOLERANCE + 1):
        # All are computed whatever fits, so that the time taken says nothing.
        fits = hmac.compare_digest(code_at(secret, step), code)
        if fits and step > after and found is None:
            found = step
    return found


def _rows(user: User) -> QuerySet[Authenticator]:
    return Authenticator.objects.filter(user=user, kind=Authenticator.Kind.TOTP)


def _seconds() -> int:
    return int(timezone.now().timestamp())
