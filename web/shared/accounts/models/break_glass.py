"""When somebody of the platform enters an organisation: why, how far, until when.

The row lies with the platform; what is done under it is written down in the tenant's audit trail and in the
platform's. The reason is for people to read in a list and appears nowhere else.
"""

from __future__ import annotations

from django.db import models

from web.shared.accounts.models.people import User
from web.shared.core.ids import uuid7


class BreakGlass(models.Model):
    class Access(models.TextChoices):
        SUPPORT = "support", "Look, but not at sensitive fields"
        ADMIN = "admin", "Everything an administrator may"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    access = models.CharField(max_length=12, choices=Access.choices)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    entry_digest = models.BinaryField(null=True)
    entered_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["user", "tenant", "expires_at"], name="open_break_glass")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.id}"
