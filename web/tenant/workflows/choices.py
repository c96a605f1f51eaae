"""Fixed lists of workflows and business rules."""

from __future__ import annotations

from django.db import models


class WorkflowStatus(models.TextChoices):
    DRAFT = "draft", "Never published"
    PUBLISHED = "published", "Published"
    RETIRED = "retired", "Retired: runs on, starts no more"


class StepKind(models.TextChoices):
    """Why an instance is in another stage (or version) than before."""

    START = "start", "Started"
    TRANSITION = "transition", "Transition"
    TIMEOUT = "timeout", "Transition because the stage's time was over"
    MIGRATION = "migration", "Moved to another version"
    CANCELLED = "cancelled", "Cancelled"


class ApprovalStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"


class RunStatus(models.TextChoices):
    """Of an action that waits in the outbox, or was run."""

    PENDING = "pending", "Waiting to run"
    DONE = "done", "Done"
    FAILED = "failed", "Given up"
    CUT = "cut", "Not run: part of a loop"


class RuleOutcome(models.TextChoices):
    FIRED = "fired", "Fired"
    NOT_MET = "not_met", "Conditions not met"
    CUT_DEPTH = "cut_depth", "Cut: caused by too long a chain of rules"
    CUT_RATE = "cut_rate", "Cut: fired too often for the same object"
    GONE = "gone", "The object is not there any more"
    FAILED = "failed", "Could not be evaluated"
