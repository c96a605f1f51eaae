"""`tenant_activate <id or slug>` lifts an organisation's suspension."""

from __future__ import annotations

from web.shared.accounts.management.tenant_status import TenantStatusCommand
from web.shared.core.actor import Actor
from web.shared.tenants.models import Tenant
from web.shared.tenants.services import tenant_activate


class Command(TenantStatusCommand):
    help = "Lift a suspension."
    name = "tenant_activate"

    def change(self, *, actor: Actor, tenant: Tenant) -> None:
        tenant_activate(actor=actor, tenant=tenant)
