"""Calls and their routing, as REST shows and takes them.

People, queues, contacts and dispositions are shown with their names, so that a list needs no second request.
Durations are float seconds. A caller whose number is withheld, unknown or erased is shown as null.
"""

from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from web.shared.api.fields import EntityId
from web.shared.api.serializers import Body, ModelBody, page_of
from web.tenant.calls.models import (
    AgentDevice,
    AgentSkill,
    Call,
    CallDisposition,
    CallEvent,
    CallQueue,
    CallTransfer,
    NotReadyReason,
    NumberRoute,
    QueueMembership,
    QueueVisit,
    Segment,
    Skill,
)
from web.tenant.calls.models.skills import LEVELS
from web.tenant.calls.models.wrap_up import MAX_NOTE

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Named(Body):
    """{id, name} of something that has both."""

    id = serializers.UUIDField(source="pk", read_only=True)
    name = serializers.CharField(read_only=True)


class Person(Body):
    id = serializers.UUIDField(source="pk", read_only=True)
    name = serializers.SerializerMethodField()

    def get_name(self, user: Any) -> str:
        return str(user.name or user.email)


class DispositionRef(Body):
    code = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)


class Seconds(serializers.FloatField):
    """A stored duration as float seconds."""

    def to_representation(self, value: Any) -> Any:
        return float(value.total_seconds())


class OrNull(serializers.CharField):
    """A text that is null when it is empty."""

    def to_representation(self, value: Any) -> Any:
        return str(value) or None


class CallBody(ModelBody):
    """A call. `contact`, `disposition` (by code) and `note` may be corrected afterwards."""

    tenant = serializers.SerializerMethodField()
    caller_number = OrNull(read_only=True, allow_null=True)
    caller_name = OrNull(read_only=True, allow_null=True)
    outcome = OrNull(read_only=True, allow_null=True)
    contact = Named(read_only=True, allow_null=True)
    case = serializers.UUIDField(source="case_id", read_only=True, allow_null=True)
    queue = Named(read_only=True, allow_null=True)
    agent = Person(read_only=True, allow_null=True)
    disposition = DispositionRef(read_only=True, allow_null=True)
    wait_seconds = Seconds(source="wait", read_only=True)
    talk_seconds = Seconds(source="talk", read_only=True)
    hold_seconds = Seconds(source="hold", read_only=True)
    wrap_up_seconds = Seconds(source="wrap_up", read_only=True)
    asterisk_ids = serializers.DictField(read_only=True)
    recordings = serializers.SerializerMethodField()

    class Meta:
        model = Call
        fields = [
            "id",
            "tenant",
            "direction",
            "status",
            "caller_number",
            "caller_name",
            "contact",
            "case",
            "queue",
            "agent",
            "started_at",
            "answered_at",
            "ended_at",
            "wait_seconds",
            "talk_seconds",
            "hold_seconds",
            "wrap_up_seconds",
            "outcome",
            "disposition",
            "note",
            "recordings",
            "asterisk_ids",
        ]
        read_only_fields = ["id", "direction", "status", "started_at", "answered_at", "ended_at"]

    def to_representation(self, call: Call) -> dict[str, Any]:
        """The number and the name of somebody who stays unnamed are for those who may see them."""
        shown: dict[str, Any] = super().to_representation(call)
        viewer = self.context.get("viewer")
        unnamed = call.contact is not None and call.contact.is_anonymous
        if unnamed and (viewer is None or not viewer.may("contacts.view_sensitive")):
            shown.update({name: None for name in ("caller_number", "caller_name") if name in shown})
        return shown

    def get_tenant(self, call: Call) -> str:
        return str(self.context["tenant"])

    def get_recordings(self, call: Call) -> list[str]:
        """Ids of recordings; nothing records yet."""
        return []


