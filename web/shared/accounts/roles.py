"""The six roles a tenant starts with, computed from the registry.

`default_permissions` reads which roles each code names; `role_rows_sync` gives a tenant its rows and, later,
brings what a new release added to roles that are still as shipped (`is_system_role`; editing one clears it).
"""

from __future__ import annotations

from web.shared.accounts import registry
from web.shared.accounts.models import TenantRole
from web.shared.tenants.models import Tenant

ROLES: dict[str, str] = {
    "admin": "Administrator",
    "supervisor": "Supervisor",
    "agent": "Agent",
    "case_worker": "Case worker",
    "telephony_admin": "Telephony administrator",
    "viewer": "Viewer",
}


def default_permissions(role: str) -> dict[str, str]:
    """Code → scope that `role` has in a new tenant."""
    return {
        code: entry.roles[role].value
        for code, entry in sorted(registry.permissions.items())
        if role in entry.roles
    }


def role_rows_sync(tenant: Tenant) -> dict[str, TenantRole]:
    """The tenant's roles by name: missing ones made, those still as shipped brought up to date."""
    rows = {row.name: row for row in TenantRole.objects.filter(tenant=tenant)}
    for name, display_name in ROLES.items():
        shipped = default_permissions(name)
        row = rows.setdefault(
            name, TenantRole(tenant=tenant, name=name, display_name=display_name, is_system_role=True)
        )
        if row.is_system_role and row.permissions != shipped:
            row.permissions = shipped
            row.save()
    return rows
