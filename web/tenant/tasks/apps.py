from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "web.tenant.tasks"
    label = "tasks"

    def ready(self) -> None:
        from web.shared.core import erasure, timeline
        from web.shared.core.entities import entity
        from web.tenant.tasks import (
            actions,
            exporting,
            permissions,
            personal,
            queries,
        )

        entity(
            "task",
            model="tasks.Task",
            code=permissions.TASKS_VIEW,
            visible=queries.visible,
            facts=queries.facts,
            contact=queries.contact_of,
        )
        timeline.provider("case", "tasks", queries.timeline_of(queries.of_case))
        timeline.provider("contact", "tasks", queries.timeline_of(queries.of_contact))
        erasure.eraser("tasks", personal.erase)
        erasure.exporter("tasks", personal.export)
        actions.register()
        exporting.register()
        erasure.merger("tasks", personal.move, personal.put_back)
