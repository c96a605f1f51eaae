"""Contacts over REST."""

from __future__ import annotations

from typing import Any

from web.shared.api.filters import Filter
from web.shared.api.viewsets import ResourceViewSet
from web.tenant.contacts import queries, services
from web.tenant.contacts.api.serializers import ContactBody
from web.tenant.contacts.models import Contact


class ContactViewSet(ResourceViewSet):
    """People and the numbers they call from."""

    queryset = Contact.objects.prefetch_related("phones")
    serializer_class = ContactBody
    filters = {
        "q": Filter(apply=queries.search),
        "phone": Filter(apply=queries.with_number),
        "email": Filter("email"),
        "is_active": Filter("is_active", schema={"type": "boolean"}),
        "created_at": Filter("created_at", ranges=True, schema={"type": "string", "format": "date-time"}),
        "updated_at": Filter("updated_at", ranges=True, schema={"type": "string", "format": "date-time"}),
    }
    sort_fields = {
        "created_at": "created_at",
        "updated_at": "updated_at",
        "last_name": "last_name",
        "first_name": "first_name",
    }

    def perform_create(self, values: dict[str, Any]) -> Contact:
        phones = _phones(values)
        made = services.contact_create(
            actor=self.actor, values=values, phones=phones or [], region=self._region()
        )
        return self._shown(made)

    def perform_update(self, row: Contact, values: dict[str, Any]) -> Contact:
        phones = _phones(values, row)
        changed = services.contact_update(
            actor=self.actor, contact=row, values=values, phones=phones, region=self._region()
        )
        return self._shown(changed)

    def perform_destroy(self, row: Contact) -> None:
        services.contact_delete(actor=self.actor, contact=row)

    def _shown(self, contact: Contact) -> Contact:
        return Contact.objects.prefetch_related("phones").get(pk=contact.pk)

    def _region(self) -> str:
        request: Any = self.request._request
        return str(request.tenant.region)


def _phones(values: dict[str, Any], row: Contact | None = None) -> list[services.PhoneValues] | None:
    """Take `phone` and `phones` out of the values; None when neither was named."""
    phone: str | None = values.pop("phone", None)
    phones: list[services.PhoneValues] | None = values.pop("phones", None)
    if phones is not None or phone is None:
        return phones
    others: list[services.PhoneValues] = [
        {"number": kept.number, "label": kept.label}
        for kept in (row.phones.all() if row is not None else [])
        if not kept.is_primary and kept.number != phone
    ]
    return [{"number": phone, "is_primary": True}, *others] if phone else others