class CallPatch(Body):
    """What may be corrected. `contact` and `case` are ids or null, `disposition` a code."""

    contact = EntityId("contact", row=True, allow_null=True, required=False)
    case = EntityId("case", row=True, allow_null=True, required=False)
    disposition = serializers.CharField(max_length=40, required=False)
    note = serializers.CharField(max_length=MAX_NOTE, allow_blank=True, required=False)

    def validate_disposition(self, value: str) -> CallDisposition:
        found = CallDisposition.objects.filter(code=value, is_active=True).first()
        if found is None:
            raise serializers.ValidationError(
                "There is no active disposition with this code.", code="unknown"
            )
        return found


class EventBody(ModelBody):
    """One fact about a call. `type` reads `call.connected`, `offer.made`, `wrap_up.ended`; `actor` is the
    id of the agent it is about, null for the caller's and the system's."""

    type = serializers.SerializerMethodField()
    actor = serializers.UUIDField(source="actor_id", allow_null=True, read_only=True)
    actor_name = serializers.SerializerMethodField()

    class Meta:
        model = CallEvent
        fields = ["seq", "type", "at", "actor", "actor_name", "details"]
        read_only_fields = fields

    def get_type(self, event: CallEvent) -> str:
        return public_type(event.type)

    def get_actor_name(self, event: CallEvent) -> str | None:
        names: dict[str, str] = self.context["names"]
        return names.get(str(event.actor_id)) if event.actor_id else None


EventsAnswer = page_of("EventsAnswer", EventBody, "All events of one call, in the shape of every list.")


class VisitBody(ModelBody):
    """One stay in one queue."""

    queue = Named(read_only=True)
    agent = Person(read_only=True, allow_null=True)
    outcome = OrNull(read_only=True, allow_null=True)
    wait_seconds = Seconds(source="wait", read_only=True, allow_null=True)

    class Meta:
        model = QueueVisit
        fields = ["number", "queue", "entered_at", "left_at", "outcome", "wait_seconds", "offers", "agent"]
        read_only_fields = fields


class SegmentBody(ModelBody):
    """One participant's leg."""

    agent = Person(read_only=True, allow_null=True)
    queue = Named(read_only=True, allow_null=True)
    outcome = OrNull(read_only=True, allow_null=True)
    end_reason = OrNull(read_only=True, allow_null=True)
    ring_seconds = Seconds(source="ring", read_only=True)
    talk_seconds = Seconds(source="talk", read_only=True)
    hold_seconds = Seconds(source="hold", read_only=True)
    wrap_up_seconds = Seconds(source="wrap_up", read_only=True)

    class Meta:
        model = Segment
        fields = [
            "leg", "kind", "agent", "queue", "attempt", "offered_at", "connected_at", "ended_at",
            "ring_seconds", "talk_seconds", "hold_seconds", "wrap_up_seconds", "outcome", "end_reason",
            "cause",
        ]  # fmt: skip
        read_only_fields = fields


