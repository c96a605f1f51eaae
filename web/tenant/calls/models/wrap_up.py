"""What is written when a call is over.

A draft or a finished wrap-up may be stored before the intake has made the call's row, so both name the call
by its id without a foreign key. The intake reads WrapUp each time it writes a call; services copy it to the
call when the row is already there. Whichever comes second completes the row.
"""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from telephony.contract.policy import WRAPUP_TIMEOUT
from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel

MAX_NOTE = 10_000
_code = RegexValidator(r"\A[A-Za-z][A-Za-z0-9_]{0,39}\Z", "Letters, digits and _, beginning with a letter.")


class CallDisposition(BaseModel):
    """A result that an agent may give a call. Reserved ones are given by the system and are never active."""

    code = models.CharField(max_length=40, unique=True, validators=[_code])
    name = models.CharField(max_length=100)
    category = models.CharField(max_length=50, blank=True)
    requires_note = models.BooleanField(default=False)
    requires_follow_up = models.BooleanField(default=False)
    requires_case_creation = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    sort_order = models.PositiveIntegerField(default=0)

    class Meta(BaseModel.Meta):
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(code=WRAPUP_TIMEOUT, is_active=True),
                name="reserved_code_is_not_for_people",
            )
        ]

    def __str__(self) -> str:
        return self.code


class NotReadyReason(BaseModel):
    """Why an agent takes no calls; the code travels in facts, the name is shown."""

    code = models.CharField(max_length=40, unique=True, validators=[_code])
    name = models.CharField(max_length=60)
    is_active = models.BooleanField(default=True)
    sort_order = models.PositiveIntegerField(default=0)

    class Meta(BaseModel.Meta):
        pass

    def __str__(self) -> str:
        return self.code


class CallDraft(models.Model):
    """What an agent has typed so far, kept from the first keystroke on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call_id = models.UUIDField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    note = models.TextField(blank=True, max_length=MAX_NOTE)
    disposition = models.CharField(max_length=40, blank=True)
    revision = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["call_id", "user"], name="one_draft_per_call_and_user")
        ]

    def __str__(self) -> str:
        return f"Draft {self.pk}"


class WrapUp(models.Model):
    """What an agent said about a call, once. It wins over whatever code the daemon's fact carries."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call_id = models.UUIDField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    disposition = models.ForeignKey(CallDisposition, on_delete=models.PROTECT, related_name="+")
    note = models.TextField(blank=True, max_length=MAX_NOTE)
    ask_id = models.CharField(max_length=120, editable=False, help_text="Of the last ask sent for it.")
    finished_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["call_id", "user"], name="one_wrap_up_per_call_and_user")
        ]
        indexes = [models.Index(fields=["call_id", "finished_at"], name="wrap_up_by_call")]

    def __str__(self) -> str:
        return f"Wrap-up {self.pk}"
