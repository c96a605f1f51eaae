"""What tests of cases share: categories, contacts and cases in a tenant, and cases over HTTP."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import pytest

from tests.web.api_cases import ResourceCases
from web.shared.core.actor import Actor, ActorKind, system
from web.shared.tenants.context import tenant_context
from web.tenant.cases.models import Case
from web.tenant.cases.services import cases
from web.tenant.contacts import services as contacts
from web.tenant.reference_data.models import CaseCategory

ACTOR = system("tests")
_count = itertools.count(1)


def acting(user: Any) -> Actor:
    return Actor(ActorKind.USER, id=user.pk)


def category(parent: Any = None) -> Any:
    number = next(_count)
    return CaseCategory.objects.create(name=f"Category {number}", code=f"k{number}", parent=parent)


def contact(first: str = "Amina") -> Any:
    return contacts.contact_create(actor=ACTOR, values={"first_name": first}, phones=[], region="KE")


def case(title: str = "A case", *, actor: Actor = ACTOR, **values: Any) -> Case:
    """A case in the tenant that is chosen; `contact`, `assigned_to` and `party_values` as the service has."""
    special = {
        name: values.pop(name) for name in ("contact", "assigned_to", "party_values") if name in values
    }
    values.setdefault("case_type", CaseCategory.objects.first() or category())
    return cases.case_create(actor=actor, values={"title": title, **values}, **special)


class CaseCases(ResourceCases):
    """ResourceCases for what needs a category, or a case to hang on, in each tenant."""

    nested: ClassVar[str] = ""
    may_edit = "case_worker"

    @pytest.fixture(autouse=True)
    def _categories(self, _parts: Any) -> None:
        self.types: dict[str, Any] = {}
        self.cases: dict[str, Any] = {}
        self.made: dict[str, str] = {}
        for tenant in self.tenants:
            with tenant_context(tenant.pk):
                self.types[tenant.pk] = category()
                if self.nested:
                    self.cases[tenant.pk] = case()
        mine = self.tenants[0].pk
        if self.nested:
            self.__dict__["url"] = self._url(mine)
        if "case_type" in self.created:
            self.__dict__["created"] = {**self.created, "case_type": str(self.types[mine].pk)}

    def _url(self, tenant_id: str) -> str:
        return f"/api/v1/cases/{self.cases[tenant_id].pk}/{self.nested}/"

    def make(self, tenant: Any, **values: Any) -> str:
        url = self._url(tenant.pk) if self.nested else self.url
        body = {**self.created, **values}
        if "case_type" in body:
            body["case_type"] = str(self.types[tenant.pk].pk)
        answer = self.client("admin", tenant=tenant).post(url, body)
        assert answer.status_code == 201, answer.content
        pk = str(answer.json()["id"])
        self.made[pk] = url
        return pk

    def at(self, pk: str) -> str:
        return f"{self.made.get(pk, self.url)}{pk}/"
