"""Bodies of the identity endpoints."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from web.shared.accounts.factors.pending import METHODS, PASSKEY, RECOVERY, TOTP
from web.shared.api.fields import OneOf
from web.shared.api.serializers import Body
from web.shared.tenants.api.serializers import check_language


def require_for(attrs: dict[str, Any], needed: tuple[str, ...]) -> dict[str, Any]:
    """`attrs`, or a ValidationError that names what is missing."""
    missing = {name: ["This field is required."] for name in needed if name not in attrs}
    if missing:
        raise serializers.ValidationError(missing, code="required")
    return attrs


class SignInBody(Body):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=256, trim_whitespace=False, write_only=True)


class UserBody(Body):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    language = serializers.CharField()


class ProfileBody(Body):
    """What one changes about oneself. `language` is that of one's mails; empty: the organisation's."""

    name = serializers.CharField(max_length=150, required=False)
    language = serializers.CharField(validators=[check_language], allow_blank=True, required=False)


class MfaNote(Body):
    """`state` goes back with the second step, within five minutes. `methods`: what can be used here."""

    state = serializers.CharField()
    methods = serializers.ListField(child=OneOf(choices=METHODS))


class SessionAnswer(Body):
    """`user` is null while nobody is signed in, or while a second factor is still to come.

    `mfa_enrolment_required`: signed in, but only the endpoints under /auth/mfa/ answer until one is set up.
    """

    user = UserBody(allow_null=True)
    csrf_token = serializers.CharField()
    mfa_required = serializers.BooleanField()
    mfa = MfaNote(allow_null=True)
    mfa_enrolment_required = serializers.BooleanField()


class StateBody(Body):
    state = serializers.CharField(max_length=1000)


class CeremonyAnswer(Body):
    """`options` is what navigator.credentials takes (parse it with PublicKeyCredential.parse…FromJSON)."""

    ceremony = serializers.CharField()
    options = serializers.DictField()


class AssertionBody(Body):
    """`credential`: PublicKeyCredential.toJSON() of the browser."""

    ceremony = serializers.CharField(max_length=64)
    credential = serializers.DictField()


class SecondStepBody(StateBody):
    """`code` for totp and recovery_code; `ceremony` and `credential` for passkey."""

    method = OneOf(choices=METHODS)
    code = serializers.CharField(max_length=32, required=False)
    ceremony = serializers.CharField(max_length=64, required=False)
    credential = serializers.DictField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return require_for(attrs, ("ceremony", "credential") if attrs["method"] == PASSKEY else ("code",))


class EntryBody(Body):
    token = serializers.CharField(max_length=128)


class TokenBody(Body):
    """What `grant_type` needs: `password`: email and password; `refresh_token`: the last refresh token;
    `second_factor`: what the answer to a password said under `mfa`, and a code."""

    grant_type = OneOf(choices=["password", "refresh_token", "second_factor"], default="password")
    email = serializers.EmailField(max_length=254, required=False)
    password = serializers.CharField(max_length=256, trim_whitespace=False, required=False, write_only=True)
    refresh_token = serializers.CharField(max_length=128, required=False)
    state = serializers.CharField(max_length=1000, required=False)
    method = OneOf(choices=[TOTP, RECOVERY], required=False)
    code = serializers.CharField(max_length=32, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        needed = {
            "password": ("email", "password"),
            "refresh_token": ("refresh_token",),
            "second_factor": ("state", "method", "code"),
        }
        return require_for(attrs, needed[attrs["grant_type"]])


class RevokeBody(Body):
    refresh_token = serializers.CharField(max_length=128)


class TokenAnswer(Body):
    """Without tokens while `mfa_required`: send `mfa.state` back with grant_type `second_factor`."""

    access_token = serializers.CharField(allow_null=True)
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(allow_null=True)
    refresh_token = serializers.CharField(allow_null=True)
    mfa_required = serializers.BooleanField()
    mfa = MfaNote(allow_null=True)


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


class KeyRef(Body):
    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)


class LimitBody(Body):
    """`units` that flow back over `seconds`."""

    units = serializers.IntegerField()
    seconds = serializers.IntegerField()


class MeAnswer(Body):
    """`permissions`: code → scope (own, team, all). For an API key `key` says which; `user` is its name."""

    user = UserBody()
    tenant = TenantBody(allow_null=True)
    role = RoleBody(allow_null=True)
    permissions = serializers.DictField(child=OneOf(choices=["own", "team", "all"]))
    sip_websocket = serializers.CharField(allow_blank=True)
    key = KeyRef(required=False, allow_null=True)
    limits = serializers.DictField(child=LimitBody(), required=False)


class TicketAnswer(Body):
    ticket = serializers.CharField()
    expires_in = serializers.IntegerField()
