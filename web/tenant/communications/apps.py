from django.apps import AppConfig


class CommunicationsConfig(AppConfig):
    name = "web.tenant.communications"
    label = "communications"

    def ready(self) -> None:
        from web.shared.core import entities, erasure, timeline
        from web.tenant.communications import events, permissions, personal, queries

        assert events  # declares the types
        entities.entity(
            "conversation",
            model="communications.Conversation",
            code=permissions.VIEW,
            visible=queries.visible,
            facts=queries.facts,
            contact=lambda row: row.contact_id,
        )
        entities.entity(
            "interaction",
            model="communications.Interaction",
            code=permissions.VIEW,
            visible=queries.visible_interactions,
            facts=lambda row: {"direction": row.direction, "delivery_status": row.delivery_status},
            contact=lambda row: row.contact_id,
        )
        timeline.provider("contact", "communications", queries.timeline_of("contact"))
        timeline.provider("case", "communications", queries.timeline_of("case"))
        erasure.eraser("communications", personal.erase)
        erasure.exporter("communications", personal.export)
        erasure.merger("communications", personal.move, personal.put_back)
