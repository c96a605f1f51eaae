from django.apps import AppConfig


class CommunicationsConfig(AppConfig):
    name = "web.tenant.communications"
    label = "communications"
