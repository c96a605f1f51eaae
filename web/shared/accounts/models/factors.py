"""What somebody proves beside the password: authenticator apps, passkeys, recovery codes.

A TOTP secret has to be read again, so it is sealed (see factors/sealing.py); a passkey is a public key; a
recovery code is kept as SHA-256. `last_step` is the newest time step whose code was used: no code is taken
twice, whatever becomes of Redis.
"""

from __future__ import annotations

from django.db import models

from web.shared.accounts.models.people import User
from web.shared.core.ids import uuid7


class Authenticator(models.Model):
    """A second factor. It counts from `confirmed_at` on."""

    class Kind(models.TextChoices):
        TOTP = "totp", "Authenticator app"
        PASSKEY = "passkey", "Passkey"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="authenticators")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    name = models.CharField(max_length=60, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    sealed_secret = models.BinaryField(null=True)
    last_step = models.BigIntegerField(default=0)
    # A passkey works on the host it was made for and nowhere else.
    host = models.CharField(max_length=253, blank=True)
    credential_id = models.BinaryField(null=True, unique=True)
    public_key = models.BinaryField(null=True, help_text="COSE, as the authenticator attested it.")
    sign_count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=models.Q(kind="totp"), name="one_totp_each")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class RecoveryCode(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.BinaryField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="one_recovery_code")]

    def __str__(self) -> str:
        return f"recovery code {self.pk}"
