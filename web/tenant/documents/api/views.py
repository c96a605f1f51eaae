"""Documents over REST.

Content is always an attachment, of the type that was found in it, in a sandbox and uncached: whatever a file
holds, a browser saves it and runs nothing. Every hand-out is an audit row.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import Filter
from web.shared.api.problems import Conflict, Forbidden, Malformed, NotFound
from web.shared.api.viewsets import ApiView, ResourceViewSet
from web.shared.core import audit, files, holders
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.viewer import Viewer
from web.tenant.documents import queries, services, storage
from web.tenant.documents.api.serializers import (
    AccessBody,
    DocumentBody,
    DocumentUpload,
    LinkAsk,
    LinkBody,
    VersionBody,
    VersionList,
    VersionUpload,
)
from web.tenant.documents.choices import READABLE, AccessType
from web.tenant.documents.models import Document, DocumentAccess, DocumentVersion

LINK_VALID = timedelta(minutes=15)
_ID = {"type": "string", "format": "uuid"}
_VERSION = OpenApiParameter("version", int, description="Which version; the newest without it.")


class NotScanned(Conflict):
    code, title = "not_scanned", "The virus scanner has not passed this file"
    meaning = "It waits to be scanned, could not be scanned, or is infected; `detail` says which."


class DocumentViewSet(ResourceViewSet):
    """Files of cases and contacts."""

    queryset = Document.objects.all()
    serializer_class = DocumentBody
    audited_read = True
    filters = {
        "case": Filter("case", many=True, schema=_ID),
        "contact": Filter("contact", many=True, schema=_ID),
        "mime_type": Filter("mime_type", many=True),
        "scan_status": Filter("scan_status", many=True),
        "created_by": Filter("created_by", schema=_ID),
        "created_at": Filter("created_at", ranges=True, schema={"type": "string", "format": "date-time"}),
        "tag": Filter(apply=lambda queryset, text: queryset.filter(tags__contains=[text])),
        "q": Filter(apply=lambda queryset, text: queryset.filter(filename__icontains=text)),
    }
    sort_fields = {"created_at": "created_at", "filename": "filename", "size": "size"}

    def get_parsers(self) -> list[Any]:
        return (
            [MultiPartParser()]
            if self.request
            and self.request.method == "POST"
            and (self.action_map or {}).get("post") in ("create", "add_version")
            else super().get_parsers()
        )

    def visible(self, queryset: QuerySet[Document]) -> QuerySet[Document]:
        access = AccessType.EDIT if self.action in ("partial_update", "add_version") else AccessType.VIEW
        return queries.visible(queryset, self.viewer, access)

    def get_serializer_context(self) -> dict[str, Any]:
        return super().get_serializer_context() | {"viewer": self.viewer}

    @extend_schema(request={"multipart/form-data": DocumentUpload}, responses={201: DocumentBody})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Upload a file."""
        body = DocumentUpload(data=_plain(request.data), context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        file = values.pop("file")
        row = services.document_create(actor=self.actor, file=file, filename=file.name or "", values=values)
        return self.answer(row, status=201, headers={"Location": f"{request.path}{row.pk}/"})

    def perform_update(self, row: Document, values: dict[str, Any]) -> Document:
        return services.document_update(actor=self.actor, document=row, values=values)

    def perform_destroy(self, row: Document) -> None:
        services.document_delete(actor=self.actor, document=row)

    @extend_schema(responses=VersionList, filters=False, operation_id="documents_versions_list")
    @action(detail=True, pagination_class=None, url_path="versions", url_name="versions")
    def versions(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Every version, newest first. Not paged."""
        rows = DocumentVersion.objects.filter(document=self.get_object()).order_by("-number")
        return Response({"data": VersionBody(rows, many=True).data, "next_cursor": None, "has_more": False})

    @extend_schema(
        request={"multipart/form-data": VersionUpload}, responses={201: VersionBody},
        operation_id="documents_versions_create",
    )  # fmt: skip
    @versions.mapping.post
    def add_version(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Upload a new version."""
        document = self.get_object()
        body = VersionUpload(data=_plain(request.data))
        body.is_valid(raise_exception=True)
        file = body.validated_data["file"]
        version = services.version_add(actor=self.actor, document=document, file=file, filename=file.name)
        return Response(VersionBody(version).data, status=201)

    @extend_schema(
        parameters=[_VERSION],
        filters=False,
        responses={(200, "*/*"): OpenApiTypes.BINARY},
    )
    @action(detail=True, pagination_class=None, url_path="content", url_name="content")
    def content(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """The bytes, as an attachment."""
        version = self._version(request.query_params.get("version"))
        return hand_out(version, self.actor)

    @extend_schema(request=LinkAsk, responses={201: LinkBody}, filters=False)
    @action(detail=True, methods=["post"], pagination_class=None, url_path="links", url_name="links")
    def links(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a link to the bytes that works for fifteen minutes."""
        body = LinkAsk(data=request.data)
        body.is_valid(raise_exception=True)
        version = self._version(body.validated_data.get("version"))
        require_readable(version)
        tenant: Any = request._request.tenant  # type: ignore[attr-defined]
        url = files.signed_url(
            tenant.pk, "documents", version.pk, self.actor.id, int(LINK_VALID.total_seconds())
        )
        audit.record(actor=self.actor, action="link", obj=version.document)
        return Response({"url": url, "expires_at": timezone.now() + LINK_VALID}, status=201)

    def _version(self, number: Any) -> DocumentVersion:
        """The version asked for of the document in the path, which this person may download."""
        document = self.get_object()
        if not queries.may(document, self.viewer, AccessType.DOWNLOAD):
            raise Forbidden("You may see this document, but not download it.")
        if number is not None and not str(number).isdecimal():
            raise Malformed("A version is a number.")
        version = queries.version_of(document, None if number is None else int(str(number)[:9]))
        if version is None:
            raise NotFound()
        return version


class LinkView(ApiView):
    """What a link leads to; the link itself says who may have it."""

    @extend_schema(
        operation_id="documents_files_read",
        responses={(200, "*/*"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, token: str) -> Any:
        """The bytes that a link was made for."""
        tenant: Any = request._request.tenant  # type: ignore[attr-defined]
        try:
            link = files.verify(token, tenant.pk, "documents")
        except files.BadToken:
            raise NotFound() from None
        if request.user.is_authenticated and request.user.pk != link.user_id:
            raise Forbidden("This link was made for somebody else.")
        version = DocumentVersion.objects.select_related("document").filter(pk=link.id).first()
        viewer = holders.viewer_now(tenant.pk, link.user_id) or Viewer(None, {})
        if version is None or not queries.may(version.document, viewer, AccessType.DOWNLOAD):
            raise NotFound()
        actor = Actor(ActorKind.USER, id=link.user_id, request_id=self.actor.request_id,
                      ip_address=self.actor.ip_address)  # fmt: skip
        return hand_out(version, actor)


class AccessViewSet(ResourceViewSet):
    """Who has been given access to a document."""

    queryset = DocumentAccess.objects.select_related("document")
    serializer_class = AccessBody
    filters = {"user": Filter("user", schema=_ID)}

    def visible(self, queryset: QuerySet[DocumentAccess]) -> QuerySet[DocumentAccess]:
        return queryset.filter(document=self._document())

    def _document(self) -> Document:
        try:
            pk = uuid.UUID(str(self.kwargs["document"]))
            return queries.visible(Document.objects.all(), self.viewer, AccessType.EDIT).get(pk=pk)
        except (Document.DoesNotExist, ValueError):
            raise NotFound() from None

    def perform_create(self, values: dict[str, Any]) -> DocumentAccess:
        return services.access_grant(actor=self.actor, document=self._document(), **values)

    def perform_update(self, row: DocumentAccess, values: dict[str, Any]) -> DocumentAccess:
        values.pop("user_id", None)
        return services.access_update(actor=self.actor, grant=row, values=values)

    def perform_destroy(self, row: DocumentAccess) -> None:
        services.access_revoke(actor=self.actor, grant=row)


def require_readable(version: DocumentVersion) -> None:
    """Raises Conflict for bytes that wait for the scanner, or that it refused."""
    if version.scan_status not in READABLE:
        raise NotScanned(f"The virus scanner says: {version.get_scan_status_display()}.")


def hand_out(version: DocumentVersion, actor: Actor) -> FileResponse:
    """The bytes of a version, audited."""
    require_readable(version)
    try:
        file = storage.open_bytes(version.file_path)
    except (FileNotFoundError, ValueError):
        raise NotFound() from None
    audit.record(actor=actor, action="download", obj=version.document, changes={"version": version.number})
    response = FileResponse(
        file, as_attachment=True, filename=version.original_filename, content_type=version.mime_type
    )
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "private, no-store"
    response["ETag"] = f'"{version.sha256}"'
    return response


def _plain(data: Any) -> dict[str, Any]:
    """A form's fields, each once."""
    return {name: data.get(name) for name in data}
