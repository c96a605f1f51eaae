from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "web.shared.records"
    label = "records"

    def ready(self) -> None:
        from web.shared.core import erasure, events, jobs
        from web.shared.core.webhooks import outbox

        erasure.eraser("jobs", jobs.erase_files)
        events.consumer("webhooks", outbox.take, wants=outbox.wanted)
