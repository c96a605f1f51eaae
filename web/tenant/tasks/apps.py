from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "web.tenant.tasks"
    label = "tasks"
