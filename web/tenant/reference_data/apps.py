from django.apps import AppConfig


class ReferenceDataConfig(AppConfig):
    name = "web.tenant.reference_data"
    label = "reference_data"
