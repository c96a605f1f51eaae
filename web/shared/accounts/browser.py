"""Making a browser's session: always a new one, bound to the host's tenant before anything is in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import login
from django.utils import timezone

from web.shared.accounts import session_store as keys
from web.shared.accounts.middleware import tenant_key
from web.shared.accounts.models import BreakGlass, User
from web.shared.accounts.models.proofs import MAX_DEVICE
from web.shared.core.net import client_address

PROOF_LASTS = timedelta(minutes=10)


def open_session(
    request: Any,
    user: User,
    *,
    by_password: bool,
    enrol_only: bool = False,
    break_glass: BreakGlass | None = None,
) -> None:
    """Sign `user` in. Whatever cookie came along is forgotten: nobody can prepare one for somebody else."""
    request.session.flush()
    login(request, user, backend="web.shared.accounts.backends.EmailBackend")
    session, now = request.session, timezone.now()
    session[keys.TENANT_KEY] = tenant_key(request)
    session[keys.SIGNED_IN_AT] = now.isoformat()
    session[keys.DEVICE], session[keys.ADDRESS] = device_of(request), client_address(request)
    if by_password:
        session[keys.PROVED_AT] = now.isoformat()
    if enrol_only:
        session[keys.ENROL_ONLY] = True
    if break_glass is not None:
        session[keys.BREAK_GLASS] = str(break_glass.pk)
        session.set_expiry(max(1, int((break_glass.expires_at - now).total_seconds())))


def proved_lately(request: Any) -> bool:
    """Whether this session saw a password in the last ten minutes."""
    said = request.session.get(keys.PROVED_AT)
    return said is not None and timezone.now() - datetime.fromisoformat(said) < PROOF_LASTS


def device_of(request: Any) -> str:
    """What the client calls itself, as its owner may recognise it."""
    said = request.headers.get("User-Agent", "")
    return "".join(letter for letter in said if letter.isprintable())[:MAX_DEVICE]
