from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "web.shared.core"
    label = "core"

    def ready(self) -> None:
        from web.shared.core import migration_checks  # noqa: F401
