"""`tenant_suspend <id or slug>` suspends an organisation."""

from __future__ import annotations

from web.shared.accounts.management.tenant_status import TenantStatusCommand
from web.shared.core.actor import Actor
from web.shared.tenants.models import Tenant
from web.shared.tenants.services import tenant_suspend


class Command(TenantStatusCommand):
    help = "Nobody signs in, sockets close, no new call enters; live calls finish."
    name = "tenant_suspend"

    def change(self, *, actor: Actor, tenant: Tenant) -> None:
        tenant_suspend(actor=actor, tenant=tenant)
