"""Notifications, rules and preferences as REST shows and takes them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.api.fields import OneOf
from web.shared.api.serializers import Body, ModelBody
from web.tenant.notifications import rendering
from web.tenant.notifications.choices import Channel, DeliveryState
from web.tenant.notifications.models import (
    Notification,
    NotificationPreference,
    NotificationRule,
)
from web.tenant.notifications.models.rule import MAX_RECIPIENTS

STAMPS = ["id", "created_at", "updated_at"]


class NotificationDeliveryBody(Body):
    channel = OneOf(choices=Channel.choices)
    step = serializers.IntegerField()
    state = OneOf(choices=DeliveryState.choices)
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()


class NotificationBody(ModelBody):
    """`is_hidden`: the entity is gone, or no longer yours to see; its words are left out then."""

    is_hidden = serializers.SerializerMethodField()
    needs_acknowledgement = serializers.SerializerMethodField()
    deliveries = NotificationDeliveryBody(many=True, read_only=True)

    class Meta:
        model = Notification
        fields = [
            "id",
            "title",
            "message",
            "notification_type",
            "entity_type",
            "entity_id",
            "is_hidden",
            "is_read",
            "read_at",
            "channel",
            "delivery_status",
            "deliveries",
            "is_urgent",
            "needs_acknowledgement",
            "acknowledged_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [name for name in fields if name != "is_read"]

    def to_representation(self, instance: Notification) -> dict[str, Any]:
        item = super().to_representation(instance)
        if self.get_is_hidden(instance):
            if "title" in item:
                item["title"] = rendering.label_of(instance.notification_type)[: rendering.MAX_TITLE]
            if "message" in item:
                item["message"] = ""
        return item

    @extend_schema_field(bool)
    def get_is_hidden(self, row: Notification) -> bool:
        """Without the view's word on what is seen, nothing is."""
        seen = self.context.get("seen", frozenset())
        return row.entity_id is not None and (row.entity_type, row.entity_id) not in seen

    @extend_schema_field(bool)
    def get_needs_acknowledgement(self, row: Notification) -> bool:
        return row.escalation is not None and row.escalation.acknowledged_at is None


def recipients() -> Any:
    return serializers.ListField(
        child=serializers.CharField(max_length=100),
        min_length=1,
        max_length=MAX_RECIPIENTS,
        help_text="User ids, names of roles, team:<id>, assignee, creator, watchers, mentioned, recipient.",
    )


def channels(**kwargs: Any) -> Any:
    return serializers.ListField(child=OneOf(choices=Channel.choices), min_length=1, max_length=3, **kwargs)


class EscalationStepBody(Body):
    """After so many minutes without an acknowledgement, the next ones are told."""

    after_minutes = serializers.IntegerField(min_value=1, max_value=7 * 24 * 60)
    recipients = recipients()
    channels = channels(required=False)


class NotificationRuleBody(ModelBody):
    recipients = recipients()
    channels = channels(required=False)
    escalation = EscalationStepBody(many=True, required=False, source="chain")

    class Meta:
        model = NotificationRule
        fields = [
            "id",
            "name",
            "trigger_event",
            "conditions",
            "recipients",
            "channels",
            "title",
            "template",
            "is_active",
            "is_urgent",
            "include_actor",
            "escalation",
            "created_at",
            "updated_at",
        ]
        read_only_fields = STAMPS


class NotificationPreferenceBody(ModelBody):
    """`channels`: type of event (task.assigned, task.* or *) → the channels wanted for it."""

    channels = serializers.DictField(
        child=serializers.ListField(child=OneOf(choices=Channel.choices)), required=False
    )

    class Meta:
        model = NotificationPreference
        fields = ["channels", "quiet_start", "quiet_end", "time_zone", "digest", "digest_at"]


class UnreadNotificationsAnswer(Body):
    unread = serializers.IntegerField()


class MarkedNotificationsAnswer(Body):
    marked = serializers.IntegerField()


class NotificationTriggerAnswer(Body):
    type = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    variables = serializers.ListField(child=serializers.CharField())


class NotificationTriggersAnswer(Body):
    data = NotificationTriggerAnswer(many=True)  # type: ignore[assignment]


class NotificationDryRunBody(Body):
    days = serializers.IntegerField(min_value=1, max_value=30, default=7)


class NotificationTriedAnswer(Body):
    event = serializers.UUIDField()
    at = serializers.DateTimeField()
    object_id = serializers.UUIDField(allow_null=True)
    matched = serializers.BooleanField()
    users = serializers.ListField(child=serializers.UUIDField())


class NotificationDryRunAnswer(Body):
    events = serializers.IntegerField()
    matched = serializers.IntegerField()
    notified = serializers.IntegerField()
    examples = NotificationTriedAnswer(many=True)
