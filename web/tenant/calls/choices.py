"""Fixed lists of calls. Where the contract has the list, its enumeration is the list."""

from __future__ import annotations

from enum import StrEnum

from django.db import models

from telephony.contract.facts import CallOutcome, LegEnd, OfferOutcome, VisitOutcome
from telephony.contract.policy import FallbackKind, Strategy
from telephony.contract.roster import DeviceKind


def choices_of(kind: type[StrEnum]) -> list[tuple[str, str]]:
    """(value, value) pairs of one of the contract's enumerations; screens translate the values."""
    return [(member.value, member.value) for member in kind]


CALL_OUTCOMES = choices_of(CallOutcome)
VISIT_OUTCOMES = choices_of(VisitOutcome)
OFFER_OUTCOMES = choices_of(OfferOutcome)
LEG_ENDS = choices_of(LegEnd)
STRATEGIES = choices_of(Strategy)
FALLBACKS = choices_of(FallbackKind)
DEVICE_KINDS = choices_of(DeviceKind)


class Direction(models.TextChoices):
    INBOUND = "inbound", "Inbound"
    OUTBOUND = "outbound", "Outbound"
    INTERNAL = "internal", "Internal"


class CallStatus(models.TextChoices):
    """What a call is to those who read about it; the live floor knows finer states (`view.CallState`)."""

    RINGING = "ringing", "Ringing"
    ANSWERED = "answered", "Answered"
    COMPLETED = "completed", "Completed"
    ABANDONED = "abandoned", "Abandoned"
    DIVERTED = "diverted", "Diverted"
    FAILED = "failed", "Failed"


ALIVE = (CallStatus.RINGING, CallStatus.ANSWERED)


class SegmentKind(models.TextChoices):
    CALLER = "caller", "Caller"
    AGENT = "agent", "Agent"


class TransferType(models.TextChoices):
    WARM = "warm", "Attended: the agents talk first"
    COLD = "cold", "Attended without an introduction"
    BLIND = "blind", "Blind"


class TransferTarget(models.TextChoices):
    AGENT = "agent", "Agent"
    QUEUE = "queue", "Queue"
    FLOW = "flow", "Flow"
    OUTSIDE = "outside", "Outside number"


class TransferStatus(models.TextChoices):
    INITIATED = "initiated", "Initiated"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"
