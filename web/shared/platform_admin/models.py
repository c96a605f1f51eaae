"""What the platform knows about itself and about its tenants' use: states and sums, nobody's data.

SystemHealth is one look at one component; rows are kept some days. TenantUsage is one day of one tenant, in
that tenant's time zone; the day that is still going on is overwritten until it is over.
"""

from __future__ import annotations

from django.db import models


class HealthStatus(models.TextChoices):
    HEALTHY = "healthy", "Healthy"
    WARNING = "warning", "Works, but somebody should look"
    CRITICAL = "critical", "Does not work"


class SystemHealth(models.Model):
    component = models.CharField(max_length=50)
    status = models.CharField(max_length=20, choices=HealthStatus.choices)
    metrics = models.JSONField(default=dict)
    checked_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["component", "-checked_at"], name="health_by_component")]

    def __str__(self) -> str:
        return f"{self.component} {self.status}"


class IdempotencyKey(models.Model):
    """The answer to a POST on the platform's host; see web.shared.api.idempotency. Tenants have their own."""

    owner = models.CharField(max_length=64)
    key = models.CharField(max_length=255, help_text="SHA-256 of the client's key.")
    fingerprint = models.BinaryField()
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_platform_answer_per_key")]

    def __str__(self) -> str:
        return f"{self.owner} {self.created_at:%Y-%m-%dT%H:%M:%SZ}"


class TenantUsage(models.Model):
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="usage")
    date = models.DateField(help_text="A day in the tenant's own time zone.")
    active_users = models.PositiveIntegerField(default=0)
    api_requests = models.PositiveIntegerField(default=0)
    storage_used = models.PositiveBigIntegerField(default=0, help_text="Bytes, at the day's end.")
    cases_created = models.PositiveIntegerField(default=0)
    calls = models.PositiveIntegerField(default=0)
    call_seconds = models.PositiveBigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "date"], name="one_usage_per_day")]
        indexes = [models.Index(fields=["date", "tenant"], name="usage_by_day")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.date}"
