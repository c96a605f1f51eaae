from django.apps import AppConfig
from django.db.models.signals import post_save
from django.utils.module_loading import autodiscover_modules


class AccountsConfig(AppConfig):
    name = "web.shared.accounts"
    label = "accounts"

    def ready(self) -> None:
        from web.shared.accounts import checks  # noqa: F401
        from web.shared.accounts.api import openapi  # noqa: F401
        from web.shared.accounts.factors import policy
        from web.shared.tenants.organization_settings import setting

        setting(policy.SETTING, policy.SCHEMA, default=[])
        post_save.connect(policy.on_tenant_saved, sender="tenants.Tenant", dispatch_uid="accounts.policy")

        # Each app's permissions.py declares its codes and its routes, its events.py its domain events.
        autodiscover_modules("permissions", "events")
