"""Signing in and out, tokens, who am I, and tickets for sockets.

Signing in takes JSON only, which no other site's form can send, so it needs no CSRF token; every other write
with a session does. A session is bound to the host's tenant when it is made.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout
from django.db import transaction
from django.middleware.csrf import get_token
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts import sign_in, tickets, tokens
from web.shared.accounts.api import serializers as bodies
from web.shared.accounts.middleware import tenant_key
from web.shared.accounts.models import User
from web.shared.accounts.session_store import SIGNED_IN_AT, TENANT_KEY
from web.shared.api.problems import Forbidden
from web.shared.api.viewsets import ApiView
from web.shared.core import audit
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.net import client_address
from web.shared.tenants.ids import PUBLIC


class SessionView(ApiView):
    @extend_schema(responses=bodies.SessionAnswer, operation_id="auth_session_read")
    def get(self, request: Request) -> Response:
        """Whether somebody is signed in here, and the CSRF token for writes."""
        return Response(_session_answer(request, request.user if request.user.is_authenticated else None))

    @extend_schema(
        request=bodies.SignInBody, responses=bodies.SessionAnswer, operation_id="auth_session_create"
    )
    def post(self, request: Request) -> Response:
        """Sign in with e-mail and password."""
        body = bodies.SignInBody(data=request.data)
        body.is_valid(raise_exception=True)
        user = _checked(request, **body.validated_data)
        inner: Any = request._request
        # A new session, whatever cookie came along: nobody can prepare one for somebody else.
        inner.session.flush()
        with transaction.atomic():
            login(inner, user)
            inner.session[TENANT_KEY] = tenant_key(inner)
            inner.session[SIGNED_IN_AT] = timezone.now().isoformat()
            audit.record(actor=_as_actor(request, user), action="sign_in", obj=user)
        return Response(_session_answer(request, user))

    @extend_schema(request=None, responses={204: None}, operation_id="auth_session_delete")
    def delete(self, request: Request) -> Response:
        """Sign out. Signing out twice is no error."""
        inner: Any = request._request
        if request.user.is_authenticated:
            audit.record(actor=self.actor, action="sign_out", obj=request.user)
        logout(inner)
        return Response(status=204)


class TokenView(ApiView):
    @extend_schema(request=bodies.TokenBody, responses=bodies.TokenAnswer, operation_id="auth_token_create")
    def post(self, request: Request) -> Response:
        """An access token (5 minutes) and the next refresh token, for API clients."""
        tenant_id = _organisation(request)
        body = bodies.TokenBody(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        if values["grant_type"] == "refresh_token":
            pair = tokens.rotate(values["refresh_token"], tenant_id)
        else:
            user = _checked(request, email=values["email"], password=values["password"])
            with transaction.atomic():
                pair = tokens.issue(user, tenant_id)
                audit.record(actor=_as_actor(request, user), action="token_issue", obj=user)
        return Response(
            {
                "access_token": pair.access_token,
                "token_type": "Bearer",
                "expires_in": pair.expires_in,
                "refresh_token": pair.refresh_token,
                "mfa_required": False,
            }
        )

    @extend_schema(request=bodies.RevokeBody, responses={204: None}, operation_id="auth_token_delete")
    def delete(self, request: Request) -> Response:
        """Revoke a refresh token and all its relatives. An unknown one is no error."""
        body = bodies.RevokeBody(data=request.data)
        body.is_valid(raise_exception=True)
        family = tokens.family_of_refresh(body.validated_data["refresh_token"], _organisation(request))
        if family is not None:
            tokens.revoke(family, because="signed out")
        return Response(status=204)


class MeView(ApiView):
    @extend_schema(responses=bodies.MeAnswer, operation_id="auth_me")
    def get(self, request: Any) -> Response:
        """Who I am here: organisation, role, permissions."""
        tenant, membership = request._request.tenant, getattr(request, "membership", None)
        answer = {
            "user": request.user,
            "tenant": tenant,
            "role": None if membership is None else membership.role,
            "permissions": {} if membership is None else membership.permissions,
            "sip_websocket": settings.SIP_WEBSOCKET,
        }
        return Response(bodies.MeAnswer(answer).data)


class TicketView(ApiView):
    @extend_schema(request=None, responses={201: bodies.TicketAnswer}, operation_id="auth_ticket_create")
    def post(self, request: Request) -> Response:
        """A ticket that opens one socket within 30 seconds: subprotocol `ticket.<ticket>`."""
        user: Any = request.user
        ticket = tickets.issue(_organisation(request), user.pk)
        return Response({"ticket": ticket, "expires_in": settings.SOCKET_TICKET_SECONDS}, status=201)


def _checked(request: Request, *, email: str, password: str) -> User:
    inner = request._request
    return sign_in.password_check(
        inner, email=email, password=password, tenant_id=tenant_key(inner), address=client_address(inner)
    )


def _organisation(request: Request) -> str:
    tenant_id = tenant_key(request._request)
    if tenant_id == PUBLIC:
        raise Forbidden("Only organisations' hosts give this.")
    return tenant_id


def _as_actor(request: Request, user: User) -> Actor:
    inner: Any = request._request
    return Actor(ActorKind.USER, id=user.pk, request_id=inner.request_id, ip_address=client_address(inner))


def _session_answer(request: Request, user: Any) -> dict[str, Any]:
    return dict(
        bodies.SessionAnswer(
            {"user": user, "csrf_token": get_token(request._request), "mfa_required": False}
        ).data
    )
