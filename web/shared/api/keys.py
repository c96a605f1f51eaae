"""API keys: made, changed, revoked, and recognised in a request.

A key's text is `mrk_live_<8>_<32>`, shown once. It can do what its maker could do for everybody when it was
made, never more, and never what would let it grow: make keys, or change people and their roles. A key acts
as itself, not as a person: rows it writes have no author, the audit trail names the key.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from web.shared.accounts import registry
from web.shared.accounts.registry import Scope
from web.shared.api.models import APIKey
from web.shared.api.problems import BadToken, Forbidden
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.core.viewer import Viewer

PREFIX = "mrk_"
_LETTERS = string.ascii_letters + string.digits
# What would let a key give itself or others more than it has.
NEVER = frozenset({"apikeys.manage", "users.manage", "roles.manage"})
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeyPrincipal:
    """`request.user` of a request that came with a key: somebody, but no person."""

    key: APIKey
    pk: None = None
    id: None = None
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    is_staff: bool = False
    is_platform_admin: bool = False

    @property
    def viewer(self) -> Viewer:
        known = registry.permissions.keys() - NEVER
        scopes = {code: Scope(scope) for code, scope in self.key.permissions.items() if code in known}
        return Viewer(user_id=None, scopes=scopes)


def key_create(
    *, actor: Actor, maker: Viewer, tenant_id: str, values: Mapping[str, Any]
) -> tuple[APIKey, str]:
    """A new key and its text, which is nowhere afterwards. `values["scopes"]`: codes that `maker` holds."""
    values = dict(values)
    scopes = _granted(values.pop("scopes"), maker)
    prefix = f"{PREFIX}live_{_random(8)}"
    text = f"{prefix}_{_random(32)}"
    row = base.create(
        APIKey,
        actor=actor,
        values={
            **values,
            "tenant_id": tenant_id,
            "prefix": prefix,
            "digest": _digest(text),
            "permissions": scopes,
        },
    )
    return row, text


def key_update(*, actor: Actor, maker: Viewer, key: APIKey, values: Mapping[str, Any]) -> APIKey:
    """Change a key; it keeps codes that it has, whoever changes it, and gains only what `maker` holds."""
    values = dict(values)
    if "scopes" in values:
        values["permissions"] = _granted(values.pop("scopes"), maker, had=key.permissions)
    return base.update(key, actor=actor, values=values)


def key_revoke(*, actor: Actor, key: APIKey) -> APIKey:
    """From now on nobody gets in with it."""
    with transaction.atomic():
        base.update(key, actor=actor, values={"is_active": False})
        return base.soft_delete(key, actor=actor)


def recognised(text: str, *, tenant_id: str, address: str | None) -> KeyPrincipal:
    """Who comes with this key to this tenant's host. BadToken, the same for every reason; Forbidden when only
    the address is wrong. One query, and once a minute a second that notes the use."""
    key = APIKey.all_objects.filter(digest=_digest(text), tenant_id=tenant_id).first()
    if key is None or not key.is_usable:
        raise BadToken()
    if key.networks and not _inside(address, key.networks):
        raise Forbidden("This key may not be used from your address.")
    _note_use(key)
    return KeyPrincipal(key)


def _note_use(key: APIKey) -> None:
    now = timezone.now()
    earlier = now - USE_NOTED_EVERY
    if key.last_used is None or key.last_used < earlier:
        unnoted = Q(last_used=None) | Q(last_used__lt=earlier)
        # Not a change of the key: neither its revision nor the audit trail is touched.
        APIKey.all_objects.filter(unnoted, pk=key.pk).update(last_used=now)


def _granted(codes: Iterable[str], maker: Viewer, had: Iterable[str] = ()) -> dict[str, str]:
    """The permissions of a key with these scopes. Forbidden names the first that `maker` cannot give."""
    wanted, kept = set(codes), set(had)
    strange = sorted(wanted - (registry.permissions.keys() - NEVER))
    if strange:
        said = f"No key can have: {', '.join(strange)}. Each operation in /api/docs/ names its scope."
        raise ValidationError({"scopes": [ValidationError(said, code="unknown_scope")]})
    for code in sorted(wanted - kept):
        if maker.scope(code) is not Scope.ALL:
            raise Forbidden("You cannot give a key more than you may do yourself.", permission=code)
    return dict.fromkeys(sorted(wanted), Scope.ALL.value)


def _inside(address: str | None, networks: Iterable[str]) -> bool:
    if address is None:
        return False
    peer = ipaddress.ip_address(address)
    return any(peer in ipaddress.ip_network(one) for one in networks)


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