class TransferBody(ModelBody):
    """A call handed on. An outside target's digits are kept nowhere."""

    class Meta:
        model = CallTransfer
        fields = [
            "id", "transfer_type", "from_agent", "to_agent", "target_kind", "target_id", "reason", "status",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


VisitsAnswer = page_of("VisitsAnswer", VisitBody)
SegmentsAnswer = page_of("SegmentsAnswer", SegmentBody)
TransfersAnswer = page_of("TransfersAnswer", TransferBody)


def public_type(kind: str) -> str:
    """`AgentLegEnded` is `agent_leg.ended` outside: the last word says what happened, the others to what."""
    words = _WORD.sub(" ", kind).lower().split()
    if words[-2:] == ["set", "aside"]:
        words[-2:] = ["set_aside"]
    return f"{'_'.join(words[:-1])}.{words[-1]}"


class DraftBody(Body):
    note = serializers.CharField(max_length=MAX_NOTE, allow_blank=True, trim_whitespace=False)
    disposition = serializers.CharField(max_length=40, allow_blank=True, allow_null=True, default=None)
    revision = serializers.IntegerField(min_value=0, max_value=2_000_000_000)


class DispositionBody(ModelBody):
    class Meta:
        model = CallDisposition
        fields = [
            "id",
            "code",
            "name",
            "category",
            "requires_note",
            "requires_follow_up",
            "requires_case_creation",
            "is_active",
            "sort_order",
        ]
        read_only_fields = ["id"]


class ReasonBody(ModelBody):
    class Meta:
        model = NotReadyReason
        fields = ["id", "code", "name", "is_active", "sort_order"]
        read_only_fields = ["id"]


class SkillBody(ModelBody):
    class Meta:
        model = Skill
        fields = ["id", "code", "name", "is_active", "created_at", "updated_at"]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list[Any] = []


class AgentSkillBody(ModelBody):
    """What an agent can do, and how well: 1 to 10."""

    user = serializers.UUIDField(source="user_id")
    skill = serializers.PrimaryKeyRelatedField(queryset=Skill.objects.all())

    class Meta:
        model = AgentSkill
        fields = ["id", "user", "skill", "level"]
        read_only_fields = ["id"]
        validators: list[Any] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is not None:
            for name in ("user_id", "skill"):
                if name in attrs and attrs[name] != getattr(self.instance, name):
                    wrong = {name.removesuffix("_id"): "Another skill or person is another row."}
                    raise serializers.ValidationError(wrong, code="immutable")
        return attrs


class AskedSkillBody(Body):
    """A skill that a queue asks for, at this level or above."""

    skill = serializers.PrimaryKeyRelatedField(queryset=Skill.objects.all())
    least_level = serializers.IntegerField(min_value=LEVELS[0], max_value=LEVELS[1], default=LEVELS[0])


class QueueBody(ModelBody):
    """A queue. `hours` is a calendar of /cases/calendars/; `skills` is replaced as a whole."""

    hours = serializers.PrimaryKeyRelatedField(
        queryset=CallQueue._meta.get_field("hours").related_model._default_manager.all(),
        allow_null=True,
        required=False,
    )
    skills = AskedSkillBody(many=True, required=False)

    class Meta:
        model = CallQueue
        fields = [
            "id",
            "name",
            "strategy",
            "ring_seconds",
            "max_wait_seconds",
            "priority",
            "wrap_up_seconds",
            "wrap_up_extend_seconds",
            "wrap_up_extensions",
            "music",
            "fallback",
            "hours",
            "skills",
            "is_active",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]
        # Whether a name is taken is decided among the queues that are not deleted, by the service.
        validators: list[Any] = []


class MemberBody(ModelBody):
    user = serializers.UUIDField(source="user_id")

    class Meta:
        model = QueueMembership
        fields = ["id", "user", "penalty"]
        read_only_fields = ["id"]

    def validate_user(self, value: Any) -> Any:
        if self.instance is not None and self.instance.user_id != value:
            raise serializers.ValidationError("Another person is another membership.", code="immutable")
        return value


class NumberBody(ModelBody):
    queue = serializers.PrimaryKeyRelatedField(queryset=CallQueue.objects.all())

    class Meta:
        model = NumberRoute
        fields = ["id", "trunk", "number", "label", "queue"]
        read_only_fields = ["id"]
        validators: list[Any] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is not None:
            for name in ("trunk", "number"):
                if name in attrs and attrs[name] != getattr(self.instance, name):
                    raise serializers.ValidationError(
                        {name: "Another number is another row."}, code="immutable"
                    )
        return attrs


class DeviceBody(ModelBody):
    """A phone of an agent."""

    user = serializers.UUIDField(source="user_id")

    class Meta:
        model = AgentDevice
        fields = ["id", "user", "endpoint", "kind", "label", "desktop_required", "created_at"]
        read_only_fields = ["id", "endpoint", "kind", "created_at"]

    def validate_user(self, value: Any) -> Any:
        if self.instance is not None and self.instance.user_id != value:
            raise serializers.ValidationError("Another person has another phone.", code="immutable")
        return value


class DeviceMadeBody(DeviceBody):
    """A phone as it was made. `secret` is shown this once."""

    secret = serializers.CharField(read_only=True)

    class Meta(DeviceBody.Meta):
        fields = [*DeviceBody.Meta.fields, "secret"]
