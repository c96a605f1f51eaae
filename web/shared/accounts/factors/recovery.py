"""Recovery codes: ten of 80 bits, shown once, kept as SHA-256, each good once."""

from __future__ import annotations

import hashlib
import secrets

from django.db import transaction
from django.utils import timezone

from web.shared.accounts.models import RecoveryCode, User

HOW_MANY, GROUPS, GROUP = 10, 4, 4
# Crockford's: no letter that reads like a digit.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def renew(user: User) -> list[str]:
    """New codes; the older ones stop working."""
    codes = [_code() for _ in range(HOW_MANY)]
    with transaction.atomic():
        RecoveryCode.objects.filter(user=user).delete()
        RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(user, one)) for one in codes)
    return codes


def use(user: User, code: str) -> bool:
    """Whether this is one of the person's unused codes; it is used up thereby."""
    unused = RecoveryCode.objects.filter(user=user, digest=_digest(user, code), used_at=None)
    return unused.update(used_at=timezone.now()) == 1


def left(user: User) -> int:
    return RecoveryCode.objects.filter(user=user, used_at=None).count()


def forget(user: User) -> None:
    RecoveryCode.objects.filter(user=user).delete()


def _code() -> str:
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))
    return "-".join(groups)


def _digest(user: User, code: str) -> bytes:
    plain = "".join(letter for letter in code.upper() if letter in ALPHABET)
    return hashlib.sha256(user.pk.bytes + plain.encode()).digest()
