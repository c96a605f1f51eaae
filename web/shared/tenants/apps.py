from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "web.shared.tenants"
    label = "tenants"

    def ready(self) -> None:
        from web.shared.tenants import checks, grants  # noqa: F401
