"""Contacts as REST shows and takes them.

`phones` is the list of numbers; a PATCH that names it replaces all of them, and what it does not say about a
number that stays (label, safety) stays. `phone` is the primary number alone, for clients that know only one:
written without `phones`, it becomes the only primary number.

Who lacks `contacts.view_sensitive` sees of an anonymous contact a pseudonym and masked numbers, of anybody no
date of birth, address or sensitive custom field; `redacted` names what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.api.fields import OneOf
from web.shared.api.problems import FieldError, Forbidden
from web.shared.api.serializers import REDACTED, Body, ModelBody, page_of
from web.shared.core.validators import MAX_TAG_LENGTH, MAX_TAGS
from web.shared.core.viewer import viewer_in
from web.tenant.contacts import anonymity, custom_fields, queries
from web.tenant.contacts.choices import AddressKind, HoldReason, PhoneLabel, Reach
from web.tenant.contacts.models import (
    Contact,
    ContactConsent,
    ContactFieldSchema,
    ContactGroup,
    ContactMerge,
    ContactRelationship,
)
from web.tenant.contacts.permissions import CONTACTS_VIEW_SENSITIVE

OF_ANONYMOUS = ("first_name", "last_name", "email", "organization", "title")
_HOURS = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "array"}}}


def sees_sensitive(context: Mapping[str, Any]) -> bool:
    viewer = viewer_in(context)
    return viewer.may(CONTACTS_VIEW_SENSITIVE)


@extend_schema_field(_HOURS)
class SafeHours(serializers.JSONField):
    """{"monday": [["08:00", "17:00"]]}; empty: any time. Replaced as a whole."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("An object of days.", code="invalid")
        return super().to_internal_value(data)


class Listed(serializers.ListSerializer[Any]):
    """Rows of a contact, as `queries.with_lists` has them."""

    def get_attribute(self, instance: Contact) -> list[Any]:
        return queries.listed(instance, str(self.source))


