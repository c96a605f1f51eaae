from django.apps import AppConfig


class PlatformAdminConfig(AppConfig):
    """Labelled "platform"; the folder is not, because a top-level `platform` would shadow Python's own."""

    name = "web.shared.platform_admin"
    label = "platform"
