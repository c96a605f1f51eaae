"""Contacts as REST shows and takes them.

`phones` is the list of numbers; a PATCH that names it replaces all of them. `phone` is the primary number
alone, for clients that know only one: written without `phones`, it becomes the only primary number.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.api.serializers import Body, ModelBody
from web.tenant.contacts.choices import PhoneLabel
from web.tenant.contacts.models import MAX_TAG_LENGTH, MAX_TAGS, Contact


class PhoneBody(Body):
    number = serializers.CharField(max_length=40, help_text="E.164, or as written in the tenant's region.")
    label = serializers.ChoiceField(  # type: ignore[assignment]
        choices=PhoneLabel.choices, default=PhoneLabel.MOBILE.value
    )
    is_primary = serializers.BooleanField(default=False)


@extend_schema_field({"type": "string"})
class PrimaryNumber(serializers.Field[Any, Any, Any, Any]):
    """Shows the primary number of `phones`, empty when there is none; takes a text."""

    def get_attribute(self, instance: Contact) -> str:
        return next((phone.number for phone in instance.phones.all() if phone.is_primary), "")

    def to_representation(self, value: str) -> str:
        return value

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or len(data) > 40:
            raise serializers.ValidationError("A phone number as text.", code="invalid_phone")
        return data


class ContactBody(ModelBody):
    name = serializers.CharField(read_only=True)
    phones = PhoneBody(many=True, required=False)
    phone = PrimaryNumber(required=False)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TAG_LENGTH), max_length=MAX_TAGS, required=False
    )
    custom_fields = serializers.DictField(required=False)

    class Meta:
        model = Contact
        fields = [
            "id",
            "name",
            "first_name",
            "last_name",
            "email",
            "phone",
            "phones",
            "organization",
            "title",
            "address",
            "date_of_birth",
            "preferred_language",
            "preferred_contact_method",
            "tags",
            "custom_fields",
            "is_active",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]
