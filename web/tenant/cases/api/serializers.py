"""Cases as REST shows and takes them.

`contact` is the primary party's contact; written, it makes that contact the primary party. `parties` is taken
on creation only, and has a place of its own afterwards. `assigned_to` may be written here or through assign/.
Sensitive fields of the form are left out of `custom_fields` and named in `redacted`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.accounts.registry import MEMBER
from web.shared.api.fields import EntityId, OneOf
from web.shared.api.problems import FieldError, Forbidden
from web.shared.api.serializers import Body, ModelBody
from web.shared.core.validators import MAX_TAG_LENGTH, MAX_TAGS
from web.shared.core.viewer import viewer_in
from web.tenant.cases import forms, permissions, queries
from web.tenant.cases.api.fields import Choice
from web.tenant.cases.choices import CasePriority, CaseStatus, PartyRole
from web.tenant.cases.models import Case, CaseParty, CaseSla, CaseTypeForm
from web.tenant.cases.services.assigning import LEASE_MINUTES, MAX_LEASE, MIN_LEASE
from web.tenant.cases.services.bulk import ACTIONS, MAX_IDS
from web.tenant.reference_data import queries as reference

CONTACT = "web.tenant.contacts.api.serializers.ContactSummary"
PERSON = "web.tenant.cases.api.serializers.PersonSummary"


class PersonSummary(ModelBody):
    expand_code = MEMBER

    class Meta:
        model = get_user_model()
        fields = ["id", "name"]


class CategorySummary(ModelBody):
    expand_code = MEMBER

    class Meta:
        model = apps.get_model("reference_data", "CaseCategory")
        fields = ["id", "code", "name", "color", "parent"]


class CaseSummary(ModelBody):
    """What other resources expand a case into."""

    class Meta:
        model = Case
        fields = ["id", "case_number", "title", "status", "priority", "assigned_to"]


class ClockBody(ModelBody):
    class Meta:
        model = CaseSla
        fields = [
            "kind",
            "policy",
            "state",
            "cycle",
            "target_seconds",
            "elapsed_seconds",
            "started_at",
            "warn_at",
            "due_at",
            "paused_at",
            "ended_at",
            "breached_at",
        ]
        read_only_fields = fields


class ClocksBody(Body):
    data = ClockBody(many=True)  # type: ignore[assignment]
    sla_state = OneOf(choices=["ok", "warning", "breached", "paused", "none"])


class PartyBody(ModelBody):
    expandable = {"contact": CONTACT}

    contact = EntityId("contact", source="contact_id", required=False, allow_null=True)

    class Meta:
        model = CaseParty
        fields = ["id", "contact", "role", "name", "notes", "is_primary", "created_at", "updated_at"]
        read_only_fields = ["id", "created_at", "updated_at"]


class NewParty(Body):
    contact = EntityId("contact", source="contact_id", required=False, allow_null=True)
    role = OneOf(choices=PartyRole.choices, default=PartyRole.CLIENT.value)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    notes = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    is_primary = serializers.BooleanField(required=False)


CASE_EXAMPLE = {
    "id": "0199e9a1-6f1c-7c4e-8f57-1d3f0a5b7c21",
    "case_number": "2026-000123",
    "title": "Bullied on the way to school",
    "description": "Three older boys wait at the bridge.",
    "status": "open",
    "priority": "high",
    "case_type": "0199e9a1-0000-7c4e-8f57-1d3f0a5b7c21",
    "contact": "0199e9a1-1111-7c4e-8f57-1d3f0a5b7c21",
    "parties": [{"name": "An older boy", "role": "perpetrator"}],
    "assigned_to": None,
    "sla_state": "ok",
    "sla_due_at": "2026-03-02T08:00:00Z",
    "custom_fields": {"county": "Kisumu"},
    "redacted": [],
    "tags": ["school"],
    "confidentiality": "normal",
    "channel": "voice",
    "legal_hold": False,
    "reopened_count": 0,
    "created_at": "2026-03-01T08:00:00Z",
    "updated_at": "2026-03-01T08:00:00Z",
}


class CaseBody(ModelBody):
    example = CASE_EXAMPLE
    expandable = {
        "contact": CONTACT,
        "assigned_to": PERSON,
        "created_by": PERSON,
        "case_type": "web.tenant.cases.api.serializers.CategorySummary",
    }

    case_type = Choice(queryset=reference.rows("case_category").none())
    form = Choice(queryset=CaseTypeForm.objects.none(), required=False)
    assigned_to = serializers.UUIDField(source="assigned_to_id", required=False, allow_null=True)
    contact = EntityId("contact", required=False, allow_null=True, write_only=False)
    source_call = EntityId("call", required=False, allow_null=True, write_only=False)
    parties = NewParty(many=True, required=False, write_only=True)
    custom_fields = serializers.DictField(required=False)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TAG_LENGTH), max_length=MAX_TAGS, required=False
    )
    reason = serializers.CharField(
        max_length=2000, required=False, write_only=True, help_text="Why; kept with the history."
    )
    sla_state = serializers.SerializerMethodField(help_text="ok, warning, breached, paused or none.")
    sla_due_at = serializers.SerializerMethodField(help_text="When the next clock that runs is due.")
    redacted = serializers.SerializerMethodField()

    class Meta:
        model = Case
        fields = [
            "id",
            "case_number",
            "title",
            "description",
            "status",
            "priority",
            "case_type",
            "form",
            "workflow",
            "current_stage",
            "contact",
            "parties",
            "assigned_to",
            "assigned_at",
            "acknowledged_at",
            "lease_expires_at",
            "due_date",
            "sla_state",
            "sla_due_at",
            "custom_fields",
            "redacted",
            "tags",
            "confidentiality",
            "channel",
            "source_call",
            "legal_hold",
            "reopened_count",
            "resolved_at",
            "closed_at",
            "merged_into",
            "reason",
            "created_by",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [
            "id",
            "case_number",
            "status",
            "current_stage",
            "workflow",
            "assigned_at",
            "acknowledged_at",
            "lease_expires_at",
            "reopened_count",
            "resolved_at",
            "closed_at",
            "merged_into",
            "created_by",
            "created_at",
            "updated_at",
        ]

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        if "case_type" in fields:
            fields["case_type"].queryset = reference.rows("case_category").filter(is_active=True)
        if "form" in fields:
            fields["form"].queryset = CaseTypeForm.objects.all()
        return fields

    def validate_contact(self, value: Any) -> Any:
        if value is None and self.instance is not None and _primary(self.instance) is not None:
            raise serializers.ValidationError("A case keeps its contact: name another one.", code="null")
        return value

    def get_sla_state(self, case: Case) -> str:
        return queries.sla_state(queries.clocks_of(case), timezone.now())

    def get_sla_due_at(self, case: Case) -> datetime | None:
        return queries.sla_due_at(queries.clocks_of(case))

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_redacted(self, case: Case) -> list[str]:
        return sorted(f"custom_fields.{name}" for name in self._hidden_names() & set(case.custom_fields))

    def to_representation(self, instance: Case) -> dict[str, Any]:
        primary = _primary(instance)
        instance.contact = None if primary is None else primary.contact_id  # type: ignore[attr-defined]
        item = super().to_representation(instance)
        if "custom_fields" in item:
            hidden = self._hidden_names()
            item["custom_fields"] = {
                name: value for name, value in item["custom_fields"].items() if name not in hidden
            }
        if "redacted" in item:
            item["redacted"] = self.get_redacted(instance)
        return item

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._refuse_sensitive(data)
        return super().to_internal_value(data)

    def _refuse_sensitive(self, data: Mapping[str, Any]) -> None:
        viewer = viewer_in(self.context)
        given = data.get("custom_fields")
        names = sorted(set(given) & self._hidden_names()) if isinstance(given, Mapping) else []
        if names:
            said = f"Needs {permissions.VIEW_SENSITIVE}."
            errors = [FieldError(f"/custom_fields/{name}", "forbidden", said) for name in names]
            raise Forbidden(
                "Some fields are not yours to set.", errors=errors, permission=permissions.VIEW_SENSITIVE
            )
        if "legal_hold" in data and not viewer.may(permissions.HOLD):
            raise Forbidden("Legal hold is not yours to set.", permission=permissions.HOLD)

    def _hidden_names(self) -> frozenset[str]:
        """Sensitive names, for who may not see them; read once for a whole page."""
        viewer = viewer_in(self.context)
        if viewer.may(permissions.VIEW_SENSITIVE):
            return frozenset()
        holder: Any = self.root
        found: frozenset[str] | None = getattr(holder, "_sensitive_names", None)
        if found is None:
            found = holder._sensitive_names = forms.sensitive_names()
        return found


def _primary(case: Case) -> CaseParty | None:
    rows: list[CaseParty] | None = getattr(case, "primary_parties", None)
    if rows is None:
        rows = list(CaseParty.objects.filter(case=case, is_primary=True))
    return rows[0] if rows else None


class AssignBody(Body):
    assigned_to = serializers.UUIDField(allow_null=True, help_text="Null gives the case back to the pool.")
    lease_minutes = serializers.IntegerField(
        min_value=MIN_LEASE,
        max_value=MAX_LEASE,
        default=LEASE_MINUTES,
        help_text="Unless it is acknowledged within these minutes, the case goes back to the pool.",
    )
    reason = serializers.CharField(max_length=2000, default="", allow_blank=True)


class TransitionBody(Body):
    status = OneOf(choices=CaseStatus.choices)
    reason = serializers.CharField(max_length=2000, default="", allow_blank=True)


class BulkBody(Body):
    example = {
        "ids": ["0199e9a1-6f1c-7c4e-8f57-1d3f0a5b7c21"],
        "action": "status",
        "value": "resolved",
        "reason": "Answered by the leaflet",
        "all_or_nothing": False,
    }

    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_IDS)
    action = OneOf(choices=sorted(ACTIONS))
    value = serializers.CharField(
        max_length=MAX_TAG_LENGTH,
        allow_null=True,
        help_text="assign: a person's id or null; status, priority: one of theirs; tag, untag: a tag.",
    )
    reason = serializers.CharField(max_length=2000, default="", allow_blank=True)
    lease_minutes = serializers.IntegerField(min_value=MIN_LEASE, max_value=MAX_LEASE, default=LEASE_MINUTES)
    all_or_nothing = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        action, value = attrs["action"], attrs["value"]
        known: dict[str, list[str]] = {"status": CaseStatus.values, "priority": CasePriority.values}
        choices = known.get(action, [])
        if action in known and value not in choices:
            raise serializers.ValidationError(
                {"value": f"One of: {', '.join(choices)}."}, code="invalid_choice"
            )
        if action in ("tag", "untag") and not value:
            raise serializers.ValidationError({"value": "A tag."}, code="required")
        if action == "assign" and value is not None:
            attrs["value"] = serializers.UUIDField().run_validation(value)
        return attrs


class BulkResult(Body):
    id = serializers.UUIDField()
    ok = serializers.BooleanField()
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)


class BulkAnswer(Body):
    results = BulkResult(many=True)
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
