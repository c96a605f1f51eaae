from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "web.tenant.calls"
    label = "calls"
