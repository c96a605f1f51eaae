from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    name = "web.tenant.workflows"
    label = "workflows"