class PhoneBody(Body):
    class Meta:
        list_serializer_class = Listed

    number = serializers.CharField(max_length=40, help_text="E.164, or as written in the tenant's region.")
    label = OneOf(choices=PhoneLabel.choices, required=False)  # type: ignore[assignment]
    is_primary = serializers.BooleanField(required=False)
    safe_to_call = serializers.BooleanField(required=False)
    safe_to_leave_message = serializers.BooleanField(required=False)
    safe_to_text = serializers.BooleanField(required=False)
    conceal_caller = serializers.BooleanField(required=False, help_text="Never say who calls.")
    safe_hours = SafeHours(required=False)
    safety_note = serializers.CharField(max_length=500, allow_blank=True, required=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        item: dict[str, Any] = super().to_representation(instance)
        if instance.contact.is_anonymous and not sees_sensitive(self.context):
            item["number"] = anonymity.mask(item["number"])
        return item


class AddressBody(Body):
    class Meta:
        list_serializer_class = Listed

    kind = OneOf(choices=AddressKind.choices, required=False)
    lines = serializers.CharField(max_length=1000, allow_blank=True, required=False)
    locality = serializers.CharField(max_length=100, allow_blank=True, required=False)
    postal_code = serializers.CharField(max_length=20, allow_blank=True, required=False)
    country = serializers.RegexField(r"\A[A-Z]{2}\Z", allow_blank=True, required=False)
    location = serializers.UUIDField(source="location_id", allow_null=True, required=False)


@extend_schema_field({"type": "string"})
class PrimaryNumber(serializers.Field[Any, Any, Any, Any]):
    """Shows the primary number of `phones`, empty when there is none; takes a text."""

    def get_attribute(self, instance: Contact) -> str:
        number = next((phone.number for phone in queries.listed(instance, "phones") if phone.is_primary), "")
        if instance.is_anonymous and not sees_sensitive(self.context):
            return anonymity.mask(number)
        return number

    def to_representation(self, value: str) -> str:
        return value

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or len(data) > 40:
            raise serializers.ValidationError("A phone number as text.", code="invalid_phone")
        return data


class ContactBody(ModelBody):
    sensitive = {
        "date_of_birth": CONTACTS_VIEW_SENSITIVE,
        "address": CONTACTS_VIEW_SENSITIVE,
        "addresses": CONTACTS_VIEW_SENSITIVE,
    }

    name = serializers.CharField(read_only=True, help_text="As screens show it; a pseudonym when anonymous.")
    phones = PhoneBody(many=True, required=False)
    phone = PrimaryNumber(required=False)
    addresses = AddressBody(many=True, required=False)
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
            "addresses",
            "date_of_birth",
            "preferred_language",
            "preferred_contact_method",
            "time_zone",
            "tags",
            "custom_fields",
            "is_anonymous",
            "is_active",
            "legal_hold",
            "legal_hold_reason",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "legal_hold", "legal_hold_reason", "created_at", "updated_at"]

    def to_representation(self, instance: Any) -> dict[str, Any]:
        item = super().to_representation(instance)
        if sees_sensitive(self.context):
            return item
        hidden = self._hide_custom_fields(item)
        if instance.is_anonymous:
            for name in item.keys() & set(OF_ANONYMOUS):
                item[name] = ""
                hidden.add(name)
            hidden |= item.keys() & {"phone", "phones"}
        if REDACTED in item:
            item[REDACTED] = sorted({*item[REDACTED], *hidden})
        return item

    def _hide_custom_fields(self, item: dict[str, Any]) -> set[str]:
        shown = item.get("custom_fields")
        if not shown:
            return set()
        secret = self._secret() & shown.keys()
        item["custom_fields"] = {name: value for name, value in shown.items() if name not in secret}
        return {f"custom_fields.{name}" for name in secret}

    def _secret(self) -> frozenset[str]:
        """Names of sensitive custom fields, read once for an answer."""
        root: Any = self.root
        if not hasattr(root, "secret_names"):
            root.secret_names = custom_fields.sensitive_names()
        found: frozenset[str] = root.secret_names
        return found

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and not sees_sensitive(self.context):
            self._refuse_what_is_masked(data)
        return super().to_internal_value(data)

    def _refuse_what_is_masked(self, data: dict[str, Any]) -> None:
        """Who sends back what they were shown would write the mask over the number."""
        given = data.get("custom_fields")
        refused = (
            [f"/custom_fields/{name}" for name in self._secret() & given.keys()]
            if isinstance(given, dict) and given
            else []
        )
        if getattr(self.instance, "is_anonymous", False):
            refused += [
                f"/{name}" for name in (*OF_ANONYMOUS, "phone", "phones", "is_anonymous") if name in data
            ]
        if refused:
            said = [
                FieldError(one, "forbidden", f"Needs {CONTACTS_VIEW_SENSITIVE}.") for one in sorted(refused)
            ]
            raise Forbidden(
                "Some fields are not yours to set.", errors=said, permission=CONTACTS_VIEW_SENSITIVE
            )


class ContactSummary(ModelBody):
    """What `?expand=contact` gives elsewhere."""

    name = serializers.CharField(read_only=True)

    class Meta:
        model = Contact
        fields = ["id", "name", "organization", "preferred_language", "tags", "is_anonymous", "is_active"]
        read_only_fields = fields

    def to_representation(self, instance: Any) -> dict[str, Any]:
        item = super().to_representation(instance)
        if instance.is_anonymous and not sees_sensitive(self.context) and "organization" in item:
            item["organization"] = ""
        return item


class ContactRef(serializers.UUIDField):
    """The id of a contact here; 422 `does_not_exist` for any other, wherever it exists."""

    default_error_messages = {"does_not_exist": "There is no such object."}

    def to_internal_value(self, data: Any) -> Any:
        pk = super().to_internal_value(data)
        row = Contact.objects.filter(pk=pk).first()
        if row is None:
            self.fail("does_not_exist")
        return row

    def get_attribute(self, instance: Any) -> Any:
        """The id alone: showing it needs no row."""
        return getattr(instance, f"{self.source}_id")

    def to_representation(self, value: Any) -> str:
        return str(getattr(value, "pk", value))


