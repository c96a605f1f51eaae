"""Queues, who serves them, numbers and phones over REST. Every write is published at once."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view

from web.shared.api.filters import Filter
from web.shared.api.problems import NotFound
from web.shared.api.viewsets import ResourceViewSet
from web.tenant.calls import services, skills
from web.tenant.calls.api.serializers import (
    AgentSkillBody,
    DeviceBody,
    DeviceMadeBody,
    MemberBody,
    NumberBody,
    QueueBody,
    SkillBody,
)
from web.tenant.calls.models import AgentDevice, AgentSkill, CallQueue, NumberRoute, QueueMembership, Skill

_BOOLEAN = {"type": "boolean"}
_ID = {"type": "string", "format": "uuid"}


class QueueViewSet(ResourceViewSet):
    """Where callers wait."""

    queryset = CallQueue.objects.prefetch_related("skills")
    serializer_class = QueueBody
    filters = {"is_active": Filter("is_active", schema=_BOOLEAN)}
    sort_fields = {"name": "name", "created_at": "created_at"}
    default_sort = "name"

    def perform_create(self, values: dict[str, Any]) -> CallQueue:
        return services.queue_create(actor=self.actor, values=values)

    def perform_update(self, row: CallQueue, values: dict[str, Any]) -> CallQueue:
        return services.queue_update(actor=self.actor, queue=row, values=values)

    def perform_destroy(self, row: CallQueue) -> None:
        services.queue_delete(actor=self.actor, queue=row)


class SkillViewSet(ResourceViewSet):
    """What agents can do and queues ask for."""

    queryset = Skill.objects.all()
    serializer_class = SkillBody
    filters = {"is_active": Filter("is_active", schema=_BOOLEAN), "code": Filter("code", many=True)}
    sort_fields = {"name": "name", "created_at": "created_at"}
    default_sort = "name"

    def perform_create(self, values: dict[str, Any]) -> Skill:
        return skills.skill_create(actor=self.actor, values=values)

    def perform_update(self, row: Skill, values: dict[str, Any]) -> Skill:
        return skills.skill_update(actor=self.actor, skill=row, values=values)

    def perform_destroy(self, row: Skill) -> None:
        skills.skill_delete(actor=self.actor, skill=row)


class AgentSkillViewSet(ResourceViewSet):
    """Who can do what, and how well."""

    queryset = AgentSkill.objects.all()
    serializer_class = AgentSkillBody
    filters = {"user": Filter("user", schema=_ID), "skill": Filter("skill", schema=_ID)}
    sort_fields = {"level": "level", "created_at": "created_at"}
    default_sort = "created_at"

    def perform_create(self, values: dict[str, Any]) -> AgentSkill:
        return skills.agent_skill_add(actor=self.actor, **{"level": skills.BEST, **values})

    def perform_update(self, row: AgentSkill, values: dict[str, Any]) -> AgentSkill:
        return skills.agent_skill_update(actor=self.actor, row=row, values=values)

    def perform_destroy(self, row: AgentSkill) -> None:
        skills.agent_skill_remove(actor=self.actor, row=row)


class MemberViewSet(ResourceViewSet):
    """Who serves a queue."""

    queryset = QueueMembership.objects.all()
    serializer_class = MemberBody
    filters = {"user": Filter("user", schema=_ID)}
    sort_fields = {"penalty": "penalty", "created_at": "created_at"}
    default_sort = "created_at"

    def visible(self, queryset: QuerySet[QueueMembership]) -> QuerySet[QueueMembership]:
        return queryset.filter(queue=self._queue())

    def _queue(self) -> CallQueue:
        try:
            return CallQueue.objects.get(pk=uuid.UUID(str(self.kwargs["queue"])))
        except (CallQueue.DoesNotExist, ValueError):
            raise NotFound() from None

    def perform_create(self, values: dict[str, Any]) -> QueueMembership:
        return services.member_add(actor=self.actor, queue=self._queue(), **values)

    def perform_update(self, row: QueueMembership, values: dict[str, Any]) -> QueueMembership:
        values.pop("user_id", None)
        return services.member_update(actor=self.actor, member=row, values=values)

    def perform_destroy(self, row: QueueMembership) -> None:
        services.member_remove(actor=self.actor, member=row)


class NumberViewSet(ResourceViewSet):
    """The organisation's numbers and the queues they lead to."""

    queryset = NumberRoute.objects.all()
    serializer_class = NumberBody
    filters = {"queue": Filter("queue", schema=_ID), "trunk": Filter("trunk")}
    sort_fields = {"number": "number", "created_at": "created_at"}
    default_sort = "number"

    def perform_create(self, values: dict[str, Any]) -> NumberRoute:
        return services.number_add(actor=self.actor, values=values)

    def perform_update(self, row: NumberRoute, values: dict[str, Any]) -> NumberRoute:
        return services.number_update(actor=self.actor, route=row, values=values)

    def perform_destroy(self, row: NumberRoute) -> None:
        services.number_remove(actor=self.actor, route=row)


@extend_schema_view(create=extend_schema(request=DeviceBody, responses={201: DeviceMadeBody}))
class DeviceViewSet(ResourceViewSet):
    """Agents' phones. POST makes a SIP phone; browsers' phones make themselves at the start of a shift."""

    queryset = AgentDevice.objects.all()
    serializer_class = DeviceBody
    filters = {"user": Filter("user", schema=_ID), "kind": Filter("kind")}

    def get_serializer_class(self) -> Any:
        return DeviceMadeBody if self.action == "create" else DeviceBody

    def perform_create(self, values: dict[str, Any]) -> AgentDevice:
        device, secret = services.sip_device_create(actor=self.actor, **values)
        device.secret = secret  # type: ignore[attr-defined]
        return device

    def perform_update(self, row: AgentDevice, values: dict[str, Any]) -> AgentDevice:
        values.pop("user_id", None)
        return services.device_update(actor=self.actor, device=row, values=values)

    def perform_destroy(self, row: AgentDevice) -> None:
        services.device_remove(actor=self.actor, device=row)
