"""Communications as REST shows and takes them.

Ids in a body are checked against what the writer may see; one that is not there, or is another's, is a 422
`does_not_exist`. A channel's secrets go in and never come out: `secrets_set` names those that are there.
"""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers

from web.shared.api.fields import EntityId, OneOf
from web.shared.api.serializers import Body, ModelBody, page_of
from web.shared.core.viewer import viewer_in
from web.tenant.communications.choices import Delivery, Direction, TextFormat
from web.tenant.communications.models import (
    MAX_ATTACHMENTS,
    MAX_CONTENT,
    Channel,
    Conversation,
    ConversationSegment,
    Interaction,
    MessageTemplate,
)
from web.tenant.contacts import queries as contacts

CONTACT = "web.tenant.contacts.api.serializers.ContactSummary"


class RowRef(serializers.UUIDField):
    """The id of a row of this app. Gives the row."""

    default_error_messages = {"does_not_exist": "There is no such object."}

    def __init__(self, model: Any, **kwargs: Any) -> None:
        self.model = model
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        row = self.model.objects.filter(pk=super().to_internal_value(data)).first()
        if row is None:
            self.fail("does_not_exist")
        return row

    def to_representation(self, value: Any) -> str:
        return str(getattr(value, "pk", value))


class Secrets(serializers.DictField):
    """Laid over what is stored by the service: a body's own merging knows only what can be read."""


