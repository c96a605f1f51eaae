from django.apps import AppConfig


class CasesConfig(AppConfig):
    name = "web.tenant.cases"
    label = "cases"

    def ready(self) -> None:
        from django.contrib.postgres.lookups import TrigramWordSimilar
        from django.db.models import CharField

        from web.shared.core.events import consumer
        from web.tenant.cases import actions, events, exporting, personal, stages, story
        from web.tenant.cases.services import sla

        CharField.register_lookup(TrigramWordSimilar)  # what django.contrib.postgres would do
        assert events  # declares the types
        consumer("sla", sla.consume, wants=sla.wanted)
        consumer("case_stages", stages.follow, wants=stages.wanted)
        personal.register()
        story.register()
        exporting.register()
        actions.register()
