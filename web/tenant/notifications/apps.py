from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "web.tenant.notifications"
    label = "notifications"
