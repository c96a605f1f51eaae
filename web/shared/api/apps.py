from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "web.shared.api"
    label = "api"
