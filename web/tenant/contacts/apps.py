from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "web.tenant.contacts"
    label = "contacts"
