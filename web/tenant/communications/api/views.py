"""Communications over REST."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts.registry import Scope
from web.shared.api.filters import Filter
from web.shared.api.problems import Forbidden
from web.shared.api.viewsets import (
    BaseViewSet,
    CreateMixin,
    DestroyMixin,
    ListMixin,
    ResourceViewSet,
    RetrieveMixin,
    UpdateMixin,
)
from web.tenant.communications import permissions, queries, rendering, services
from web.tenant.communications.api import serializers as bodies
from web.tenant.communications.models import Channel, Conversation, Interaction, MessageTemplate

_INSTANT = {"type": "string", "format": "date-time"}
_ID = {"type": "string", "format": "uuid"}
_BOOLEAN = {"type": "boolean"}


class ChannelViewSet(ResourceViewSet):
    """Ways in and out: a number for texts, a mailbox, a chat on a page."""

    queryset = Channel.objects.all()
    serializer_class = bodies.ChannelBody
    filters = {"type": Filter("type", many=True), "is_active": Filter("is_active", schema=_BOOLEAN)}
    sort_fields = {"created_at": "created_at", "name": "name"}

    def perform_create(self, values: dict[str, Any]) -> Channel:
        secrets = values.pop("secrets", {})
        return services.channel_create(actor=self.actor, values=values, secrets=secrets)

    def perform_update(self, row: Channel, values: dict[str, Any]) -> Channel:
        secrets = values.pop("secrets", {})
        return services.channel_update(actor=self.actor, channel=row, values=values, secrets=secrets)

    def perform_destroy(self, row: Channel) -> None:
        services.channel_delete(actor=self.actor, channel=row)


class TemplateViewSet(ResourceViewSet):
    """Texts that are written once and filled in."""

    queryset = MessageTemplate.objects.all()
    serializer_class = bodies.TemplateBody
    filters = {
        "name": Filter("name"),
        "channel_type": Filter("channel_type", many=True),
        "language": Filter("language", many=True),
        "is_active": Filter("is_active", schema=_BOOLEAN),
    }
    sort_fields = {"created_at": "created_at", "name": "name"}

    def perform_create(self, values: dict[str, Any]) -> MessageTemplate:
        return services.template_create(actor=self.actor, values=values)

    def perform_update(self, row: MessageTemplate, values: dict[str, Any]) -> MessageTemplate:
        return services.template_update(actor=self.actor, template=row, values=values)

    def perform_destroy(self, row: MessageTemplate) -> None:
        services.template_delete(actor=self.actor, template=row)

    @extend_schema(
        request=bodies.RenderAsk,
        responses={200: bodies.RenderAnswer},
        operation_id="communications_templates_render",
    )
    @action(detail=True, methods=["post"], url_path="render", url_name="render")
    def render(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What the template becomes with these values; nothing is sent."""
        template = self.get_object()
        body = bodies.RenderAsk(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(rendering.render(template, body.validated_data["variables"]))


class ConversationViewSet(ResourceViewSet):
    """One person on one channel, and whose turn it is."""

    queryset = Conversation.objects.select_related("channel", "contact")
    serializer_class = bodies.ConversationBody
    filters = {
        "status": Filter("status", many=True),
        "channel": Filter("channel", many=True, schema=_ID),
        "channel_type": Filter("channel__type", many=True),
        "contact": Filter("contact", schema=_ID),
        "case": Filter("case", null=True, schema=_ID),
        "assigned_to": Filter("assigned_to", many=True, null=True, schema=_ID),
        "last_interaction": Filter("last_interaction", ranges=True, schema=_INSTANT),
        "created_at": Filter("created_at", ranges=True, schema=_INSTANT),
    }
    sort_fields = {"last_interaction": "last_interaction", "created_at": "created_at"}
    default_sort = "-last_interaction"

    def visible(self, queryset: QuerySet[Conversation]) -> QuerySet[Conversation]:
        """What may be seen; for writing, what the code of writing reaches as well."""
        queryset = queries.visible(queryset, self.viewer)
        if self.request.method not in ("GET", "HEAD", "OPTIONS"):
            code = permissions.DELETE if self.request.method == "DELETE" else permissions.WRITE
            code = permissions.ASSIGN if getattr(self, "action", "") == "assign" else code
            queryset = queries.visible(queryset, self.viewer, code)
        return queryset

    def perform_create(self, values: dict[str, Any]) -> Conversation:
        return services.conversation_create(actor=self.actor, values=values)

    def perform_update(self, row: Conversation, values: dict[str, Any]) -> Conversation:
        return services.conversation_update(actor=self.actor, conversation=row, values=values)

    def perform_destroy(self, row: Conversation) -> None:
        services.conversation_delete(actor=self.actor, conversation=row)

    @extend_schema(
        responses=bodies.InteractionBody(many=True),
        filters=False,
        operation_id="communications_conversations_interactions",
    )
    @action(detail=True, url_path="interactions", url_name="interactions")
    def interactions(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The messages of this conversation, in pages; `sort=-timestamp` for the newest first."""
        rows = Interaction.objects.filter(conversation=self.get_object())
        page = _MessagePages()
        page.setup_from(self)
        return page.of(rows)

    @extend_schema(
        request=bodies.SendAsk,
        responses={201: bodies.InteractionBody},
        operation_id="communications_conversations_send",
    )
    @interactions.mapping.post
    def send(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Send a message: it is queued, and goes out at once. 409 `no_provider`, `not_reachable`."""
        body = bodies.SendAsk(data=request.data, context=self.get_serializer_context())
        with transaction.atomic():
            row = self.locked_object()
            body.is_valid(raise_exception=True)
            values = dict(body.validated_data)
            template, variables = values.pop("template", None), values.pop("variables")
            made = services.message_send(
                actor=self.actor, conversation=row, values=values, template=template, variables=variables
            )
        shown = bodies.InteractionBody(made, context=self.get_serializer_context()).data
        headers = {"Location": f"/api/v1/communications/interactions/{made.pk}/"}
        return Response(shown, status=201, headers=headers)

    @extend_schema(
        responses=bodies.SegmentsAnswer, filters=False, operation_id="communications_conversations_segments"
    )
    @action(detail=True, pagination_class=None, url_path="segments", url_name="segments")
    def segments(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Whose it was, and when."""
        rows = self.get_object().segments.all()[:1000]
        data = bodies.SegmentBody(rows, many=True).data
        return Response({"data": data, "next_cursor": None, "has_more": False})

    @extend_schema(
        request=bodies.AssignAsk,
        responses={200: bodies.ConversationBody},
        operation_id="communications_conversations_assign",
    )
    @action(detail=True, methods=["post"], url_path="assign", url_name="assign")
    def assign(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Give it to somebody, or back. Who may not give it to others may still take it themselves."""
        body = bodies.AssignAsk(data=request.data)
        body.is_valid(raise_exception=True)
        user = body.validated_data["user"]
        if self.viewer.scope(permissions.ASSIGN) is not Scope.ALL:
            reach = (
                self.viewer.team
                if self.viewer.scope(permissions.ASSIGN) is Scope.TEAM
                else {self.viewer.user_id}
            )
            if user is not None and user not in reach:
                raise Forbidden("You may take it yourself.", permission=permissions.ASSIGN)
        with transaction.atomic():
            row = services.conversation_assign(actor=self.actor, conversation=self.locked_object(), user=user)
        return self.answer(row)

    @extend_schema(
        request=None,
        responses={200: bodies.ConversationBody},
        operation_id="communications_conversations_resolve",
    )
    @action(detail=True, methods=["post"], url_path="resolve", url_name="resolve")
    def resolve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Done. The next message of the person begins a new conversation."""
        return self._move("resolved")

    @extend_schema(
        request=None,
        responses={200: bodies.ConversationBody},
        operation_id="communications_conversations_reopen",
    )
    @action(detail=True, methods=["post"], url_path="reopen", url_name="reopen")
    def reopen(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """It is our turn again."""
        return self._move("open")

    @extend_schema(
        request=None,
        responses={200: bodies.ConversationBody},
        operation_id="communications_conversations_pend",
    )
    @action(detail=True, methods=["post"], url_path="pend", url_name="pend")
    def pend(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """It is their turn; a message from them opens it again."""
        return self._move("pending")

    @extend_schema(
        request=bodies.SnoozeAsk,
        responses={200: bodies.ConversationBody},
        operation_id="communications_conversations_snooze",
    )
    @action(detail=True, methods=["post"], url_path="snooze", url_name="snooze")
    def snooze(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Out of sight until then, or until a message comes in."""
        body = bodies.SnoozeAsk(data=request.data)
        body.is_valid(raise_exception=True)
        return self._move("snoozed", body.validated_data["until"])

    def _move(self, status: str, until: Any = None) -> Response:
        with transaction.atomic():
            row = services.conversation_move(
                actor=self.actor, conversation=self.locked_object(), status=status, until=until
            )
        return self.answer(row)


class InteractionViewSet(ListMixin, RetrieveMixin, CreateMixin, UpdateMixin, DestroyMixin, BaseViewSet):
    """Messages. POST records one that came in; sending is a POST to its conversation's interactions."""

    queryset = Interaction.objects.all()
    serializer_class = bodies.InteractionBody
    audited_read = True
    filters = {
        "conversation": Filter("conversation", schema=_ID),
        "channel": Filter("channel", many=True, schema=_ID),
        "contact": Filter("contact", schema=_ID),
        "case": Filter("case", null=True, schema=_ID),
        "direction": Filter("direction", many=True),
        "delivery_status": Filter("delivery_status", many=True),
        "external_id": Filter("external_id"),
        "timestamp": Filter("timestamp", ranges=True, schema=_INSTANT),
    }
    sort_fields = {"timestamp": "timestamp", "created_at": "created_at"}
    default_sort = "-timestamp"

    def visible(self, queryset: QuerySet[Interaction]) -> QuerySet[Interaction]:
        if getattr(self, "action", "") == "delivery":
            return queryset
        queryset = queries.visible_interactions(queryset, self.viewer)
        if self.request.method in ("PATCH", "DELETE"):
            code = permissions.DELETE if self.request.method == "DELETE" else permissions.WRITE
            queryset = queries.visible_interactions(queryset, self.viewer, code)
        return queryset

    @extend_schema(request=bodies.ReceiveAsk, responses={201: bodies.InteractionBody})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Record a message that came in. 200 when its `external_id` is stored already."""
        body = bodies.ReceiveAsk(data=request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        channel, contact, address = values.pop("channel"), values.pop("contact"), values.pop("address")
        made, fresh = services.message_receive(
            actor=self.actor, channel=channel, contact=contact, values=values, address=address
        )
        headers = {"Location": f"{request.path}{made.pk}/"}
        return self.answer(made, status=201 if fresh else 200, headers=headers)

    def perform_update(self, row: Interaction, values: dict[str, Any]) -> Interaction:
        return services.interaction_update(actor=self.actor, interaction=row, values=values)

    def perform_destroy(self, row: Interaction) -> None:
        services.interaction_delete(actor=self.actor, interaction=row)

    @extend_schema(
        request=bodies.DeliveryAsk,
        responses={200: bodies.InteractionBody},
        operation_id="communications_interactions_delivery",
    )
    @action(detail=True, methods=["post"], url_path="delivery", url_name="delivery")
    def delivery(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What the provider says became of a message. Repeated and late reports change nothing."""
        body = bodies.DeliveryAsk(data=request.data)
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            row = services.delivery_report(
                actor=self.actor, interaction=self.locked_object(), **body.validated_data
            )
        return self.answer(row)


class _MessagePages(BaseViewSet):
    """The list of one conversation's messages, with the paging of every list."""

    queryset = Interaction.objects.all()
    serializer_class = bodies.InteractionBody
    sort_fields = {"timestamp": "timestamp"}
    default_sort = "timestamp"

    def setup_from(self, view: BaseViewSet) -> None:
        self.request, self.args, self.kwargs = view.request, view.args, view.kwargs
        self.format_kwarg, self.action = None, "list"

    def of(self, rows: QuerySet[Interaction]) -> Response:
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
