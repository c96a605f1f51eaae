from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "web.tenant.calls"
    label = "calls"

    def ready(self) -> None:
        from web.shared.core.published import publishers
        from web.tenant.calls import membership
        from web.tenant.calls.publishing import publish_everything

        publishers.append(publish_everything)
        membership.connect()
