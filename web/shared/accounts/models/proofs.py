"""The proofs people hold: browser sessions, tokens, one-time links, and the mails that carry such links.

Session and TokenFamily are bound to one tenant; a cookie or token shown on another host proves nothing.
Secrets are stored as SHA-256 only (they are random and long, so a slow hash would add nothing). A mail's row
names whom and what it is about; its text, and the secret in it, are made when it is sent.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.utils import timezone

from web.shared.accounts.models.people import User
from web.shared.core.ids import uuid7

MAX_DEVICE = 200


class SessionManager(BaseSessionManager["Session"]):
    """Django's own session manager, for our table."""


class Session(AbstractBaseSession):
    """A browser's sign-in. The columns repeat what the payload says so that they can be listed and ended."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="sessions")
    tenant_id = models.CharField(max_length=14, blank=True, db_index=True)
    created_at = models.DateTimeField(null=True)
    # The key is the secret in the cookie, so lists and paths name this instead.
    public_id = models.UUIDField(null=True, default=uuid7, editable=False, db_index=True)
    last_seen_at = models.DateTimeField(null=True)
    ip_address = models.GenericIPAddressField(null=True)
    device = models.CharField(max_length=MAX_DEVICE, blank=True, default="", db_default="")
    break_glass = models.ForeignKey(
        "accounts.BreakGlass", on_delete=models.CASCADE, null=True, related_name="sessions"
    )

    objects: ClassVar[SessionManager] = SessionManager()

    @classmethod
    def get_session_store_class(cls) -> type[Any]:
        from web.shared.accounts.session_store import SessionStore

        return SessionStore


class TokenFamily(models.Model):
    """All refresh tokens that descend from one sign-in of an API client; revoked together."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="token_families")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_because = models.CharField(max_length=32, blank=True)
    last_used_at = models.DateTimeField(null=True)
    ip_address = models.GenericIPAddressField(null=True)
    device = models.CharField(max_length=MAX_DEVICE, blank=True, default="", db_default="")

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.user_id}"


class RefreshToken(models.Model):
    """One link of a family: used once, then replaced. A second use revokes the family."""

    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="tokens")
    digest = models.BinaryField(unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.family_id}"


class OneTimeToken(models.Model):
    """A link that a person got by mail: good once, for one purpose, on one tenant's host."""

    class Purpose(models.TextChoices):
        PASSWORD_RESET = "password_reset", "Set a new password"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    tenant_id = models.CharField(max_length=14)
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    digest = models.BinaryField(unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.purpose} {self.id}"


class OutgoingMail(models.Model):
    """The outbox of mails about accounts. `user` is null when somebody asked for an address nobody has."""

    class Kind(models.TextChoices):
        INVITATION = "invitation", "Invitation"
        PASSWORD_RESET = "password_reset", "Set a new password"
        CREDENTIALS_CHANGED = "credentials_changed", "Your way in was changed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=24, choices=Kind.choices)
    tenant_id = models.CharField(max_length=14)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    object_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    not_before = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=40, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["not_before"], name="mail_to_send", condition=models.Q(done_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
