"""Fixed lists of cases, and which status may follow which."""

from __future__ import annotations

from django.db import models


class CaseStatus(models.TextChoices):
    OPEN = "open", "Open"
    PENDING = "pending", "Waiting for the client"
    ON_HOLD = "on_hold", "On hold"
    RESOLVED = "resolved", "Resolved"
    CLOSED = "closed", "Closed"


TRANSITIONS: dict[str, frozenset[str]] = {
    "open": frozenset({"pending", "on_hold", "resolved", "closed"}),
    "pending": frozenset({"open", "on_hold", "resolved", "closed"}),
    "on_hold": frozenset({"open", "pending", "resolved", "closed"}),
    "resolved": frozenset({"open", "closed"}),
    "closed": frozenset({"open"}),
}
"""Legal next statuses; from resolved or closed to open is a reopening."""

WORKING = ("open", "pending", "on_hold")
WAITING = ("pending", "on_hold")
DONE = ("resolved", "closed")


class CasePriority(models.TextChoices):
    """Each is the row of reference_data.Priority whose level is its place in this list, from 1."""

    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    CRITICAL = "critical", "Critical"


PRIORITIES: list[str] = list(CasePriority.values)


class Confidentiality(models.TextChoices):
    NORMAL = "normal", "Whoever may see cases"
    RESTRICTED = "restricted", "Only the assigned, watchers, and holders of cases.view_restricted"


class Channel(models.TextChoices):
    UNKNOWN = "", "Not said"
    VOICE = "voice", "Voice"
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "E-mail"
    WEBCHAT = "webchat", "Web chat"
    WALK_IN = "walk_in", "Walk-in"
    REFERRAL = "referral", "Referral"
    API = "api", "Another system"


class PartyRole(models.TextChoices):
    CLIENT = "client", "Client"
    REPORTER = "reporter", "Reporter"
    PERPETRATOR = "perpetrator", "Alleged perpetrator"
    HOUSEHOLD = "household", "Member of the household"
    GUARDIAN = "guardian", "Guardian"
    WITNESS = "witness", "Witness"
    PROFESSIONAL = "professional", "Professional"
    OTHER = "other", "Other"


class LinkType(models.TextChoices):
    """What the other case is to this one."""

    RELATED = "related", "Related"
    DUPLICATE = "duplicate", "Duplicate"
    PARENT = "parent", "Parent"
    CHILD = "child", "Child"


INVERSE = {"related": "related", "duplicate": "duplicate", "parent": "child", "child": "parent"}


class ClockKind(models.TextChoices):
    FIRST_RESPONSE = "first_response", "First response"
    NEXT_RESPONSE = "next_response", "Next response"
    RESOLUTION = "resolution", "Resolution"


class ClockState(models.TextChoices):
    """`stopped`: the case ended before there was anything to meet."""

    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    MET = "met", "Met"
    STOPPED = "stopped", "Stopped"


class MomentKind(models.TextChoices):
    OPENED = "opened", "The case began"
    STATUS = "status", "The status changed"
    RESPONDED = "responded", "The client was answered"
    ASKED = "asked", "The client wrote or called"


class StepKind(models.TextChoices):
    NOTIFY = "notify", "Tell somebody"
    REASSIGN = "reassign", "Give the case to somebody else"
    RAISE_PRIORITY = "raise_priority", "Raise the priority by one"
