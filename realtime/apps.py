"""Sockets as a Django app: it brings commands, rows of the permission registry and signals, no models."""

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "realtime"
    label = "realtime"

    def ready(self) -> None:
        from realtime import access, closing, notices
        from web.shared.core import push

        access.connect()
        push.sender(notices.send)
        closing.allow_standard_codes()
