"""Signing in and out, with cookie or tokens, and the second step where a second factor is set up.

Signing in takes JSON only, which no other site's form can send, so it needs no CSRF token; every other write
with a session does. A password that needs a second factor answers `mfa_required` with a note (`mfa.state`)
that the second step sends back; the note opens nothing by itself.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout
from django.db import transaction
from django.middleware.csrf import get_token
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts import break_glass, browser, limits, sign_in, tokens
from web.shared.accounts.api import serializers as bodies
from web.shared.accounts.api.proof import as_actor, site_of
from web.shared.accounts.factors import passkeys, pending, policy
from web.shared.accounts.middleware import tenant_key
from web.shared.accounts.models import User
from web.shared.accounts.problems import EnrolmentRequired, SecondFactorRefused
from web.shared.accounts.queries import may_enter
from web.shared.accounts.session_store import ENROL_ONLY
from web.shared.api.problems import Forbidden
from web.shared.api.serializers import read
from web.shared.api.viewsets import ApiView
from web.shared.core import audit
from web.shared.core.net import client_address
from web.shared.tenants.ids import PUBLIC


class SessionView(ApiView):
    @extend_schema(responses=bodies.SessionAnswer, operation_id="auth_session_read")
    def get(self, request: Request) -> Response:
        """Whether somebody is signed in here, and the CSRF token for writes."""
        user = request.user if isinstance(request.user, User) else None
        return Response(session_answer(request, user))

    @extend_schema(
        request=bodies.SignInBody, responses=bodies.SessionAnswer, operation_id="auth_session_create"
    )
    def post(self, request: Request) -> Response:
        """Sign in with e-mail and password."""
        user = _checked(request, **read(bodies.SignInBody, request))
        methods = pending.methods_of(user, site_of(request).host)
        if methods:
            return Response(session_answer(request, None, mfa=_note(request, user, methods, "session")))
        sign_in_here(request, user, by_password=True)
        return Response(session_answer(request, user))

    @extend_schema(request=None, responses={204: None}, operation_id="auth_session_delete")
    def delete(self, request: Request) -> Response:
        """Sign out. Signing out twice is no error."""
        if isinstance(request.user, User):
            audit.record(actor=self.actor, action="sign_out", obj=request.user)
        logout(request._request)
        return Response(status=204)


class SecondStepView(ApiView):
    @extend_schema(
        request=bodies.SecondStepBody, responses=bodies.SessionAnswer, operation_id="auth_session_mfa"
    )
    def post(self, request: Request) -> Response:
        """Finish signing in with a TOTP code, a passkey or a recovery code."""
        user, by_password = _second_step(request, read(bodies.SecondStepBody, request), "session")
        sign_in_here(request, user, by_password=by_password)
        return Response(session_answer(request, user))


class SecondStepPasskeyView(ApiView):
    @extend_schema(
        request=bodies.StateBody, responses=bodies.CeremonyAnswer, operation_id="auth_session_mfa_passkey"
    )
    def post(self, request: Request) -> Response:
        """What to hand to navigator.credentials.get when the second step is a passkey."""
        state, site = read(bodies.StateBody, request)["state"], site_of(request)
        limits.anonymous(site.tenant_id, client_address(request._request))
        found = pending.read(state, tenant_id=site.tenant_id, purpose="session")
        ceremony, options = passkeys.begin_assertion(site, found.user)
        return Response({"ceremony": ceremony, "options": options})


class PasskeyBeginView(ApiView):
    @extend_schema(request=None, responses=bodies.CeremonyAnswer, operation_id="auth_passkey_begin")
    def post(self, request: Request) -> Response:
        """What to hand to navigator.credentials.get to sign in without e-mail and password."""
        site = site_of(request)
        limits.anonymous(site.tenant_id, client_address(request._request))
        ceremony, options = passkeys.begin_assertion(site, None)
        return Response({"ceremony": ceremony, "options": options})


class PasskeyView(ApiView):
    @extend_schema(
        request=bodies.AssertionBody, responses=bodies.SessionAnswer, operation_id="auth_passkey_sign_in"
    )
    def post(self, request: Request) -> Response:
        """Sign in with a passkey alone: it shows that the device and its owner are here."""
        body, site = read(bodies.AssertionBody, request), site_of(request)
        limits.anonymous(site.tenant_id, client_address(request._request))
        user = passkeys.finish_assertion(site, user=None, **body)
        if not may_enter(user, site.tenant_id):
            raise SecondFactorRefused()
        sign_in_here(request, user, by_password=False)
        return Response(session_answer(request, user))


class BreakGlassEntryView(ApiView):
    @extend_schema(
        request=bodies.EntryBody, responses=bodies.SessionAnswer, operation_id="auth_break_glass_enter"
    )
    def post(self, request: Request) -> Response:
        """Come in through the emergency door with the secret that the platform gave out."""
        token, tenant_id = read(bodies.EntryBody, request)["token"], organisation(request)
        limits.anonymous(tenant_id, client_address(request._request))
        row = break_glass.enter(tenant_id=tenant_id, token=token)
        browser.open_session(request._request, row.user, by_password=False, break_glass=row)
        break_glass.entered(actor=as_actor(request, row.user), row=row)
        return Response(session_answer(request, row.user))


class TokenView(ApiView):
    @extend_schema(request=bodies.TokenBody, responses=bodies.TokenAnswer, operation_id="auth_token_create")
    def post(self, request: Request) -> Response:
        """An access token (5 minutes) and the next refresh token, for API clients."""
        tenant_id, values = organisation(request), read(bodies.TokenBody, request)
        kind = values["grant_type"]
        if kind == "refresh_token":
            return Response(_pair(tokens.rotate(values["refresh_token"], tenant_id)))
        if kind == "second_factor":
            user, _ = _second_step(request, values, "token")
        else:
            user = _checked(request, email=values["email"], password=values["password"])
            methods = pending.methods_of(user, site_of(request).host)
            if methods:
                return Response(_pair(None, mfa=_note(request, user, methods, "token")))
        inner: Any = request._request
        if not policy.has_factor(user) and policy.is_required(user, inner.tenant):
            raise EnrolmentRequired("Sign in with a browser and set one up there.")
        with transaction.atomic():
            pair = tokens.issue(
                user, tenant_id, address=client_address(inner), device=browser.device_of(inner)
            )
            audit.record(actor=as_actor(request, user), action="token_issue", obj=user)
        return Response(_pair(pair))

    @extend_schema(request=bodies.RevokeBody, responses={204: None}, operation_id="auth_token_delete")
    def delete(self, request: Request) -> Response:
        """Revoke a refresh token and all its relatives. An unknown one is no error."""
        token = read(bodies.RevokeBody, request)["refresh_token"]
        family = tokens.family_of_refresh(token, organisation(request))
        if family is not None:
            tokens.revoke(family, because="signed out")
        return Response(status=204)


def sign_in_here(request: Request, user: User, *, by_password: bool, factor_proved: bool = False) -> None:
    """Make the browser's session, for setting up a second factor alone when the role demands one.

    `factor_proved`: an identity provider that is trusted with it saw one.
    """
    inner: Any = request._request
    missing = not factor_proved and not policy.has_factor(user)
    enrol_only = missing and policy.is_required(user, inner.tenant)
    with transaction.atomic():
        browser.open_session(inner, user, by_password=by_password, enrol_only=enrol_only)
        audit.record(actor=as_actor(request, user), action="sign_in", obj=user)


def session_answer(request: Request, user: User | None, *, mfa: Any = None) -> dict[str, Any]:
    inner = request._request
    answer = {
        "user": user,
        "csrf_token": get_token(inner),
        "mfa_required": mfa is not None,
        "mfa": mfa,
        "mfa_enrolment_required": user is not None and bool(inner.session.get(ENROL_ONLY)),
    }
    return dict(bodies.SessionAnswer(answer).data)


def organisation(request: Request) -> str:
    """The host's tenant. Forbidden on the platform's host."""
    tenant_id = tenant_key(request._request)
    if tenant_id == PUBLIC:
        raise Forbidden("This is the platform's host. Ask at your organisation's own address.")
    return tenant_id


def _checked(request: Request, *, email: str, password: str) -> User:
    inner = request._request
    return sign_in.password_check(
        inner, email=email, password=password, tenant_id=tenant_key(inner), address=client_address(inner)
    )


def _note(request: Request, user: User, methods: list[str], purpose: str) -> dict[str, Any]:
    state = pending.begin(user, tenant_id=tenant_key(request._request), purpose=purpose)
    return {"state": state, "methods": methods}


def _second_step(request: Request, values: dict[str, Any], purpose: str) -> tuple[User, bool]:
    site = site_of(request)
    found = pending.read(values["state"], tenant_id=site.tenant_id, purpose=purpose)
    user = pending.finish(
        found,
        site=site,
        method=values["method"],
        code=values.get("code", ""),
        ceremony=values.get("ceremony", ""),
        credential=values.get("credential"),
    )
    if values["method"] == pending.RECOVERY:
        audit.record(actor=as_actor(request, user), action="recovery_code_used", obj=user)
    return user, found.by_password


def _pair(pair: tokens.TokenPair | None, *, mfa: Any = None) -> dict[str, Any]:
    answer = {
        "access_token": None if pair is None else pair.access_token,
        "token_type": "Bearer",
        "expires_in": None if pair is None else pair.expires_in,
        "refresh_token": None if pair is None else pair.refresh_token,
        "mfa_required": mfa is not None,
        "mfa": mfa,
    }
    return dict(bodies.TokenAnswer(answer).data)
