"""What a new tenant is given: each app's own steps, in the order in which the apps are installed.

An app registers in `ready()`: `step("reference_data", defaults_load)`. A step runs inside the tenant, in a
transaction together with the note that it was done, so it is done once and wholly, whatever was killed when;
steps that a later release brings are run for the tenants there are by `tenant_migrate`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

from web.shared.core.actor import Actor
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import ProvisioningStep

Step = Callable[[Actor], Any]
steps: dict[str, Step] = {}


def step(name: str, run: Step) -> None:
    """Register `run(actor)`; the name is what is remembered, so it never changes."""
    if steps.setdefault(name, run) is not run:
        raise ValueError(f"two provisioning steps are called {name}")


def pending(tenant_id: str) -> list[str]:
    """Names of the steps that this tenant has not had, in order."""
    with public_context():
        done = set(ProvisioningStep.objects.filter(tenant_id=tenant_id).values_list("name", flat=True))
    return [name for name in steps if name not in done]


def provision(tenant_id: str, actor: Actor) -> int:
    """Run the steps that are missing; returns how many. What a step raises comes through."""
    names = pending(tenant_id)
    for name in names:
        with tenant_context(tenant_id), transaction.atomic():
            with connection.cursor() as cursor:
                # Two processes may provision one tenant; the second finds the step done.
                cursor.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                    [f"murima provisioning {tenant_id}"],
                )
            if not ProvisioningStep.objects.filter(tenant_id=tenant_id, name=name).exists():
                steps[name](actor)
                ProvisioningStep.objects.create(tenant_id=tenant_id, name=name)
    return len(names)
