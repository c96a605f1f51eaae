from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    name = "web.tenant.workflows"
    label = "workflows"

    def ready(self) -> None:
        from web.shared.core import erasure as registry
        from web.shared.core import events, timeline
        from web.shared.tenants import provisioning
        from web.tenant.workflows import erasure, following, own_actions, queries, rules, services

        own_actions.register()
        events.consumer("rules", rules.consume, wants=rules.wanted)
        events.consumer("workflows", following.consume, wants=following.wanted)
        registry.eraser("workflows", erasure.erase)
        registry.exporter("workflows", erasure.export)
        registry.merger("workflows", erasure.move, erasure.undo)
        for entity in ("case", "contact", "task"):
            timeline.provider(entity, "workflows", queries.timeline_of(entity))
        provisioning.step("workflows", services.defaults_load)