class RelationshipBody(ModelBody):
    """`from_contact` is the `relationship_type` of `to_contact`; `inverse_type` is the other way round."""

    expandable = {
        "from_contact": "web.tenant.contacts.api.serializers.ContactSummary",
        "to_contact": "web.tenant.contacts.api.serializers.ContactSummary",
    }

    from_contact = ContactRef()
    to_contact = ContactRef()
    inverse_type = serializers.CharField(read_only=True)

    class Meta:
        model = ContactRelationship
        fields = [
            "id",
            "from_contact",
            "to_contact",
            "relationship_type",
            "inverse_type",
            "description",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list[Any] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("from_contact", "to_contact"):
            row = self.instance
            if row is not None and name in attrs and attrs[name].pk != getattr(row, f"{name}_id"):
                said = "Other people are another relationship."
                raise serializers.ValidationError({name: [said]}, code="immutable")
        return attrs


class RelativeBody(Body):
    """One relationship as seen from a contact: the other one, and what that one is to it."""

    id = serializers.UUIDField()
    contact = ContactSummary()
    relationship_type = serializers.CharField()
    description = serializers.CharField()


RelativesAnswer = page_of("RelativesAnswer", RelativeBody)


class GroupBody(ModelBody):
    member_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = ContactGroup
        fields = ["id", "name", "description", "member_count", "is_active", "created_at", "updated_at"]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list[Any] = []


class MembersBody(Body):
    add = serializers.ListField(child=serializers.UUIDField(), max_length=1000, default=list)
    remove = serializers.ListField(child=serializers.UUIDField(), max_length=1000, default=list)


class MembersAnswer(Body):
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    member_count = serializers.IntegerField()


class ConsentBody(ModelBody):
    """`at`: when it was said, default now. Never changed: a withdrawal is another record."""

    at = serializers.DateTimeField(required=False)

    class Meta:
        model = ContactConsent
        fields = [
            "id",
            "purpose",
            "status",
            "at",
            "source",
            "expires_at",
            "recorded_at",
            "recorded_by",
        ]
        read_only_fields = ["id", "recorded_at", "recorded_by"]


ConsentsAnswer = page_of("ConsentsAnswer", ConsentBody)


class ReachBody(Body):
    kind = OneOf(choices=Reach.choices)
    number = serializers.CharField(allow_null=True, help_text="Null for an e-mail; masked when anonymous.")
    allowed = serializers.BooleanField()
    reason = serializers.CharField(help_text='"ok", or the rule that says no.')
    next_at = serializers.DateTimeField(allow_null=True, help_text="When the hour will be safe.")
    conceal_caller = serializers.BooleanField()


class ReachAnswer(Body):
    time_zone = serializers.CharField()
    at = serializers.DateTimeField()
    data = ReachBody(many=True)  # type: ignore[assignment]


class DuplicateBody(Body):
    score = serializers.FloatField()
    reasons = serializers.DictField(child=serializers.FloatField(), help_text="Code → how strong, 0 to 1.")
    contact = ContactBody()


class DuplicatesAnswer(Body):
    data = DuplicateBody(many=True)  # type: ignore[assignment]


class MergeAsk(Body):
    other = serializers.UUIDField(help_text="The contact that goes; the one in the path stays.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=OneOf(choices=["this", "other"]), default=dict
    )


class MergeBody(ModelBody):
    expandable = {"winner": "web.tenant.contacts.api.serializers.ContactSummary"}

    winner = serializers.UUIDField(source="winner_id", read_only=True)
    loser = serializers.UUIDField(source="loser_id", read_only=True)
    can_be_undone = serializers.SerializerMethodField()

    class Meta:
        model = ContactMerge
        fields = [
            "id",
            "winner",
            "loser",
            "created_at",
            "created_by",
            "undone_at",
            "undone_by",
            "can_be_undone",
        ]
        read_only_fields = fields

    def get_can_be_undone(self, merge: ContactMerge) -> bool:
        """False for sure, or true as far as one can tell before trying."""
        return merge.undone_at is None and bool(merge.record)


class HoldBody(Body):
    reason = OneOf(choices=HoldReason.choices)


class ErasureAnswer(Body):
    id = serializers.UUIDField()
    rows = serializers.IntegerField(help_text="How many rows were emptied or removed.")


class ExportAnswer(Body):
    contact = serializers.UUIDField()
    exported_at = serializers.DateTimeField()
    data = serializers.DictField(help_text="App → rows, as each app tells them.")  # type: ignore[assignment]


class AnonymousAsk(Body):
    number = serializers.CharField(max_length=40, help_text="Not stored: only its keyed hash is.")


class EntryBody(Body):
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    id = serializers.UUIDField()
    actor = serializers.UUIDField(source="actor_id", allow_null=True)
    details = serializers.DictField(source="data")


TimelineAnswer = page_of("TimelineAnswer", EntryBody)


class FieldSchemaBody(ModelBody):
    schema = serializers.JSONField()

    class Meta:
        model = ContactFieldSchema
        fields = ["id", "schema", "created_at", "created_by"]
        read_only_fields = ["id", "created_at", "created_by"]
