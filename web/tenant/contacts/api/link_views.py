"""Groups, relationships, merges and the schema of custom fields over REST."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Count, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import Filter
from web.shared.api.problems import NotFound
from web.shared.api.schema import NOT_FOUND
from web.shared.api.viewsets import ApiView, ReadOnlyViewSet, ResourceViewSet
from web.shared.core.api.transfer_views import ExportView, ImportView
from web.tenant.contacts import custom_fields, links, merging
from web.tenant.contacts.api import serializers as bodies
from web.tenant.contacts.models import ContactGroup, ContactMerge, ContactRelationship

_ID = {"type": "string", "format": "uuid"}


class GroupViewSet(ResourceViewSet):
    """Lists of contacts that people keep. The members of one: `/contacts/?group={id}`."""

    queryset = ContactGroup.objects.annotate(
        member_count=Count("members", filter=Q(members__contact__is_deleted=False))
    )
    serializer_class = bodies.GroupBody
    filters = {
        "name": Filter("name"),
        "contact": Filter("members__contact", schema=_ID),
        "is_active": Filter("is_active", schema={"type": "boolean"}),
    }
    sort_fields = {"created_at": "created_at", "name": "name"}

    def locked_object(self) -> Any:
        return self._row(ContactGroup.objects.select_for_update(of=("self",)))

    def perform_create(self, values: dict[str, Any]) -> Any:
        return self._shown(links.group_create(actor=self.actor, values=values))

    def perform_update(self, row: ContactGroup, values: dict[str, Any]) -> Any:
        return self._shown(links.group_update(actor=self.actor, group=row, values=values))

    def perform_destroy(self, row: ContactGroup) -> None:
        links.group_delete(actor=self.actor, group=row)

    def _shown(self, row: ContactGroup) -> Any:
        return self.get_queryset().get(pk=row.pk)

    @extend_schema(
        request=bodies.MembersBody,
        responses={200: bodies.MembersAnswer},
        operation_id="contacts_groups_members",
    )
    @action(detail=True, methods=["post"], url_path="members", url_name="members")
    def members(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Put contacts into the group and take others out, at most 1,000 of each."""
        group = self.get_object()
        body = bodies.MembersBody(data=request.data)
        body.is_valid(raise_exception=True)
        added, removed = links.members_change(actor=self.actor, group=group, **body.validated_data)
        count = self.get_queryset().get(pk=group.pk).member_count
        return Response({"added": added, "removed": removed, "member_count": count})


def _about(queryset: QuerySet[ContactRelationship], text: str) -> QuerySet[ContactRelationship]:
    pk = uuid.UUID(text)
    return queryset.filter(Q(from_contact=pk) | Q(to_contact=pk))


class RelationshipViewSet(ResourceViewSet):
    """How contacts stand to each other; one row tells it for both sides."""

    queryset = ContactRelationship.objects.filter(
        from_contact__is_deleted=False, to_contact__is_deleted=False
    )
    serializer_class = bodies.RelationshipBody
    filters = {
        "contact": Filter(apply=_about, schema=_ID),
        "relationship_type": Filter("relationship_type", many=True),
    }

    def perform_create(self, values: dict[str, Any]) -> ContactRelationship:
        return links.relationship_create(actor=self.actor, values=values)

    def perform_update(self, row: ContactRelationship, values: dict[str, Any]) -> ContactRelationship:
        return links.relationship_update(actor=self.actor, relationship=row, values=values)

    def perform_destroy(self, row: ContactRelationship) -> None:
        links.relationship_delete(actor=self.actor, relationship=row)


def _merges_of(queryset: QuerySet[ContactMerge], text: str) -> QuerySet[ContactMerge]:
    pk = uuid.UUID(text)
    return queryset.filter(Q(winner=pk) | Q(loser=pk))


class MergeViewSet(ReadOnlyViewSet):
    """Merges, newest first, and taking one back."""

    queryset = ContactMerge.objects.all()
    serializer_class = bodies.MergeBody
    filters = {"contact": Filter(apply=_merges_of, schema=_ID)}

    @extend_schema(request=None, responses={200: bodies.MergeBody}, operation_id="contacts_merges_undo")
    @action(detail=True, methods=["post"], url_path="undo", url_name="undo")
    def undo(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Put both contacts back as they were. 409 `merge_cannot_be_undone` names what was changed since."""
        made = merging.undo(actor=self.actor, merge_id=self.get_object().pk)
        return Response(bodies.MergeBody(made).data)


class ContactImport(ImportView):
    """Read contacts from CSV or NDJSON, as a job. The columns: see `web.tenant.contacts.bulk.ContactRow`."""

    kind = "contacts.import"


class ContactExport(ExportView):
    """Write the contacts that the filters leave into a file, as a job."""

    kind = "contacts.export"


class FieldSchemaView(ApiView):
    """The JSON Schema that `custom_fields` of contacts must fit; 404 while there is none."""

    @extend_schema(
        responses={200: bodies.FieldSchemaBody, **NOT_FOUND},
        operation_id="contacts_field_schema",
    )
    def get(self, request: Request) -> Response:
        row = custom_fields.current()
        if row is None:
            raise NotFound("Custom fields may be anything: there is no schema.")
        return Response(bodies.FieldSchemaBody(row).data)

    @extend_schema(
        request=bodies.FieldSchemaBody,
        responses=bodies.FieldSchemaBody,
        operation_id="contacts_field_schema_set",
    )
    def put(self, request: Request) -> Response:
        """Put a schema in force. Contacts stored before are checked when somebody changes them."""
        body = bodies.FieldSchemaBody(data=request.data)
        body.is_valid(raise_exception=True)
        row = custom_fields.schema_set(actor=self.actor, schema=body.validated_data["schema"])
        return Response(bodies.FieldSchemaBody(row).data)

    @extend_schema(responses={204: None}, operation_id="contacts_field_schema_remove")
    def delete(self, request: Request) -> Response:
        """Let custom fields be anything again."""
        custom_fields.schema_remove(actor=self.actor)
        return Response(status=204)
