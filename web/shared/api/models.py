"""Keys of machines, and the log of what machines asked.

An APIKey belongs to an organisation, not to the person who made it: it goes on when they leave, and what it
writes has no author but the key. Only the prefix that people recognise it by and a SHA-256 of the whole are
stored; the text is random and long, so a slow hash would add nothing. A revoked key keeps its row.

APIRequestLog names the route, never the path, and holds no query and no body. It has no foreign keys in the
database: it is written in batches, later than what it tells of, and must not fail because a row has gone.
"""

from __future__ import annotations

import ipaddress
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel

MOST_NETWORKS = 20


def check_networks(value: Any) -> None:
    """A list of networks in CIDR notation; none means from anywhere."""
    if not isinstance(value, list) or len(value) > MOST_NETWORKS:
        raise ValidationError(f"A list of at most {MOST_NETWORKS} networks.", code="invalid")
    for one in value:
        try:
            ipaddress.ip_network(str(one))
        except ValueError:
            raise ValidationError("A network such as 192.0.2.0/24.", code="invalid_network") from None


class APIKey(BaseModel):
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20, editable=False)
    digest = models.BinaryField(unique=True, editable=False)
    permissions = models.JSONField(default=dict, help_text="Permission code → scope, as a role's.")
    rate_limit = models.PositiveIntegerField(
        default=1000,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="Units per minute.",
    )
    networks = models.JSONField(default=list, blank=True, validators=[check_networks])
    is_active = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True, editable=False)

    event_name: ClassVar[str] = "api_key"

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["tenant", "created_at"], name="api_key_by_tenant")]

    @property
    def scopes(self) -> list[str]:
        return sorted(self.permissions)

    @property
    def is_usable(self) -> bool:
        late = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.is_active and not self.is_deleted and not late


class APIRequestLog(models.Model):
    """One request with a key or a token. `response_time` is ours alone, without the network."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    tenant = models.ForeignKey(
        "tenants.Tenant",
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    api_key = models.ForeignKey(
        APIKey,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="requests",
    )
    endpoint = models.CharField(max_length=255, help_text="The route's name.")
    method = models.CharField(max_length=10)
    status_code = models.PositiveSmallIntegerField()
    response_time = models.DurationField()
    ip_address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    app_privileges: ClassVar[tuple[str, ...]] = ("SELECT", "INSERT", "DELETE")

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-created_at"], name="request_by_tenant"),
            models.Index(fields=["api_key", "-created_at"], name="request_by_key"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.endpoint} {self.status_code}"
