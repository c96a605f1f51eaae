"""A case and what hangs on it.

The number is for people: year and a count of that year, unique in the tenant, from a counter row that the
creating transaction locks (services/numbers.py). `form` is the version of the type's form that
`custom_fields` obey; it stays pinned when a newer one is published.

An assignment is a lease: until the assignee acknowledges or touches the case it ends at `lease_expires_at`,
and the case goes back to the pool. CaseHistory keeps old and new values of every changed field, text too, so
it is one of the places that erasure empties.

A merged case stays: closed, `merged_into` set, its number still found. CaseMerge remembers what moved.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q, Value, When

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.shared.core.validators import check_tags
from web.tenant.cases.choices import (
    PRIORITIES,
    CasePriority,
    CaseStatus,
    Channel,
    Confidentiality,
    LinkType,
    PartyRole,
)

MAX_CUSTOM = 100_000


def check_custom(value: object) -> None:
    if not isinstance(value, dict) or len(str(value)) > MAX_CUSTOM:
        raise ValidationError(f"An object of at most {MAX_CUSTOM} characters.", code="invalid")


def user_key(**options: Any) -> Any:
    """A key to a person: SET_NULL, without a way back."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        **options,
    )


class CaseCounter(models.Model):
    """The last number given in a year. One row a year; whoever creates a case locks it."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.year}: {self.last}"


class Case(BaseModel):
    event_name = "case"

    case_number = models.CharField(max_length=50, unique=True, editable=False)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=20_000)
    status = models.CharField(max_length=50, choices=CaseStatus.choices, default=CaseStatus.OPEN)
    priority = models.CharField(max_length=20, choices=CasePriority.choices, default=CasePriority.MEDIUM)
    priority_level = models.GeneratedField(
        expression=models.Case(
            *[When(priority=name, then=Value(level)) for level, name in enumerate(PRIORITIES, 1)],
            default=Value(0),
        ),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )
    case_type = models.ForeignKey("reference_data.CaseCategory", on_delete=models.PROTECT, related_name="+")
    form = models.ForeignKey(
        "cases.CaseTypeForm", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    workflow = models.ForeignKey(
        "workflows.Workflow", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    current_stage = models.CharField(max_length=50, blank=True)
    assigned_to = user_key()
    assigned_at = models.DateTimeField(null=True, blank=True, editable=False)
    acknowledged_at = models.DateTimeField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    due_date = models.DateTimeField(null=True, blank=True)
    custom_fields = models.JSONField(default=dict, blank=True, validators=[check_custom])
    tags = models.JSONField(default=list, blank=True, validators=[check_tags])
    confidentiality = models.CharField(
        max_length=12, choices=Confidentiality.choices, default=Confidentiality.NORMAL
    )
    channel = models.CharField(max_length=20, choices=Channel.choices, blank=True)
    source_call = models.UUIDField(null=True, blank=True)
    legal_hold = models.BooleanField(default=False)
    reopened_count = models.PositiveIntegerField(default=0, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    merged_into = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="merged_cases"
    )

    class Meta(BaseModel.Meta):
        indexes = [
            # Lists: newest first, narrowed by what people narrow by. Read backwards for descending order.
            models.Index(fields=["created_at", "id"], name="case_newest"),
            models.Index(fields=["updated_at", "id"], name="case_touched"),
            models.Index(fields=["status", "created_at", "id"], name="case_by_status"),
            models.Index(fields=["assigned_to", "created_at", "id"], name="case_by_assigned"),
            models.Index(fields=["case_type", "created_at", "id"], name="case_by_type"),
            models.Index(fields=["priority", "created_at", "id"], name="case_by_priority"),
            models.Index(fields=["priority_level", "id"], name="case_by_level"),
            models.Index(fields=["due_date", "id"], name="case_by_due"),
            # Cases without a date come last in both directions, so one index read backwards will not do.
            models.Index(F("due_date").desc(nulls_last=True), F("id").desc(), name="case_by_last_due"),
            models.Index(fields=["channel", "created_at", "id"], name="case_by_channel"),
            models.Index(
                fields=["confidentiality", "created_at", "id"],
                name="case_by_confidentiality",
                condition=~Q(confidentiality="normal"),
            ),
            models.Index(fields=["created_by", "created_at", "id"], name="case_by_creator"),
            models.Index(
                fields=["lease_expires_at"], name="case_lease", condition=Q(lease_expires_at__isnull=False)
            ),
            models.Index(fields=["source_call"], name="case_by_call", condition=Q(source_call__isnull=False)),
            GinIndex(fields=["tags"], opclasses=["jsonb_path_ops"], name="case_by_tag"),
            GinIndex(fields=["title"], opclasses=["gin_trgm_ops"], name="case_title_trigrams"),
        ]

    def event_data(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "priority": self.priority,
            "case_type": str(self.case_type_id),
            "assigned_to": self.assigned_to_id and str(self.assigned_to_id),
            "confidentiality": self.confidentiality,
            "channel": self.channel,
        }


class CaseHistory(BaseModel):
    """One changed field. `field_name` may name a custom field: "custom_fields.county"."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="history")
    field_name = models.CharField(max_length=100)
    old_value = models.TextField(blank=True)
    new_value = models.TextField(blank=True)
    change_reason = models.TextField(blank=True, max_length=2000)

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["case", "-created_at", "-id"], name="history_of_case")]


class CaseLink(BaseModel):
    """`to_case` is the `link_type` of `from_case`. A child is stored as the other's parent."""

    from_case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="linked_from")
    to_case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="linked_to")
    link_type = models.CharField(max_length=50, choices=LinkType.choices)
    description = models.TextField(blank=True, max_length=2000)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["from_case", "to_case", "link_type"],
                condition=Q(is_deleted=False),
                name="one_link_of_a_kind",
                violation_error_code="unique",
                violation_error_message="These cases are linked so already.",
            ),
            models.CheckConstraint(
                condition=~Q(from_case=F("to_case")),
                name="no_link_to_itself",
                violation_error_message="A case cannot be linked to itself.",
            ),
        ]


class CaseParty(BaseModel):
    """Somebody's part in a case: a contact, or a name alone for people who are no contact (yet)."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="parties")
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    role = models.CharField(max_length=20, choices=PartyRole.choices, default=PartyRole.CLIENT)
    name = models.CharField(max_length=200, blank=True)
    notes = models.TextField(blank=True, max_length=2000)
    is_primary = models.BooleanField(default=False)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["case", "contact", "role"],
                condition=Q(is_deleted=False, contact__isnull=False),
                name="a_role_once_per_contact",
                violation_error_code="unique",
                violation_error_message="This contact has that role here already.",
            ),
            models.UniqueConstraint(
                fields=["case"],
                condition=Q(is_deleted=False, is_primary=True),
                name="one_primary_party",
                violation_error_message="There is a primary party already.",
            ),
        ]

    def event_data(self) -> dict[str, Any]:
        return {"case": str(self.case_id), "role": self.role}


class CaseWatcher(models.Model):
    """Somebody who sees a case, restricted or not, and is told of its changes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="watchers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "user"], name="watches_once")]

    def __str__(self) -> str:
        return f"watcher {self.pk}"


class CaseMerge(BaseModel):
    """`loser` went into `winner`. `record` names the rows that moved, for undo; see services/merging.py."""

    loser = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="+")
    winner = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="merges")
    reason = models.TextField(blank=True, max_length=2000)
    record = models.JSONField(default=dict)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = user_key(editable=False)

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT", "UPDATE")

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["winner", "-created_at"], name="merges_into")]
