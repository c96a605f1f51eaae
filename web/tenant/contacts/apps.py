from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "web.tenant.contacts"
    label = "contacts"

    def ready(self) -> None:
        from django.contrib.postgres.indexes import OpClass
        from django.db.models.expressions import OrderBy
        from django.db.models.functions import Collate
        from django.db.models.indexes import IndexExpression

        # What django.contrib.postgres would register, without its other effects: indexes may name a class
        # of operators, which a prefix search on reversed numbers needs.
        IndexExpression.register_wrappers(OrderBy, OpClass, Collate)

        from web.tenant.contacts import bulk, erasing, events, story

        assert events  # declares the types
        erasing.register()
        story.register()
        bulk.register()
