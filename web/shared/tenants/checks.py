"""What must hold before the product starts, about tenancy.

Each is an error, not a warning: a deployment that breaks one of them could show a tenant another's rows.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

SHARED_ONLY = {"django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin"}


@register(Tags.security)
def apps_live_in_one_place(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """SHARED ∩ TENANT = ∅, and what must be shared is."""
    both = set(settings.SHARED_APPS) & set(settings.TENANT_APPS)
    problems: list[CheckMessage] = [
        Error(
            f"{name} is in SHARED_APPS and in TENANT_APPS: a query could find the wrong table.",
            id="murima.E001",
        )
        for name in sorted(both)
    ]
    problems += [
        Error(f"{name} must be in SHARED_APPS only.", id="murima.E002")
        for name in sorted(SHARED_ONLY & set(settings.TENANT_APPS))
    ]
    return problems


@register(Tags.security)
def search_path_is_always_set(app_configs: Any, **_: Any) -> list[CheckMessage]:
    if getattr(settings, "TENANT_LIMIT_SET_CALLS", False):
        return [
            Error(
                "TENANT_LIMIT_SET_CALLS is on: after a savepoint's rollback it reads another tenant's rows.",
                id="murima.E003",
            )
        ]
    return []


@register(Tags.security)
def backend_is_ours(app_configs: Any, **_: Any) -> list[CheckMessage]:
    engine = settings.DATABASES["default"]["ENGINE"]
    if engine != "web.shared.tenants.backend":
        return [Error(f"The database engine is {engine}; only ours fails closed.", id="murima.E004")]
    return []


@register(Tags.database)
def no_tenant_table_in_public(app_configs: Any, databases: Any = None, **_: Any) -> list[CheckMessage]:
    """With `check --database default`, and in doctor: a tenant's table in public would be read instead."""
    if not databases:
        return []
    from django.db import connection

    from web.shared.tenants.context import public_context

    names = [
        model._meta.db_table
        for config in apps.get_app_configs()
        if config.name in settings.TENANT_APPS
        for model in config.get_models(include_auto_created=True)
    ]
    with public_context(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(%s)", [names]
        )
        found = [row[0] for row in cursor.fetchall()]
    return [
        Error(f"Table public.{name} belongs in tenants' schemas only.", id="murima.E005")
        for name in sorted(found)
    ]
