"""Whose data it is, and how a request or a call finds out.

A tenant's primary key is its schema's name (see ids.py). Hosts lead to it through Domain, trunk and dialled
number through InboundNumber; both are unique for the whole deployment. A schema is made and migrated by
services.py as the database's owner, never as a side effect of saving a row.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin

from web.shared.core.ids import uuid7
from web.shared.core.models import RevisionedModel
from web.shared.tenants.ids import TenantId, new_tenant_id

slug_validator = RegexValidator(
    r"\A[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z", "Lower-case letters, digits and '-'."
)


class TenantStatus(models.TextChoices):
    PROVISIONING = "provisioning", "Being created"
    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"


class Tenant(RevisionedModel, TenantMixin):  # type: ignore[misc, django-manager-missing]
    """An organisation whose data lives in a schema of its own."""

    auto_create_schema = False
    auto_drop_schema = False

    schema_name = models.CharField(
        primary_key=True,
        max_length=14,
        default=new_tenant_id,
        editable=False,
        validators=[RegexValidator(r"\At_[a-z0-9]{12}\Z", "t_ and twelve of [a-z0-9].")],
    )
    name = models.CharField(max_length=100)
    owner = models.ForeignKey(
        "accounts.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    status = models.CharField(max_length=20, choices=TenantStatus.choices, default=TenantStatus.PROVISIONING)
    sector = models.CharField(max_length=50, default="general")
    subscription_plan = models.CharField(max_length=50, default="basic")
    region = models.CharField(
        max_length=2, default="KE", help_text="ISO 3166 code: how local numbers are read."
    )
    time_zone = models.CharField(max_length=64, default="Africa/Nairobi")
    language = models.CharField(max_length=10, default="en")
    settings = models.JSONField(default=dict, blank=True)
    revision = models.PositiveIntegerField(default=1, db_default=1, editable=False)
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    daemon_privileges: ClassVar[tuple[str, ...]] = ("SELECT",)

    class Meta:
        ordering = ["created_at"]

    @property
    def id(self) -> TenantId:
        return TenantId(self.schema_name)

    @property
    def slug(self) -> str:
        """The primary host's slug; empty while there is none. One query."""
        domain = self.domains.filter(is_primary=True).first()
        return "" if domain is None else str(domain.slug)

    @property
    def is_active(self) -> bool:
        return self.status == TenantStatus.ACTIVE

    def __enter__(self) -> Any:
        # Upstream keeps what was chosen before in one list shared by all threads.
        raise TypeError("Use tenant_context(tenant.id); `with tenant:` is not safe between threads.")


class Domain(DomainMixin):  # type: ignore[misc]
    """A host name (no port) that leads to a tenant; the slug is what people type."""

    slug = models.CharField(max_length=40, validators=[slug_validator])

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["slug"], condition=models.Q(is_primary=True), name="one_tenant_per_slug"
            )
        ]


class InboundNumber(models.Model):
    """Which tenant a call belongs to, by the trunk it came in on and the number dialled (E.164)."""

    trunk = models.CharField(max_length=64)
    number = models.CharField(
        max_length=16, validators=[RegexValidator(r"\A\+[1-9][0-9]{2,14}\Z", "E.164, beginning with '+'.")]
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="inbound_numbers")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    daemon_privileges: ClassVar[tuple[str, ...]] = ("SELECT",)

    class Meta:
        db_table = "inbound_number"
        constraints = [
            models.UniqueConstraint(fields=["trunk", "number"], name="one_tenant_per_inbound_number")
        ]

    def __str__(self) -> str:
        return f"{self.trunk} → {self.tenant_id}"


class ProvisioningStep(models.Model):
    """A step of making a tenant ready (see provisioning.py) that was done, and when."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="provisioning_steps")
    name = models.CharField(max_length=64)
    done_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="provisioned_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.name}"


class QuotaKind(models.TextChoices):
    USERS = "users", "Active members"
    STORAGE_BYTES = "storage_bytes", "Bytes of files"
    CONTACTS = "contacts", "Contacts"
    API_REQUESTS = "api_requests_per_day", "API requests on one day"


class TenantQuota(models.Model):
    """How much a tenant may have of something; without a row there is no limit."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="quotas")
    kind = models.CharField(max_length=32, choices=QuotaKind.choices)
    limit = models.PositiveBigIntegerField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "kind"], name="one_quota_per_kind")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.kind}"


class ErasureRecord(models.Model):
    """That something personal was erased: ids and a time. A restored backup is erased again by these.

    Not a foreign key: the ledger outlives the tenant's rows, which a restore replaces.
    """

    tenant = models.CharField(max_length=14)
    kind = models.CharField(max_length=16, help_text="contact, or party: a caller's row in the log.")
    object_id = models.CharField(max_length=64)
    at = models.DateTimeField()

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "kind", "object_id"], name="erased_once")]

    def __str__(self) -> str:
        return f"{self.tenant} {self.kind} {self.object_id}"


class TenantInvitation(models.Model):
    """Somebody is asked to join. The link is mailed; its secret is kept as SHA-256 and made when it is sent.

    Written and read by web.shared.accounts, which knows people.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.ForeignKey("accounts.TenantRole", on_delete=models.CASCADE, related_name="+")
    invited_by = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    token_digest = models.BinaryField(null=True, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    is_accepted = models.BooleanField(default=False)
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "email"],
                condition=models.Q(is_accepted=False, withdrawn_at__isnull=True),
                name="one_open_invitation_each",
            )
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.id}"
