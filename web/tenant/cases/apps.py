from django.apps import AppConfig


class CasesConfig(AppConfig):
    name = "web.tenant.cases"
    label = "cases"
