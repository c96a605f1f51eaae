"""Tokens of API clients: a short-lived signed access token and a chain of refresh tokens.

Access: a JWT (ES256 only, see signing.py, five minutes) naming user, tenant and family; it is good on that
tenant's host alone and dies with the family, the membership or the password. Refresh: 256
random bits, stored as SHA-256, good once. Using one a second time means that two parties hold it, so the
whole family is revoked. Nothing here decides who may sign in; sign_in.py does.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from web.shared.accounts import signing
from web.shared.accounts.models import RefreshToken, TokenFamily, User
from web.shared.accounts.signals import tokens_revoked
from web.shared.api.problems import BadToken

ISSUER = "murima"
TYPE = "access"
HEADER_TYPE = "at+jwt"


@dataclass(frozen=True, slots=True)
class TokenPair:
    access_token: str
    refresh_token: str
    expires_in: int


def issue(user: User, tenant_id: str, *, address: str | None = None, device: str = "") -> TokenPair:
    """A new family for this user in this tenant; where the client is, its owner sees in the list."""
    family = TokenFamily.objects.create(
        user=user, tenant_id=tenant_id, last_used_at=timezone.now(), ip_address=address, device=device
    )
    return _pair(family)


def rotate(refresh_token: str, tenant_id: str) -> TokenPair:
    """The next pair for `refresh_token`. BadToken when it is unknown, late, revoked or another tenant's.

    A token used before revokes its family: the caller learns only that the token is bad.
    """
    with transaction.atomic():
        row = (
            RefreshToken.objects.select_for_update(of=("self",))
            .select_related("family__user")
            .filter(digest=_digest(refresh_token), family__tenant_id=tenant_id)
            .first()
        )
        if row is None or row.expires_at <= timezone.now() or row.family.revoked_at is not None:
            raise BadToken()
        fresh = row.used_at is None
        if fresh:
            row.used_at = timezone.now()
            row.save(update_fields=["used_at"])
            row.family.last_used_at = row.used_at
            row.family.save(update_fields=["last_used_at"])
            pair = _pair(row.family)
        else:
            revoke(row.family, because="refresh token used twice")
    if not fresh:
        raise BadToken()
    return pair


def revoke(family: TokenFamily, *, because: str) -> None:
    TokenFamily.objects.filter(pk=family.pk, revoked_at=None).update(
        revoked_at=timezone.now(), revoked_because=because
    )
    tokens_revoked.send(sender=TokenFamily, tenant_id=family.tenant_id, user_id=family.user_id)


def family_of_refresh(refresh_token: str, tenant_id: str) -> TokenFamily | None:
    row = (
        RefreshToken.objects.select_related("family")
        .filter(digest=_digest(refresh_token), family__tenant_id=tenant_id)
        .first()
    )
    return None if row is None else row.family


def family_of_access(access_token: str, tenant_id: str) -> TokenFamily:
    """The living family behind an access token shown on this tenant's host. BadToken otherwise."""
    claims = _claims(access_token, tenant_id)
    family = TokenFamily.objects.select_related("user").filter(pk=claims["sid"], tenant_id=tenant_id).first()
    if family is None or family.revoked_at is not None or str(family.user_id) != claims["sub"]:
        raise BadToken()
    issued = datetime.fromtimestamp(claims["iat"], UTC)
    if not family.user.is_active or issued < family.user.credentials_changed_at.replace(microsecond=0):
        raise BadToken()
    return family


def _pair(family: TokenFamily) -> TokenPair:
    refresh_token = "mrr_" + secrets.token_urlsafe(32)
    RefreshToken.objects.create(
        family=family,
        digest=_digest(refresh_token),
        expires_at=timezone.now() + settings.REFRESH_TOKEN_LIFETIME,
    )
    now, lifetime = timezone.now(), settings.ACCESS_TOKEN_LIFETIME
    claims = {
        "iss": ISSUER, "aud": family.tenant_id, "tid": family.tenant_id, "sub": str(family.user_id),
        "sid": str(family.pk), "typ": TYPE, "jti": uuid.uuid4().hex, "iat": now, "exp": now + lifetime,
    }  # fmt: skip
    key = signing.current()
    access_token = jwt.encode(
        claims, key.private, algorithm=signing.ALGORITHM, headers={"typ": HEADER_TYPE, "kid": key.kid}
    )
    return TokenPair(access_token, refresh_token, int(lifetime.total_seconds()))


def _claims(access_token: str, tenant_id: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(access_token)
        key = signing.by_kid(header.get("kid"))
        if key is None or header.get("typ") != HEADER_TYPE:
            raise BadToken()
        claims: dict[str, Any] = jwt.decode(
            access_token,
            key.private.public_key(),
            algorithms=[signing.ALGORITHM],
            audience=tenant_id,
            issuer=ISSUER,
            options={"require": ["exp", "iat", "sub", "aud", "iss", "sid", "typ", "tid"]},
        )
        uuid.UUID(claims["sid"])
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        raise BadToken() from None
    if claims["typ"] != TYPE or claims["tid"] != tenant_id:
        raise BadToken()
    return claims


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
