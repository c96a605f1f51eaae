"""How one person wants to be told. No row means: everything, at once, by every channel a rule names.

`channels` maps a type of event ("task.assigned", "task.*", "*") to the channels wanted for it; the most
exact name counts. Quiet hours and the daily digest are wall-clock times of `time_zone`, the organisation's
when it is empty.
"""

from __future__ import annotations

import re
from datetime import time
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from web.shared.core.models import BaseModel
from web.tenant.notifications.choices import CHANNELS, Digest

MAX_TYPES = 200
_TYPE = re.compile(r"\*|[a-z][a-z0-9_]*\.(?:\*|[a-z][a-z0-9_]*)")


def check_wanted(value: object) -> None:
    """{type: [channel, ...]}"""
    if not isinstance(value, dict) or len(value) > MAX_TYPES:
        raise ValidationError("An object of types and their channels.", code="invalid")
    for name, channels in value.items():
        if not isinstance(name, str) or len(name) > 64 or not _TYPE.fullmatch(name):
            raise ValidationError("A type reads task.assigned, task.* or *.", code="invalid")
        if not isinstance(channels, list) or any(one not in CHANNELS for one in channels):
            raise ValidationError(f"Channels are: {', '.join(CHANNELS)}.", code="invalid")


def check_zone(value: str) -> None:
    if value and value not in available_timezones():
        raise ValidationError("Not a time zone of the IANA database.", code="invalid")


class NotificationPreference(BaseModel):
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", editable=False
    )
    channels = models.JSONField(default=dict, blank=True, validators=[check_wanted])
    quiet_start = models.TimeField(null=True, blank=True)
    quiet_end = models.TimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, blank=True, validators=[check_zone])
    digest = models.CharField(max_length=10, choices=Digest.choices, default=Digest.NONE)
    digest_at = models.TimeField(default=time(8, 0), help_text="When a daily digest is sent.")

    class Meta(BaseModel.Meta):
        pass

    def clean(self) -> None:
        if (self.quiet_start is None) != (self.quiet_end is None):
            raise ValidationError({"quiet_end": "Quiet hours have a start and an end."})
        if self.quiet_start is not None and self.quiet_start == self.quiet_end:
            raise ValidationError({"quiet_end": "Quiet hours end at another time than they start."})

    def wanted(self, kind: str, offered: list[str]) -> list[str]:
        """Those of the channels `offered` by a rule that this person wants for events of type `kind`."""
        for name in (kind, f"{kind.partition('.')[0]}.*", "*"):
            if name in self.channels:
                return [channel for channel in offered if channel in self.channels[name]]
        return list(offered)
