"""A sign-in between the password and the second factor.

The client holds a signed note for five minutes: who, in which tenant, for a session or for a token. It dies
with the password. Guessing is slowed per note (five tries, then the password again) and per person (twenty
in the window, from whatever address); neither can be used up by somebody who does not know the password, so
nobody can lock anybody out.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core import signing

from web.shared.accounts import limits
from web.shared.accounts.factors import passkeys, recovery, totp
from web.shared.accounts.models import User
from web.shared.accounts.problems import SecondFactorRefused
from web.shared.accounts.queries import may_enter

SECONDS = 300
TRIES = 5
TOTP, PASSKEY, RECOVERY = "totp", "passkey", "recovery_code"
METHODS = (TOTP, PASSKEY, RECOVERY)
_SALT = "murima.second-factor"


@dataclass(frozen=True, slots=True)
class Pending:
    user: User
    purpose: str
    note: str
    by_password: bool


def methods_of(user: User, host: str) -> list[str]:
    """What this person can prove themselves with on this host; empty when they have no factor at all."""
    app, keys = totp.is_set_up(user), list(passkeys.rows_of(user).values_list("host", flat=True))
    if not app and not keys:
        return []
    found = [TOTP] if app else []
    found += [PASSKEY] if host in keys else []
    return [*found, RECOVERY]


def begin(user: User, *, tenant_id: str, purpose: str, by_password: bool = True) -> str:
    """The note to hand to the client. `purpose`: session or token. `by_password`: what the first step was."""
    said = {
        "by_password": by_password,
        "user": str(user.pk), "tenant": tenant_id, "purpose": purpose, "id": secrets.token_hex(8),
        "credentials": user.credentials_changed_at.isoformat(),
    }  # fmt: skip
    return signing.dumps(said, salt=_SALT)


def read(state: str, *, tenant_id: str, purpose: str) -> Pending:
    """SecondFactorRefused when the note is not ours, late, of another tenant, or older than the password."""
    try:
        said = signing.loads(state, salt=_SALT, max_age=SECONDS)
    except signing.BadSignature:
        raise SecondFactorRefused() from None
    user = User.objects.filter(pk=said["user"]).first()
    fits = (said["tenant"], said["purpose"]) == (tenant_id, purpose)
    if not fits or user is None or user.credentials_changed_at.isoformat() != said["credentials"]:
        raise SecondFactorRefused()
    if not may_enter(user, tenant_id):
        raise SecondFactorRefused()
    return Pending(user, purpose, said["id"], said["by_password"])


def finish(
    pending: Pending,
    *,
    site: passkeys.Site,
    method: str,
    code: str = "",
    ceremony: str = "",
    credential: Mapping[str, Any] | None = None,
) -> User:
    """Check the factor. SecondFactorRefused, the same for every reason; Throttled."""
    limits.count(site.tenant_id, "note", pending.note, TRIES)
    limits.count(site.tenant_id, "factor", str(pending.user.pk), limits.limit_of("second_factor"))
    if method == PASSKEY:
        passkeys.finish_assertion(
            site, user=pending.user, ceremony=ceremony, credential=credential or {}
        )  # fmt: skip
    elif not (totp.use if method == TOTP else recovery.use)(pending.user, code):
        raise SecondFactorRefused()
    limits.take_back(site.tenant_id, "factor", str(pending.user.pk))
    return pending.user
