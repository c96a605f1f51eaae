"""Passkeys: WebAuthn registration and assertion, per host.

The relying party is exactly the host that the person looks at, so a passkey made on one organisation's host
answers nowhere else. A ceremony's challenge lies in Redis under the tenant's key for five minutes and is
taken with GETDEL: an answer shown twice finds nothing. With user verification required, as for signing in
without a password, a passkey is two factors in one.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from web.shared.accounts.models import Authenticator, User
from web.shared.accounts.problems import SecondFactorRefused
from web.shared.api.problems import Conflict
from web.shared.core.stores import redis_client
from web.shared.tenants.keys import redis_key

SECONDS = 300
MOST = 20
_CEREMONY = re.compile(r"[A-Za-z0-9_-]{16,64}")
REQUIRED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class Site:
    """Where the ceremony takes place: tenant (or public), the host's name, and the same with its port."""

    tenant_id: str
    host: str
    origin_host: str

    def server(self) -> Fido2Server:
        schemes = ("https",) if settings.SESSION_COOKIE_SECURE else ("https", "http")
        origins = {f"{scheme}://{self.origin_host}" for scheme in schemes}
        relying_party = PublicKeyCredentialRpEntity(id=self.host, name="Murima")
        return Fido2Server(relying_party, verify_origin=lambda origin: origin in origins)


def begin_registration(site: Site, user: User) -> tuple[str, dict[str, Any]]:
    """(ceremony id, options for navigator.credentials.create)."""
    mine = rows_of(user)
    if mine.count() >= MOST:
        raise Conflict(f"There are {MOST} passkeys already. Remove one first.")
    options, state = site.server().register_begin(
        PublicKeyCredentialUserEntity(
            id=user.pk.bytes, name=user.email, display_name=user.name or user.email
        ),
        credentials=[_credential(row) for row in mine.filter(host=site.host)],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=REQUIRED,
    )
    return _keep(site, "register", user.pk, state), dict(options)


def finish_registration(
    site: Site, user: User, *, ceremony: str, credential: Mapping[str, Any], name: str
) -> Authenticator:
    """The new passkey. SecondFactorRefused for an answer that does not fit the ceremony."""
    state = _take(site, "register", ceremony, user.pk)
    try:
        attested: AuthenticatorData = site.server().register_complete(state, dict(credential))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SecondFactorRefused() from None
    data = cast(AttestedCredentialData, attested.credential_data)
    try:
        with transaction.atomic():
            return Authenticator.objects.create(
                user=user,
                kind=Authenticator.Kind.PASSKEY,
                name=name,
                host=site.host,
                credential_id=data.credential_id,
                public_key=bytes(data),
                sign_count=attested.counter,
                confirmed_at=timezone.now(),
            )
    except IntegrityError:
        raise Conflict("This passkey is registered already.") from None


def begin_assertion(site: Site, user: User | None) -> tuple[str, dict[str, Any]]:
    """(ceremony id, options for navigator.credentials.get): for one person, or for whoever has a passkey."""
    allowed = None if user is None else [_credential(row) for row in rows_of(user).filter(host=site.host)]
    options, state = site.server().authenticate_begin(credentials=allowed, user_verification=REQUIRED)
    return _keep(site, "assert", None if user is None else user.pk, state), dict(options)


def finish_assertion(site: Site, *, user: User | None, ceremony: str, credential: Mapping[str, Any]) -> User:
    """Whose passkey answered; `user`'s, when one is given. SecondFactorRefused otherwise."""
    state = _take(site, "assert", ceremony, None if user is None else user.pk)
    try:
        answer = AuthenticationResponse.from_dict(dict(credential))
        with transaction.atomic():
            rows = Authenticator.objects.select_for_update(of=("self",)).select_related("user")
            row = rows.get(kind=Authenticator.Kind.PASSKEY, host=site.host, credential_id=answer.raw_id)
            if user is not None and row.user_id != user.pk:
                raise ValueError("somebody else's passkey")
            _require_owner(row, answer)
            site.server().authenticate_complete(state, [_credential(row)], answer)
            _count(row, answer.response.authenticator_data.counter)
    except (ValueError, TypeError, KeyError, AttributeError, Authenticator.DoesNotExist):
        raise SecondFactorRefused() from None
    return row.user


def rows_of(user: User) -> Any:
    return Authenticator.objects.filter(user=user, kind=Authenticator.Kind.PASSKEY)


def _require_owner(row: Authenticator, answer: AuthenticationResponse) -> None:
    handle = answer.response.user_handle
    if handle is not None and bytes(handle) != row.user_id.bytes:
        raise ValueError("the passkey names another person")


def _count(row: Authenticator, counter: int) -> None:
    """A counter that does not grow means that there are two of this passkey."""
    if (counter or row.sign_count) and counter <= row.sign_count:
        raise ValueError("the signature counter did not grow")
    row.sign_count, row.last_used_at = counter, timezone.now()
    row.save(update_fields=["sign_count", "last_used_at"])


def _credential(row: Authenticator) -> AttestedCredentialData:
    return AttestedCredentialData(bytes(row.public_key or b""))


def _keep(site: Site, purpose: str, user_id: uuid.UUID | None, state: Any) -> str:
    ceremony = secrets.token_urlsafe(24)
    said = json.dumps({"state": state, "user": None if user_id is None else str(user_id)})
    redis_client().set(_key(site, purpose, ceremony), said, ex=SECONDS)
    return ceremony


def _take(site: Site, purpose: str, ceremony: str, user_id: uuid.UUID | None) -> Any:
    if not (
        0 < len(ceremony) <= 64
        and ceremony.isascii()
        and ceremony.replace("-", "").replace("_", "").isalnum()
    ):
        raise SecondFactorRefused()
    kept = cast("str | None", redis_client().getdel(_key(site, purpose, ceremony)))
    said = {} if kept is None else json.loads(kept)
    if not said or said["user"] != (None if user_id is None else str(user_id)):
        raise SecondFactorRefused()
    return said["state"]


def _key(site: Site, purpose: str, ceremony: str) -> str:
    return redis_key(site.tenant_id, "passkey", purpose, ceremony)
