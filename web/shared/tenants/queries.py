"""Reads about tenants."""

from __future__ import annotations

from web.shared.core.exits import Code, Exit
from web.shared.tenants.context import public_context
from web.shared.tenants.ids import TenantId
from web.shared.tenants.models import Domain, Tenant, TenantStatus


def tenant_by_slug(slug: str) -> Tenant | None:
    """The tenant whose primary host has this slug."""
    with public_context():
        domain = Domain.objects.select_related("tenant").filter(slug=slug, is_primary=True).first()
    return None if domain is None else domain.tenant


def tenant_named(text: str) -> Tenant | None:
    """The tenant with this id or slug, whatever its status."""
    with public_context():
        found: Tenant | None = Tenant.objects.filter(pk=text).first()
    return found or tenant_by_slug(text)


def tenant_wanted(text: str) -> Tenant:
    """As `tenant_named`, for commands. Exit when there is none."""
    found = tenant_named(text)
    if found is None:
        raise nobody_called(text)
    return found


def nobody_called(text: str) -> Exit:
    return Exit(
        f"No tenant has the id or slug {text!r}.", next_step="manage.py tenant_list", code=Code.NOT_FOUND
    )


def tenant_by_host(host: str) -> Tenant | None:
    """The tenant that a host name (lower case, no port) leads to."""
    with public_context():
        domain = Domain.objects.select_related("tenant").filter(domain=host).first()
    return None if domain is None else domain.tenant


def tenant_ids(*, active_only: bool = True) -> list[TenantId]:
    """Ids of the tenants there are, oldest first."""
    with public_context():
        rows = Tenant.objects.order_by("created_at", "pk")
        if active_only:
            rows = rows.filter(status=TenantStatus.ACTIVE)
        return [TenantId(pk) for pk in rows.values_list("pk", flat=True)]
