from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "web.tenant.documents"
    label = "documents"
