"""Sockets as a Django app: it brings commands and checks, no models."""

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "realtime"
    label = "realtime"
