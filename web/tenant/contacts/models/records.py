"""What is recorded about contacts rather than about people: consents, merges, own fields, unnamed numbers.

A consent is a record of a moment and is never changed: the newest one of a purpose counts. A merge keeps what
it takes to undo it; that is personal, so erasing either contact empties it.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.shared.core.validators import check_object
from web.tenant.contacts.choices import ConsentPurpose, ConsentSource, ConsentStatus
from web.tenant.contacts.models.people import Contact


class ContactConsent(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="consents")
    purpose = models.CharField(max_length=30, choices=ConsentPurpose.choices)
    status = models.CharField(max_length=10, choices=ConsentStatus.choices)
    at = models.DateTimeField(default=timezone.now)
    source = models.CharField(max_length=10, choices=ConsentSource.choices)
    expires_at = models.DateTimeField(null=True, blank=True)
    recorded_at = models.DateTimeField(auto_now_add=True)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        indexes = [
            models.Index(fields=["contact", "purpose", "-at", "-id"], name="consent_newest_first"),
            models.Index(fields=["contact", "recorded_at", "id"], name="consent_by_recording"),
        ]

    def __str__(self) -> str:
        return f"Consent {self.pk}"


class ContactMerge(models.Model):
    """`record`: {"tables": {table: {"before": {pk: row}, "after": {pk: row}}}, "apps": {app: its own}}."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    winner = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="merges_won")
    loser = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="merges_lost")
    record = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return f"Merge {self.pk}"


class ContactFieldSchema(BaseModel):
    """What `custom_fields` may hold: a JSON Schema, at most one in force. A property may be `x-sensitive`."""

    schema = models.JSONField(default=dict, validators=[check_object])
    is_active = models.BooleanField(default=True)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["is_active"],
                condition=models.Q(is_active=True, is_deleted=False),
                name="one_schema_of_contacts_in_force",
            )
        ]

    def __str__(self) -> str:
        return f"Schema {self.pk}"


class AnonymousNumber(models.Model):
    """The keyed hash of a number whose owner is known only as a caller who called before."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="anonymous_numbers")
    digest = models.CharField(max_length=64, help_text="HMAC-SHA256 under the tenant's key, hexadecimal.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contact", "digest"], name="hash_once_per_contact")]
        indexes = [models.Index(fields=["digest"], name="contact_by_hash")]

    def __str__(self) -> str:
        return f"Unnamed number {self.pk}"
