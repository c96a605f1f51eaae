"""Calls as they were.

CallEvent keeps every fact about a call; Call, QueueVisit and Segment are computed from them (history.py) and
written again whenever a new fact comes, so they are the same whatever the order of commits and restarts was.
What people add (contact, disposition, note) is theirs and survives that.

The caller's number and name are copied from the erasable party when the call comes in; erasing the party
empties them here too. Durations are exact to the microsecond, from the instants of the facts.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Reverse

from web.shared.core.models import BaseModel
from web.tenant.calls.choices import (
    ALIVE,
    CALL_OUTCOMES,
    LEG_ENDS,
    OFFER_OUTCOMES,
    VISIT_OUTCOMES,
    CallStatus,
    Direction,
    SegmentKind,
    TransferStatus,
    TransferTarget,
    TransferType,
)
from web.tenant.calls.models.routing import CallQueue, NumberRoute
from web.tenant.calls.models.wrap_up import MAX_NOTE, CallDisposition

_USUAL = {"status": "completed", "outcome": "completed", "direction": "inbound"}
"""What most calls are."""


class Call(BaseModel):
    """A call; its id is the one the daemon gave it."""

    event_name = "call"

    direction = models.CharField(max_length=10, choices=Direction.choices, default=Direction.INBOUND)
    status = models.CharField(max_length=10, choices=CallStatus.choices, default=CallStatus.RINGING)
    outcome = models.CharField(max_length=10, choices=CALL_OUTCOMES, blank=True)
    party = models.UUIDField(null=True, blank=True, db_index=True)
    caller_number = models.CharField(max_length=50, blank=True)
    caller_name = models.CharField(max_length=200, blank=True)
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.SET_NULL, null=True, blank=True, related_name="calls"
    )
    case = models.ForeignKey(
        "cases.Case", on_delete=models.SET_NULL, null=True, blank=True, related_name="calls"
    )
    number = models.ForeignKey(
        NumberRoute, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    queue = models.ForeignKey(
        CallQueue, on_delete=models.PROTECT, null=True, blank=True, related_name="calls"
    )
    agent = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    started_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    wait = models.DurationField()
    talk = models.DurationField()
    hold = models.DurationField()
    wrap_up = models.DurationField()
    disposition = models.ForeignKey(
        CallDisposition, on_delete=models.PROTECT, null=True, blank=True, related_name="calls"
    )
    note = models.TextField(blank=True, max_length=MAX_NOTE)
    asterisk_ids = models.JSONField(default=dict, blank=True)
    last_seq = models.BigIntegerField(default=0, help_text="The newest fact that this row shows.")

    class Meta(BaseModel.Meta):
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="call_by_start"),
            # Calls without an end come last in both directions, so one index read backwards will not do.
            models.Index(fields=["ended_at", "id"], name="call_by_end"),
            models.Index(F("ended_at").desc(nulls_last=True), F("id").desc(), name="call_by_last_end"),
            # What few calls are: in the order of time they would be met late.
            *[
                models.Index(
                    fields=[name, "-started_at", "-id"], name=f"call_by_{name}", condition=~Q(**{name: usual})
                )
                for name, usual in _USUAL.items()
            ],
            models.Index(fields=["agent", "-started_at"], name="call_by_agent"),
            models.Index(fields=["contact", "-started_at"], name="call_by_contact"),
            models.Index(fields=["queue", "-started_at"], name="call_by_queue"),
            models.Index(fields=["case", "-started_at"], name="call_by_case"),
            # Searching by the last digits: the longest part that every way of writing a number shares.
            models.Index(OpClass(Reverse("caller_number"), name="text_pattern_ops"), name="call_by_suffix"),
            models.Index(
                fields=["status"],
                name="call_alive",
                condition=models.Q(status__in=[one.value for one in ALIVE]),
            ),
            models.Index(fields=["caller_number", "-started_at"], name="call_by_number"),
        ]

    def __str__(self) -> str:
        return f"Call {self.pk}"

    def event_data(self) -> dict[str, Any]:
        return {
            "direction": self.direction,
            "status": self.status,
            "outcome": self.outcome,
            "queue": self.queue_id,
            "agent": self.agent_id,
            "contact": self.contact_id,
            "case": self.case_id,
            "disposition": None if self.disposition is None else self.disposition.code,
        }


class CallEvent(models.Model):
    """One fact about a call, as the log has it. The log's seq is gap-free per tenant, so it is the key."""

    seq = models.BigIntegerField(primary_key=True)
    # No constraint: facts are kept even for a call whose row could not be made.
    call = models.ForeignKey(Call, on_delete=models.DO_NOTHING, db_constraint=False, related_name="events")
    type = models.CharField(max_length=40)
    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="+",
    )
    details = models.JSONField(default=dict)

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT")

    class Meta:
        ordering = ["seq"]
        indexes = [models.Index(fields=["call", "seq"], name="event_by_call")]

    def __str__(self) -> str:
        return f"{self.type} {self.seq}"


class QueueVisit(models.Model):
    """One stay in one queue."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="visits")
    number = models.PositiveIntegerField(help_text="1 for the first visit of the call.")
    queue = models.ForeignKey(CallQueue, on_delete=models.PROTECT, related_name="+")
    demand = models.CharField(max_length=100, blank=True)
    entered_at = models.DateTimeField(db_index=True)
    left_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=VISIT_OUTCOMES, blank=True)
    wait = models.DurationField(null=True, blank=True)
    offers = models.PositiveIntegerField(default=0)
    agent = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["call", "number"]
        constraints = [models.UniqueConstraint(fields=["call", "number"], name="one_row_per_visit")]
        indexes = [models.Index(fields=["queue", "entered_at"], name="visit_by_queue")]

    def __str__(self) -> str:
        return f"{self.call_id} visit {self.number}"


class Segment(models.Model):
    """One participant's leg, from its first ring to its end; totals of a person are sums of segments."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="segments")
    leg = models.CharField(max_length=50)
    kind = models.CharField(max_length=10, choices=SegmentKind.choices)
    agent = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    queue = models.ForeignKey(CallQueue, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    endpoint = models.CharField(max_length=13, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    offered_at = models.DateTimeField()
    connected_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ring = models.DurationField()
    talk = models.DurationField()
    hold = models.DurationField()
    wrap_up = models.DurationField()
    outcome = models.CharField(max_length=12, choices=OFFER_OUTCOMES, blank=True)
    end_reason = models.CharField(max_length=10, choices=LEG_ENDS, blank=True)
    cause = models.PositiveIntegerField(default=0, help_text="Q.850 cause, 0 when none was given.")

    class Meta:
        ordering = ["call", "offered_at", "leg"]
        constraints = [models.UniqueConstraint(fields=["call", "leg"], name="one_segment_per_leg")]
        indexes = [models.Index(fields=["agent", "offered_at"], name="segment_by_agent")]

    def __str__(self) -> str:
        return self.leg


class CallTransfer(BaseModel):
    """A call handed on: to an agent, a queue, a flow or an outside number (whose digits are nowhere here)."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="transfers")
    transfer_type = models.CharField(max_length=20, choices=TransferType.choices)
    from_agent = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    to_agent = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    target_kind = models.CharField(max_length=10, choices=TransferTarget.choices)
    target_id = models.UUIDField(null=True, blank=True, help_text="The queue's or flow's id.")
    reason = models.TextField(blank=True, max_length=2000)
    status = models.CharField(max_length=20, choices=TransferStatus.choices, default=TransferStatus.INITIATED)

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["call", "created_at"], name="transfer_by_call")]

    def __str__(self) -> str:
        return f"{self.call_id} transfer {self.pk}"
