"""Signing in through an organisation's own identity provider (OpenID Connect).

The provider belongs to one tenant and speaks for nobody elsewhere: the session it leads to is that tenant's.
The client's secret is sealed under the tenant's key.
"""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models

from web.shared.accounts.models.people import Revisioned, TenantRole, User
from web.shared.core.ids import uuid7


class IdentityProvider(Revisioned):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    slug = models.CharField(
        max_length=40, validators=[RegexValidator(r"\A[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z")]
    )
    name = models.CharField(max_length=100)
    issuer = models.URLField(max_length=400)
    client_id = models.CharField(max_length=200)
    sealed_secret = models.BinaryField(default=bytes)
    allowed_domains = models.JSONField(default=list)
    role_claim = models.CharField(max_length=100, blank=True)
    role_mapping = models.JSONField(default=dict)
    default_role = models.ForeignKey(
        TenantRole, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    invite_only = models.BooleanField(default=True)
    proves_second_factor = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "slug"], name="one_provider_per_slug")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.slug}"


class ExternalIdentity(models.Model):
    """The provider's name for a person (`sub`), learnt at their first sign-in."""

    provider = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="identities")
    subject = models.CharField(max_length=255)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "subject"], name="one_person_per_subject")]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.pk}"
