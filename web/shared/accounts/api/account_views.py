"""One's own account: password, second factors, and where one is signed in."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts import limits, mail, passwords, sessions
from web.shared.accounts.api import mfa_bodies as bodies
from web.shared.accounts.api import proof
from web.shared.accounts.api.serializers import CeremonyAnswer
from web.shared.accounts.factors import passkeys, policy, recovery, totp
from web.shared.accounts.middleware import tenant_key
from web.shared.accounts.models import OutgoingMail, TokenFamily, User
from web.shared.accounts.problems import SecondFactorRefused
from web.shared.accounts.session_store import ENROL_ONLY
from web.shared.api.problems import Conflict, NotFound
from web.shared.api.serializers import read
from web.shared.api.viewsets import ApiView
from web.shared.core import audit
from web.shared.core.net import client_address


class PasswordView(ApiView):
    @extend_schema(request=bodies.PasswordBody, responses={204: None}, operation_id="auth_password_change")
    def post(self, request: Request) -> Response:
        """Change your password. Every sign-in ends, this one too."""
        body = read(bodies.PasswordBody, request)
        user = proof.require(request, body["current_password"], always=True)
        passwords.change(
            actor=self.actor,
            tenant_id=tenant_key(request._request),
            user=user,
            new_password=body["new_password"],
        )
        request._request.session.flush()
        return Response(status=204)


class PasswordResetView(ApiView):
    @extend_schema(request=bodies.ResetBody, responses={202: None}, operation_id="auth_password_reset")
    def post(self, request: Request) -> Response:
        """Ask for a link to set a new password. The answer is the same whoever has the address."""
        email = read(bodies.ResetBody, request)["email"]
        inner = request._request
        tenant_id = tenant_key(inner)
        limits.anonymous(tenant_id, client_address(inner))
        limits.count(tenant_id, "reset", email.strip().lower(), limits.limit_of("reset_per_account"))
        passwords.reset_request(tenant_id=tenant_id, email=email)
        return Response(status=202)


class PasswordResetConfirmView(ApiView):
    @extend_schema(
        request=bodies.ResetConfirmBody, responses={204: None}, operation_id="auth_password_reset_confirm"
    )
    def post(self, request: Request) -> Response:
        """Set a new password with the mailed link, then sign in. Every sign-in ends."""
        body, inner = read(bodies.ResetConfirmBody, request), request._request
        limits.anonymous(tenant_key(inner), client_address(inner))
        passwords.reset(actor=self.actor, tenant_id=tenant_key(inner), **body)
        return Response(status=204)


class SignInsView(ApiView):
    @extend_schema(responses=bodies.SignInPlaces, operation_id="auth_sessions_list")
    def get(self, request: Request) -> Response:
        """Where you are signed in here: browsers and API clients."""
        user = proof.own_account(request)
        found = sessions.sign_ins(user, tenant_key(request._request), current=_current(request))
        return Response(bodies.shown(bodies.SignInPlaces, {"data": found}))

    @extend_schema(request=None, responses={204: None}, operation_id="auth_sessions_end_others")
    def delete(self, request: Request) -> Response:
        """End all your other sign-ins here."""
        sessions.end_others(
            actor=self.actor,
            user=proof.own_account(request),
            tenant_id=tenant_key(request._request),
            current=_current(request),
        )
        return Response(status=204)


class SignInView(ApiView):
    @extend_schema(request=None, responses={204: None}, operation_id="auth_sessions_end")
    def delete(self, request: Request, sign_in: uuid.UUID) -> Response:
        """End one of your sign-ins here."""
        user, tenant_id = proof.own_account(request), tenant_key(request._request)
        if not sessions.end_one(actor=self.actor, user=user, tenant_id=tenant_id, sign_in=sign_in):
            raise NotFound()
        return Response(status=204)


class MfaView(ApiView):
    @extend_schema(responses=bodies.MfaAnswer, operation_id="auth_mfa_read")
    def get(self, request: Request) -> Response:
        """Your second factors."""
        user, inner = proof.own_account(request), _inner(request)
        answer = {
            "totp": totp.is_set_up(user),
            "passkeys": passkeys.rows_of(user).order_by("created_at"),
            "recovery_codes_left": recovery.left(user),
            "required": policy.is_required(user, inner.tenant),
        }
        return Response(bodies.shown(bodies.MfaAnswer, answer))


class TotpView(ApiView):
    @extend_schema(request=bodies.ProofBody, responses=bodies.TotpAnswer, operation_id="auth_totp_begin")
    def post(self, request: Request) -> Response:
        """Begin to set up an authenticator app. It counts once a code confirmed it."""
        user = proof.require(request, read(bodies.ProofBody, request).get("current_password"))
        secret, uri = totp.begin(user, issuer=proof.site_of(request).host)
        return Response(bodies.shown(bodies.TotpAnswer, {"secret": secret, "uri": uri}))

    @extend_schema(request=bodies.ProofBody, responses={204: None}, operation_id="auth_totp_delete")
    def delete(self, request: Request) -> Response:
        """Remove your authenticator app."""
        user = proof.require(request, read(bodies.ProofBody, request).get("current_password"))
        with transaction.atomic():
            if not totp.remove(user):
                raise NotFound()
            _removed(request, user, "totp", self.actor)
        return Response(status=204)


class TotpConfirmView(ApiView):
    @extend_schema(request=bodies.CodeBody, responses=bodies.CodesAnswer, operation_id="auth_totp_confirm")
    def post(self, request: Request) -> Response:
        """Show that the app works. The first factor comes with recovery codes."""
        user, code = proof.own_account(request), read(bodies.CodeBody, request)["code"]
        tenant_id = tenant_key(request._request)
        limits.count(tenant_id, "factor", str(user.pk), limits.limit_of("second_factor"))
        with transaction.atomic():
            if not totp.use(user, code, confirmed=False):
                raise SecondFactorRefused()
            codes = _added(request, user, "totp", self.actor)
        return Response(bodies.shown(bodies.CodesAnswer, {"recovery_codes": codes}))


class RecoveryCodesView(ApiView):
    @extend_schema(request=bodies.ProofBody, responses=bodies.CodesAnswer, operation_id="auth_recovery_codes")
    def post(self, request: Request) -> Response:
        """Ten new recovery codes; the older ones stop working."""
        user = proof.require(request, read(bodies.ProofBody, request).get("current_password"))
        if not policy.has_factor(user):
            raise Conflict("Recovery codes go with a second factor. Set one up first.")
        with transaction.atomic():
            codes = recovery.renew(user)
            audit.record(actor=self.actor, action="recovery_codes_renewed", obj=user)
        return Response(bodies.shown(bodies.CodesAnswer, {"recovery_codes": codes}))


class PasskeysView(ApiView):
    @extend_schema(responses=bodies.PasskeysAnswer, operation_id="auth_passkeys_list")
    def get(self, request: Request) -> Response:
        """Your passkeys, on whatever host they work."""
        rows = passkeys.rows_of(proof.own_account(request)).order_by("created_at")
        return Response(bodies.shown(bodies.PasskeysAnswer, {"data": rows}))

    @extend_schema(
        request=bodies.RegistrationBody,
        responses={201: bodies.PasskeyAnswer},
        operation_id="auth_passkeys_create",
    )
    def post(self, request: Request) -> Response:
        """Finish making a passkey, with what navigator.credentials.create answered."""
        user, body = proof.own_account(request), read(bodies.RegistrationBody, request)
        with transaction.atomic():
            row = passkeys.finish_registration(proof.site_of(request), user, **body)
            codes = _added(request, user, "passkey", self.actor)
        answer = {"passkey": row, "recovery_codes": codes}
        return Response(bodies.shown(bodies.PasskeyAnswer, answer), status=201)


class PasskeyBeginView(ApiView):
    @extend_schema(
        request=bodies.ProofBody, responses=CeremonyAnswer, operation_id="auth_passkeys_begin"
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """What to hand to navigator.credentials.create."""
        user = proof.require(request, read(bodies.ProofBody, request).get("current_password"))
        ceremony, options = passkeys.begin_registration(proof.site_of(request), user)
        return Response({"ceremony": ceremony, "options": options})


class PasskeyDetailView(ApiView):
    @extend_schema(
        request=bodies.PasskeyNameBody, responses=bodies.PasskeyBody, operation_id="auth_passkeys_rename"
    )
    def patch(self, request: Request, passkey: uuid.UUID) -> Response:
        """Rename one of your passkeys."""
        user, name = proof.own_account(request), read(bodies.PasskeyNameBody, request)["name"]
        row = passkeys.rows_of(user).filter(pk=passkey).first()
        if row is None:
            raise NotFound()
        row.name = name
        row.save(update_fields=["name"])
        return Response(bodies.PasskeyBody(row).data)

    @extend_schema(request=bodies.ProofBody, responses={204: None}, operation_id="auth_passkeys_delete")
    def delete(self, request: Request, passkey: uuid.UUID) -> Response:
        """Remove one of your passkeys."""
        user = proof.require(request, read(bodies.ProofBody, request).get("current_password"))
        with transaction.atomic():
            if not passkeys.rows_of(user).filter(pk=passkey).delete()[0]:
                raise NotFound()
            _removed(request, user, "passkey", self.actor)
        return Response(status=204)


class PolicyView(ApiView):
    @extend_schema(responses=bodies.PolicyBody, operation_id="auth_mfa_policy_read")
    def get(self, request: Request) -> Response:
        """Whose role must have a second factor."""
        roles = policy.required_roles(_inner(request).tenant)
        return Response(bodies.shown(bodies.PolicyBody, {"required_roles": roles}))

    @extend_schema(
        request=bodies.PolicyBody, responses=bodies.PolicyBody, operation_id="auth_mfa_policy_change"
    )
    def patch(self, request: Request) -> Response:
        """Say whose role must have one. Sign-ins of those who have none end, so that they set one up."""
        roles = policy.require_roles(
            actor=self.actor,
            tenant_id=tenant_key(request._request),
            roles=read(bodies.PolicyBody, request)["required_roles"],
        )
        return Response(bodies.shown(bodies.PolicyBody, {"required_roles": roles}))


def _inner(request: Request) -> Any:
    return request._request


def _current(request: Request) -> uuid.UUID | None:
    if isinstance(request.auth, TokenFamily):
        return request.auth.pk
    found: uuid.UUID | None = _inner(request).session.public_id
    return found


def _added(request: Request, user: User, kind: str, actor: Any) -> list[str] | None:
    """What follows a new factor; recovery codes when there were none."""
    codes = None if recovery.left(user) else recovery.renew(user)
    audit.record(actor=actor, action="second_factor_added", obj=user, changes={"kind": kind})
    _inner(request).session.pop(ENROL_ONLY, None)
    _tell(request, user)
    return codes


def _removed(request: Request, user: User, kind: str, actor: Any) -> None:
    if not policy.has_factor(user):
        if policy.is_required(user, _inner(request).tenant):
            raise Conflict("Your role here must have a second factor. Set up another one first.")
        recovery.forget(user)
    audit.record(actor=actor, action="second_factor_removed", obj=user, changes={"kind": kind})
    _tell(request, user)


def _tell(request: Request, user: User) -> None:
    mail.put(OutgoingMail.Kind.CREDENTIALS_CHANGED, tenant_id=tenant_key(request._request), user=user)
