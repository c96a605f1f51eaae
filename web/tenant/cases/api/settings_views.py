"""Forms, calendars, SLA policies and saved views over REST."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from web.shared.api.filters import Filter
from web.shared.api.viewsets import (
    BaseViewSet,
    CreateMixin,
    DestroyMixin,
    ListMixin,
    ResourceViewSet,
    RetrieveMixin,
)
from web.tenant.cases.api.settings_serializers import CalendarBody, FormBody, PolicyBody, ViewBody
from web.tenant.cases.api.views import CaseViewSet, case_filters
from web.tenant.cases.models import BusinessCalendar, CaseTypeForm, SavedView, SlaPolicy
from web.tenant.cases.problems import refused
from web.tenant.cases.services import settings


class FormViewSet(ListMixin, RetrieveMixin, CreateMixin, DestroyMixin, BaseViewSet):
    """Versions of forms. Posting makes the next version of the type's form; versions never change."""

    queryset = CaseTypeForm.objects.all()
    serializer_class = FormBody
    filters = {"case_type": Filter("case_type", many=True)}
    sort_fields = {"created_at": "created_at", "version": "version"}

    def perform_create(self, values: dict[str, Any]) -> CaseTypeForm:
        return settings.form_publish(actor=self.actor, **values)

    def perform_destroy(self, row: CaseTypeForm) -> None:
        settings.form_withdraw(actor=self.actor, form=row)


class CalendarViewSet(ResourceViewSet):
    """Opening hours that SLA policies count by."""

    queryset = BusinessCalendar.objects.all()
    serializer_class = CalendarBody
    sort_fields = {"created_at": "created_at", "name": "name"}

    def perform_create(self, values: dict[str, Any]) -> BusinessCalendar:
        return settings.calendar_create(actor=self.actor, values=values)

    def perform_update(self, row: BusinessCalendar, values: dict[str, Any]) -> BusinessCalendar:
        return settings.calendar_update(actor=self.actor, calendar=row, values=values)

    def perform_destroy(self, row: BusinessCalendar) -> None:
        settings.calendar_delete(actor=self.actor, calendar=row)


class PolicyViewSet(ResourceViewSet):
    """What is promised, by priority and type of case."""

    queryset = SlaPolicy.objects.all()
    serializer_class = PolicyBody
    filters = {
        "priority": Filter("priority", many=True),
        "case_type": Filter("case_type", many=True, null=True),
        "is_active": Filter("is_active", schema={"type": "boolean"}),
    }
    sort_fields = {"created_at": "created_at", "name": "name"}

    def perform_create(self, values: dict[str, Any]) -> SlaPolicy:
        return settings.policy_create(actor=self.actor, values=values)

    def perform_update(self, row: SlaPolicy, values: dict[str, Any]) -> SlaPolicy:
        return settings.policy_update(actor=self.actor, policy=row, values=values)

    def perform_destroy(self, row: SlaPolicy) -> None:
        settings.policy_delete(actor=self.actor, policy=row)


class SavedViewSet(ResourceViewSet):
    """Filters and order of the case list, kept under a name: one's own, and shared ones."""

    queryset = SavedView.objects.all()
    serializer_class = ViewBody
    filters = {"is_shared": Filter("is_shared", schema={"type": "boolean"})}
    sort_fields = {"created_at": "created_at", "name": "name"}

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(Q(owner_id=self.viewer.user_id) | Q(is_shared=True))

    def perform_create(self, values: dict[str, Any]) -> SavedView:
        check_view(values)
        return settings.view_create(actor=self.actor, viewer=self.viewer, values=values)

    def perform_update(self, row: SavedView, values: dict[str, Any]) -> SavedView:
        check_view(values)
        return settings.view_update(actor=self.actor, viewer=self.viewer, view=row, values=values)

    def perform_destroy(self, row: SavedView) -> None:
        settings.view_delete(actor=self.actor, viewer=self.viewer, view=row)


def check_view(values: dict[str, Any]) -> None:
    """Raise Invalid for a filter or an order that the list of cases does not have."""
    known = case_filters(None)
    for name in values.get("filters") or {}:
        base, bracket, rest = str(name).partition("[")
        ranged = base in known and known[base].ranges and rest in ("gte]", "gt]", "lte]", "lt]")
        if base not in known or (bracket and not ranged):
            raise refused(f"/filters/{name}", "unknown_filter", "The list of cases has no such filter.")
    sort = str(values.get("sort") or "")
    if sort and sort.removeprefix("-") not in CaseViewSet.sort_fields:
        raise refused("/sort", "unknown_sort", f"One of: {', '.join(sorted(CaseViewSet.sort_fields))}.")
