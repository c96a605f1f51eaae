from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "web.tenant.calls"
    label = "calls"

    def ready(self) -> None:
        from web.shared.core import at_hand, entities, erasure, timeline
        from web.shared.core.published import publishers
        from web.tenant.calls import exporting, membership, opening, personal, queries
        from web.tenant.calls.permissions import CALLS_VIEW
        from web.tenant.calls.publishing import publish_everything

        publishers.append(publish_everything)
        membership.connect()
        opening.connect()
        entities.entity(
            "call",
            model="calls.Call",
            code=CALLS_VIEW,
            visible=queries.seen_by,
            facts=lambda row: row.event_data() | {"wait_seconds": row.wait.total_seconds()},
            contact=lambda row: row.contact_id,
        )
        at_hand.provider("calls", queries.contacts_at_hand)
        timeline.provider("case", "calls", queries.timeline_of("case"))
        timeline.provider("contact", "calls", queries.timeline_of("contact"))
        exporting.register()
        erasure.eraser("calls", personal.erase)
        erasure.exporter("calls", personal.export)
        erasure.merger("calls", personal.move, personal.put_back)
