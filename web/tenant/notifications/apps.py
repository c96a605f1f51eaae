from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "web.tenant.notifications"
    label = "notifications"

    def ready(self) -> None:
        from web.shared.core import erasure, events
        from web.tenant.notifications import actions, consume, delivery, mail, personal

        events.consumer("notifications", consume.consume, wants=consume.wanted)
        delivery.sender("email", mail.send)
        actions.register()
        erasure.eraser("notifications", personal.erase)
        erasure.exporter("notifications", personal.export)
        erasure.merger("notifications", personal.move, personal.put_back)
