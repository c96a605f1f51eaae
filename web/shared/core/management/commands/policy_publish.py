"""Publish a tenant's policy to the daemon: from the tables as they are, or an old version again.

manage.py policy_publish TENANT                 publish queues, numbers and rosters as they are now
manage.py policy_publish TENANT --list          show the versions
manage.py policy_publish TENANT --to 7          go back to version 7, which becomes the newest
"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from web.shared.core import keys, published
from web.shared.core.exits import Code, Exit
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import Domain, Tenant


def tenant_of(text: str) -> str:
    """The tenant id for an id or a slug; raises Exit when there is none."""
    with public_context():
        if Tenant.objects.filter(pk=text).exists():
            return text
        domain = Domain.objects.filter(slug=text, is_primary=True).first()
    if domain is None:
        raise Exit(f"There is no tenant {text!r}.", code=Code.NOT_FOUND)
    return str(domain.tenant_id)


class Command(BaseCommand):
    help = "Publish a tenant's policy to the daemon, or go back to an old version."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="slug or id")
        parser.add_argument("--to", dest="old", type=int, help="publish this version again")
        parser.add_argument("--list", action="store_true", help="show the versions")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = tenant_of(options["tenant"])
        if options["list"]:
            self._list(tenant, options["json"])
            return
        try:
            self._publish(tenant, options["old"])
        except LookupError as error:
            raise Exit(str(error), next_step="policy_publish … --list", code=Code.NOT_FOUND) from error
        except published.Unfit as error:
            raise Exit(
                "The policy is not valid; nothing was published.", why="; ".join(error.problems)
            ) from error
        policy = published.policy(tenant)
        version = 0 if policy is None else policy.manifest.version
        digest = "" if policy is None else policy.hash
        answer = {"tenant": tenant, "version": version, "hash": digest}
        self.stdout.write(json.dumps(answer) if options["json"] else f"{tenant}: version {version}")

    def _publish(self, tenant: str, old: int | None) -> None:
        keys.ensure(tenant)
        if old is not None:
            published.publish_again(tenant, old, actor="policy_publish")
            return
        with tenant_context(tenant), transaction.atomic():
            for publisher in published.publishers:
                publisher(tenant)

    def _list(self, tenant: str, as_json: bool) -> None:
        versions = published.policy_versions(tenant)
        if as_json:
            self.stdout.write(json.dumps(versions, default=str))
            return
        for row in versions:
            self.stdout.write(f"{row['version']:>6}  {row['published']:%Y-%m-%d %H:%M:%S}  {row['actor']}")
