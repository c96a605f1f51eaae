from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "web.shared.records"
    label = "records"
