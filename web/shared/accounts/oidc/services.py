"""Setting up an organisation's identity providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from web.shared.accounts import rights
from web.shared.accounts.models import IdentityProvider, TenantRole
from web.shared.accounts.oidc import fetch
from web.shared.accounts.oidc.provider import seal_secret
from web.shared.core import audit
from web.shared.core.actor import Actor
from web.shared.core.services import refuse

_SECRET_FIELD = "client_secret"  # noqa: S105 - a field's name


def provider_save(
    *, actor: Actor, provider: IdentityProvider, values: Mapping[str, Any], grantor: rights.Rights | None
) -> IdentityProvider:
    """Make or change a provider. ValidationError names the field; nobody maps to rights they lack."""
    changed = [
        name for name, value in values.items() if name == _SECRET_FIELD or getattr(provider, name) != value
    ]
    made = provider._state.adding
    for name in changed:
        if name != _SECRET_FIELD:
            setattr(provider, name, values[name])
    _check(provider, grantor)
    if _SECRET_FIELD in values:
        provider.sealed_secret = seal_secret(provider, values[_SECRET_FIELD])
    if not changed:
        return provider
    try:
        with transaction.atomic():
            provider.save()
            audit.record(
                actor=actor,
                action="create" if made else "update",
                obj=provider,
                changes=None if made else audit.changed_fields(changed),
            )
    except IntegrityError:
        raise ValidationError({"slug": [ValidationError("It is in use.", code="unique")]}) from None
    return provider


def provider_delete(*, actor: Actor, provider: IdentityProvider) -> None:
    """Forget a provider and what it called people; nobody loses their membership."""
    with transaction.atomic():
        audit.record(actor=actor, action="delete", obj=provider)
        provider.delete()


def _check(provider: IdentityProvider, grantor: rights.Rights | None) -> None:
    try:
        fetch.check(provider.issuer)
    except fetch.Unreachable:
        raise refuse(issuer="This address cannot be asked: https and a public host are needed.") from None
    names = set(provider.role_mapping.values())
    roles = list(TenantRole.objects.filter(tenant_id=provider.tenant_id, name__in=names))
    if names != {one.name for one in roles}:
        raise refuse(role_mapping="There is no such role.")
    if not provider.invite_only and not provider.allowed_domains:
        raise refuse(allowed_domains="Without invitations, say which domains may come in.")
    for role in [*roles, *([provider.default_role] if provider.default_role else [])]:
        rights.require_within(grantor, role.permissions)
