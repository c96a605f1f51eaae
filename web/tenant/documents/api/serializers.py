"""Documents as REST shows and takes them. Bytes go by multipart in and by /content/ or a link out."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError as ModelRefused
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from web.shared.api.fields import EntityId, OneOf
from web.shared.api.serializers import Body, ModelBody, page_of
from web.shared.core.validators import check_tags
from web.tenant.documents.choices import AccessType
from web.tenant.documents.models import Document, DocumentAccess, DocumentVersion


class TagsField(serializers.JSONField):
    """A list of texts; in a form, that list as JSON."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            value = json.loads(data) if isinstance(data, str) else data
            check_tags(value)
        except ValueError:
            raise serializers.ValidationError("A list of texts, as JSON.", "invalid") from None
        except ModelRefused as wrong:
            raise serializers.ValidationError(wrong.messages, "invalid") from None
        return value


class DocumentBody(ModelBody):
    """A document. `filename` may be changed; type and size are found in the content."""

    case = EntityId("case", source="case_id", allow_null=True, required=False)
    contact = EntityId("contact", source="contact_id", allow_null=True, required=False)
    tags = extend_schema_field({"type": "array", "items": {"type": "string"}})(TagsField)(required=False)

    class Meta:
        model = Document
        fields = [
            "id", "case", "contact", "filename", "original_filename", "mime_type", "size", "description",
            "tags", "is_public", "version", "scan_status", "created_at", "updated_at", "created_by",
        ]  # fmt: skip
        read_only_fields = [
            "id", "original_filename", "mime_type", "size", "version", "scan_status", "created_at",
            "updated_at", "created_by",
        ]  # fmt: skip


class UploadedFile(serializers.FileField):
    default_error_messages = {"invalid": "Not a file: a part of multipart/form-data that has a file name."}


class DocumentUpload(DocumentBody):
    """multipart/form-data: `file` and what is said about it."""

    file = UploadedFile(write_only=True, max_length=4000, allow_empty_file=True)
    filename = serializers.CharField(max_length=255, required=False)

    class Meta(DocumentBody.Meta):
        fields = [*DocumentBody.Meta.fields, "file"]

    def validate_file(self, value: Any) -> Any:
        if value.size > settings.DOCUMENT_MAX_BYTES:
            raise serializers.ValidationError(
                f"At most {settings.DOCUMENT_MAX_BYTES // 1_000_000} MB.", "too_large"
            )
        return value


class VersionUpload(Body):
    file = UploadedFile(max_length=4000, allow_empty_file=True)

    validate_file = DocumentUpload.validate_file


class VersionBody(ModelBody):
    class Meta:
        model = DocumentVersion
        fields = [
            "id", "number", "original_filename", "mime_type", "size", "sha256", "scan_status", "uploaded_by",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


VersionList = page_of("VersionList", VersionBody, "Every version, newest first, in the shape of every list.")


class LinkAsk(Body):
    version = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False)


class LinkBody(Body):
    """A link that works for fifteen minutes without signing in."""

    url = serializers.CharField()
    expires_at = serializers.DateTimeField()


class AccessBody(ModelBody):
    user = serializers.UUIDField(source="user_id")
    access_type = OneOf(choices=AccessType.choices, default=AccessType.VIEW.value)

    class Meta:
        model = DocumentAccess
        fields = ["id", "user", "access_type", "expires_at", "granted_by", "created_at"]
        read_only_fields = ["id", "granted_by", "created_at"]

    def validate_user(self, value: Any) -> Any:
        if self.instance is not None and self.instance.user_id != value:
            raise serializers.ValidationError("Another person is another grant.", code="immutable")
        return value
