"""Bodies of the identity endpoints."""

from __future__ import annotations

from rest_framework import serializers

from web.shared.api.serializers import Body


class SignInBody(Body):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=256, trim_whitespace=False, write_only=True)


class UserBody(Body):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    language = serializers.CharField()


class SessionAnswer(Body):
    """`user` is null while nobody is signed in, or while a second factor is still to come."""

    user = UserBody(allow_null=True)
    csrf_token = serializers.CharField()
    mfa_required = serializers.BooleanField()


class TokenBody(Body):
    """Either e-mail and password (grant_type `password`) or the last refresh token (`refresh_token`)."""

    grant_type = serializers.ChoiceField(choices=["password", "refresh_token"], default="password")
    email = serializers.EmailField(max_length=254, required=False)
    password = serializers.CharField(max_length=256, trim_whitespace=False, required=False, write_only=True)
    refresh_token = serializers.CharField(max_length=128, required=False)

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        needed = ("email", "password") if attrs["grant_type"] == "password" else ("refresh_token",)
        missing = {name: ["This field is required."] for name in needed if name not in attrs}
        if missing:
            raise serializers.ValidationError(missing, code="required")
        return attrs


class RevokeBody(Body):
    refresh_token = serializers.CharField(max_length=128)


class TokenAnswer(Body):
    access_token = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()
    refresh_token = serializers.CharField()
    mfa_required = serializers.BooleanField()


class TenantBody(Body):
    id = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    time_zone = serializers.CharField()
    region = serializers.CharField()
    language = serializers.CharField()


class RoleBody(Body):
    name = serializers.CharField()
    display_name = serializers.CharField()


class MeAnswer(Body):
    """`permissions`: code → scope (own, team, all)."""

    user = UserBody()
    tenant = TenantBody(allow_null=True)
    role = RoleBody(allow_null=True)
    permissions = serializers.DictField(child=serializers.ChoiceField(choices=["own", "team", "all"]))
    sip_websocket = serializers.CharField(allow_blank=True)


class TicketAnswer(Body):
    ticket = serializers.CharField()
    expires_in = serializers.IntegerField()
