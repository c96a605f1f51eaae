"""Every resource of cases does what resources do."""

from __future__ import annotations

from typing import Any

from tests.web.kit_cases import CaseCases

WEEK = {"monday": [["08:00", "17:00"]], "tuesday": [["08:00", "17:00"]]}


class TestCases(CaseCases):
    url = "/api/v1/cases/"
    created = {"title": "Bullied at school", "case_type": "", "priority": "high", "tags": ["school"]}
    updated = {"title": "Bullied on the way to school", "description": "Three older boys."}
    refused = {"title": "", "priority": "enormous"}
    may_not = "telephony_admin"
    sorts = ("created_at", "-updated_at", "due_date", "-priority", "case_number")

    def test_no_contact_may_be_named_but_one_that_is_there_is_not_taken_away(self, tenant, make_user, api):
        client = api(make_user("admin"))
        made = client.post(self.url, {**self.created, "contact": None})
        assert made.status_code == 201 and made.json()["contact"] is None, made.content
        where = f"{self.url}{made.json()['id']}/"
        assert client.patch(where, {"contact": None}, HTTP_IF_MATCH="*").status_code == 200
        contact = client.post("/api/v1/contacts/", {"first_name": "Amina"}).json()["id"]
        assert client.patch(where, {"contact": contact}, HTTP_IF_MATCH="*").json()["contact"] == contact
        refused = client.patch(where, {"contact": None}, HTTP_IF_MATCH="*")
        assert refused.status_code == 422 and refused.json()["errors"][0]["code"] == "null"


class TestParties(CaseCases):
    nested = "parties"
    created = {"name": "A neighbour", "role": "witness"}
    updated = {"name": "The neighbour", "notes": "Heard it twice."}
    refused = {"role": "bystander"}
    may_not = "telephony_admin"


class TestNotes(CaseCases):
    nested = "notes"
    created = {"content": "Called the school."}
    updated = {"content": "Called the school again.", "is_internal": False}
    refused = {"content": ""}
    may_not = "telephony_admin"
    may_edit = "supervisor"


class TestCalendars(CaseCases):
    url = "/api/v1/cases/calendars/"
    created = {"name": "Office", "zone": "Africa/Nairobi", "weekly": WEEK, "exceptions": {"2026-12-25": []}}
    updated = {"name": "Office hours"}
    refused = {"zone": "Mars/Olympus"}
    may_not = "telephony_admin"
    may_edit = "supervisor"
    sorts = ("created_at", "-created_at", "-name")

    def make(self, tenant: Any, **values: Any) -> str:
        self.number = getattr(self, "number", 0) + 1
        return super().make(tenant, **{"name": f"Office {self.number}", **values})


class TestPolicies(CaseCases):
    url = "/api/v1/cases/sla-policies/"
    created = {"name": "Promise", "business_time": False, "resolution_minutes": 600, "case_type": ""}
    updated = {"name": "Greater promise", "first_response_minutes": 10}
    refused = {"resolution_minutes": 0}
    may_not = "telephony_admin"
    may_edit = "supervisor"
    sorts = ("created_at", "-created_at", "name")

    def make(self, tenant: Any, **values: Any) -> str:
        from tests.web.kit_cases import category
        from web.shared.tenants.context import tenant_context

        with tenant_context(tenant.pk):
            self.types[tenant.pk] = category()
        return super().make(tenant, **values)


class TestSavedViews(CaseCases):
    url = "/api/v1/cases/views/"
    created = {
        "name": "Urgent",
        "filters": {"priority": "high,critical"},
        "sort": "-created_at",
        "is_shared": True,
    }
    updated = {
        "name": "Most urgent",
        "filters": {"status": "open", "created_at[gte]": "2026-01-01T00:00:00Z"},
    }
    refused = {"name": ""}
    may_not = ""
    may_edit = "supervisor"
    sorts = ("created_at", "name")
