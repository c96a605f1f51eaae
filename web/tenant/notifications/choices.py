"""Fixed lists of notifications."""

from __future__ import annotations

from django.db import models


class Channel(models.TextChoices):
    IN_APP = "in_app", "In the application"
    EMAIL = "email", "E-mail"
    SMS = "sms", "SMS"


class DeliveryState(models.TextChoices):
    PENDING = "pending", "Pending"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Not needed any more"


class Digest(models.TextChoices):
    NONE = "none", "Each at once"
    HOURLY = "hourly", "Once an hour"
    DAILY = "daily", "Once a day"


CHANNELS = tuple(Channel.values)