class ChannelBody(ModelBody):
    """`configuration` has a schema per type. `secrets`: name → value, null takes one away; write-only."""

    configuration = serializers.JSONField(required=False)
    secrets = Secrets(
        child=serializers.CharField(max_length=4000, allow_null=True), write_only=True, required=False
    )
    secrets_set = serializers.ListField(source="secret_names", child=serializers.CharField(), read_only=True)
    can_send = serializers.SerializerMethodField()

    class Meta:
        model = Channel
        fields = [
            "id",
            "name",
            "type",
            "configuration",
            "secrets",
            "secrets_set",
            "can_send",
            "is_active",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list[Any] = []

    def get_can_send(self, channel: Channel) -> bool:
        from web.tenant.communications.providers import provider_of

        return channel.is_active and provider_of(channel) is not None

    def validate_configuration(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise serializers.ValidationError("An object of names and values.", code="invalid")
        return value


class TemplateBody(ModelBody):
    """`{{ name }}` stands for a variable; each is declared in `variables`."""

    variables = serializers.ListField(
        child=serializers.CharField(max_length=40), max_length=50, required=False
    )

    class Meta:
        model = MessageTemplate
        fields = [
            "id",
            "name",
            "channel_type",
            "language",
            "format",
            "subject",
            "content",
            "variables",
            "is_active",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list[Any] = []


class RenderAsk(Body):
    variables = serializers.DictField(default=dict, help_text="Name → text or number.")


class RenderAnswer(Body):
    subject = serializers.CharField()
    content = serializers.CharField()


class ConversationBody(ModelBody):
    expandable = {"contact": CONTACT}

    channel = RowRef(Channel)
    channel_type = serializers.CharField(source="channel.type", read_only=True)
    contact = EntityId("contact", source="contact_id")
    case = EntityId("case", source="case_id", allow_null=True, required=False)
    assigned_to = serializers.UUIDField(source="assigned_to_id", read_only=True, allow_null=True)

    class Meta:
        model = Conversation
        fields = [
            "id",
            "channel",
            "channel_type",
            "contact",
            "case",
            "subject",
            "address",
            "status",
            "snoozed_until",
            "assigned_to",
            "last_interaction",
            "last_inbound_at",
            "first_response_at",
            "resolved_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [
            "id",
            "status",
            "snoozed_until",
            "last_interaction",
            "last_inbound_at",
            "first_response_at",
            "resolved_at",
            "created_at",
            "updated_at",
        ]

    def to_representation(self, instance: Any) -> dict[str, Any]:
        item = super().to_representation(instance)
        if item.get("address"):
            viewer = viewer_in(self.context)
            item["address"] = contacts.shown_address(instance.contact, item["address"], viewer)
        return item

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        row = self.instance
        if row is not None:
            moved = "channel" in attrs and attrs["channel"].pk != row.channel_id
            if moved or attrs.get("contact_id", row.contact_id) != row.contact_id:
                said = "Another person or channel is another conversation."
                raise serializers.ValidationError(
                    {"channel" if moved else "contact": [said]}, code="immutable"
                )
        return attrs


class SegmentBody(ModelBody):
    owner = serializers.UUIDField(source="owner_id", read_only=True, allow_null=True)

    class Meta:
        model = ConversationSegment
        fields = ["id", "owner", "started_at", "ended_at", "ended_because"]
        read_only_fields = fields


SegmentsAnswer = page_of("SegmentsAnswer", SegmentBody)


class AssignAsk(Body):
    user = serializers.UUIDField(allow_null=True, help_text="Null gives it back.")


class SnoozeAsk(Body):
    until = serializers.DateTimeField()


class InteractionBody(ModelBody):
    """A message. Read it here; write one in its conversation, or record one that came in."""

    expandable = {"contact": CONTACT}

    conversation = serializers.UUIDField(source="conversation_id", read_only=True)
    channel = serializers.UUIDField(source="channel_id", read_only=True)
    contact = serializers.UUIDField(source="contact_id", read_only=True)
    case = EntityId("case", source="case_id", allow_null=True, required=False)
    template = serializers.UUIDField(source="template_id", read_only=True, allow_null=True)
    author = serializers.UUIDField(source="created_by_id", read_only=True, allow_null=True)
    metadata = serializers.DictField(required=False)
    attachments = serializers.ListField(child=serializers.UUIDField(), read_only=True)

    class Meta:
        model = Interaction
        fields = [
            "id",
            "conversation",
            "channel",
            "contact",
            "case",
            "direction",
            "subject",
            "content",
            "format",
            "template",
            "timestamp",
            "external_id",
            "metadata",
            "attachments",
            "delivery_status",
            "delivery_changed_at",
            "failure",
            "author",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [
            "id",
            "direction",
            "subject",
            "content",
            "format",
            "timestamp",
            "external_id",
            "delivery_status",
            "delivery_changed_at",
            "failure",
            "created_at",
            "updated_at",
        ]


class _Message(Body):
    subject = serializers.CharField(max_length=255, allow_blank=True, default="")
    content = serializers.CharField(
        max_length=MAX_CONTENT, allow_blank=True, trim_whitespace=False, default=""
    )
    format = OneOf(choices=TextFormat.choices, default=TextFormat.TEXT.value)
    metadata = serializers.DictField(default=dict)
    attachments = serializers.ListField(
        child=EntityId("document"), max_length=MAX_ATTACHMENTS, default=list, help_text="Ids of documents."
    )

    def validate_attachments(self, value: list[uuid.UUID]) -> list[str]:
        return [str(one) for one in dict.fromkeys(value)]


class SendAsk(_Message):
    """A message to send. With `template` its text comes from there."""

    template = RowRef(MessageTemplate, required=False)
    variables = serializers.DictField(default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "template" in attrs and (attrs["content"] or attrs["subject"]):
            raise serializers.ValidationError({"content": ["It comes from the template."]}, code="invalid")
        return attrs


class ReceiveAsk(_Message):
    """A message that came in. The same `external_id` on the same channel is stored once."""

    channel = RowRef(Channel)
    contact = EntityId("contact")
    direction = OneOf(
        choices=[Direction.INBOUND.value], default=Direction.INBOUND.value, help_text="Sending is elsewhere."
    )
    address = serializers.CharField(max_length=254, allow_blank=True, default="")
    timestamp = serializers.DateTimeField(required=False)
    external_id = serializers.RegexField(r"\A[\x20-\x7e]*\Z", max_length=255, allow_blank=True, default="")


class DeliveryAsk(Body):
    status = OneOf(
        choices=[
            (one.value, one.label) for one in Delivery if one not in (Delivery.RECEIVED, Delivery.QUEUED)
        ]
    )
    failure = serializers.RegexField(r"\A[a-z0-9_.-]*\Z", max_length=60, allow_blank=True, default="")
