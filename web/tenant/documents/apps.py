from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "web.tenant.documents"
    label = "documents"

    def ready(self) -> None:
        from web.shared.core import entities, erasure, timeline
        from web.shared.tenants import usage
        from web.tenant.documents import personal, queries
        from web.tenant.documents.permissions import DOCUMENTS_VIEW

        entities.entity(
            "document",
            model="documents.Document",
            code=DOCUMENTS_VIEW,
            visible=queries.visible,
            facts=lambda row: row.event_data() | {"mime_type": row.mime_type, "size": row.size},
            contact=lambda row: row.contact_id,
        )
        timeline.provider("case", "documents", queries.of_case)
        timeline.provider("contact", "documents", queries.of_contact)
        erasure.eraser("documents", personal.erase)
        erasure.exporter("documents", personal.export)
        erasure.merger("documents", personal.move, personal.undo)
        usage.counts_elsewhere(queries.bytes_elsewhere)
