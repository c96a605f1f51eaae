"""Files that belong to cases and contacts.

A Document is what people speak of; each upload to it is a DocumentVersion, and the document repeats what its
newest version says, so that a list is one query. The bytes lie under a generated name (storage.py): what a
person called the file is text in a row, erasable, and never part of a path.

DocumentAccess gives one person more than their role does, for a while: view, download or edit.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.shared.core.validators import check_tags
from web.tenant.documents.choices import AccessType, ScanStatus


class Document(BaseModel):
    event_name = "document"

    case = models.ForeignKey(
        "cases.Case", on_delete=models.CASCADE, null=True, blank=True, related_name="documents"
    )
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.CASCADE, null=True, blank=True, related_name="documents"
    )
    filename = models.CharField(max_length=255, help_text="What it is called now; free to change.")
    original_filename = models.CharField(max_length=255, editable=False)
    file_path = models.CharField(max_length=500, editable=False, help_text="Generated; never from outside.")
    mime_type = models.CharField(max_length=100, editable=False)
    size = models.BigIntegerField(editable=False, help_text="Bytes.")
    description = models.TextField(blank=True, max_length=4000)
    tags = models.JSONField(default=list, blank=True, validators=[check_tags])
    is_public = models.BooleanField(default=False, help_text="Everybody who may see documents sees it.")
    version = models.PositiveIntegerField(default=1, editable=False)
    scan_status = models.CharField(max_length=10, choices=ScanStatus.choices, editable=False)

    class Meta(BaseModel.Meta):
        indexes = [
            models.Index(fields=["case", "-created_at"], name="document_by_case"),
            models.Index(fields=["contact", "-created_at"], name="document_by_contact"),
            models.Index(fields=["created_by", "-created_at"], name="document_by_creator"),
        ]

    def event_data(self) -> dict[str, Any]:
        return {
            "case": str(self.case_id) if self.case_id else None,
            "contact": str(self.contact_id) if self.contact_id else None,
            "version": self.version,
            "scan_status": self.scan_status,
        }


class DocumentVersion(models.Model):
    """One upload. `sha256` is of the bytes, so that anybody can see that nothing changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    original_filename = models.CharField(max_length=255)
    file_path = models.CharField(max_length=500)
    mime_type = models.CharField(max_length=100)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    scan_status = models.CharField(max_length=10, choices=ScanStatus.choices)
    scanned_at = models.DateTimeField(null=True, blank=True)
    scan_tries = models.PositiveSmallIntegerField(default=0)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["document", "-number"]
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="one_row_per_version")]
        indexes = [
            models.Index(
                fields=["created_at"], name="version_to_scan", condition=models.Q(scan_status="pending")
            )
        ]

    def __str__(self) -> str:
        return f"{self.document_id} version {self.number}"


class DocumentAccess(BaseModel):
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="access")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    access_type = models.CharField(max_length=20, choices=AccessType.choices, default=AccessType.VIEW)
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["document", "user"], condition=models.Q(is_deleted=False), name="one_grant_per_person"
            )
        ]
        indexes = [models.Index(fields=["user", "expires_at"], name="grant_by_user")]
