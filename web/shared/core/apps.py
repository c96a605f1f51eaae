from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "web.shared.core"
    label = "core"

    def ready(self) -> None:
        # Without it a task sent by the web process would look for a broker of Celery's own default.
        from config import celery  # noqa: F401
        from web.shared.core import migration_checks  # noqa: F401
