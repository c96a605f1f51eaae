"""Second factors, passwords and sign-ins as REST shows and takes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from web.shared.accounts.api.serializers import AssertionBody
from web.shared.accounts.models import Authenticator
from web.shared.api.fields import OneOf
from web.shared.api.serializers import Body, ModelBody


class ProofBody(Body):
    """`current_password` is needed when this session saw no password in the last ten minutes."""

    current_password = serializers.CharField(
        max_length=256, trim_whitespace=False, required=False, write_only=True
    )


class PasskeyBody(ModelBody):
    class Meta:
        model = Authenticator
        fields = ["id", "name", "host", "created_at", "last_used_at"]
        read_only_fields = fields


class PasskeyNameBody(Body):
    name = serializers.CharField(max_length=60)


class MfaAnswer(Body):
    """`required`: your role here must have a factor."""

    totp = serializers.BooleanField()
    passkeys = PasskeyBody(many=True)
    recovery_codes_left = serializers.IntegerField()
    required = serializers.BooleanField()  # type: ignore[assignment]


class TotpAnswer(Body):
    """Shown once: the secret in base32, and as the URI that a QR code carries."""

    secret = serializers.CharField()
    uri = serializers.CharField()


class CodeBody(Body):
    code = serializers.CharField(max_length=16)


class CodesAnswer(Body):
    """Shown once; null when there were recovery codes already."""

    recovery_codes = serializers.ListField(child=serializers.CharField(), allow_null=True)


class PasskeyAnswer(CodesAnswer):
    passkey = PasskeyBody()


class RegistrationBody(AssertionBody):
    name = serializers.CharField(max_length=60, required=False, allow_blank=True, default="")


class PasskeysAnswer(Body):
    data = PasskeyBody(many=True)  # type: ignore[assignment]


class PolicyBody(Body):
    """Names of roles whose holders must have a second factor; admin and supervisor are a good choice."""

    required_roles = serializers.ListField(child=serializers.CharField(max_length=50), max_length=100)


class PasswordBody(Body):
    current_password = serializers.CharField(max_length=256, trim_whitespace=False, write_only=True)
    new_password = serializers.CharField(max_length=1000, trim_whitespace=False, write_only=True)


class ResetBody(Body):
    email = serializers.EmailField(max_length=254)


class ResetConfirmBody(Body):
    token = serializers.CharField(max_length=128)
    new_password = serializers.CharField(max_length=1000, trim_whitespace=False, write_only=True)


class SignInPlace(Body):
    """`kind`: browser or api. `current`: the one that asks."""

    id = serializers.UUIDField()
    kind = OneOf(choices=["browser", "api"])
    device = serializers.CharField()
    ip_address = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True)
    last_seen_at = serializers.DateTimeField(allow_null=True)
    current = serializers.BooleanField()


class SignInPlaces(Body):
    data = SignInPlace(many=True)  # type: ignore[assignment]


def shown(body: type[Body], values: Any) -> dict[str, Any]:
    return dict(body(values).data)
