"""Who am I, what I change about myself, tickets for sockets, and the keys that tokens are checked with."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.accounts import services, signing, tickets
from web.shared.accounts.api import serializers as bodies
from web.shared.accounts.api.proof import own_account
from web.shared.accounts.api.sign_in_views import organisation
from web.shared.accounts.models import TokenFamily
from web.shared.accounts.queries import proof_of
from web.shared.api import throttles
from web.shared.api.serializers import read
from web.shared.api.viewsets import ApiView


class MeView(ApiView):
    open_to_keys = True

    @extend_schema(responses=bodies.MeAnswer, operation_id="auth_me")
    def get(self, request: Any) -> Response:
        """Who I am here: organisation, role or key, permissions, limits per bucket."""
        return Response(self._answer(request))

    @extend_schema(request=bodies.ProfileBody, responses=bodies.MeAnswer, operation_id="auth_me_change")
    def patch(self, request: Any) -> Response:
        """Change your own name or language."""
        user, values = own_account(request), read(bodies.ProfileBody, request)
        services.profile_change(actor=self.actor, user=user, values=values)
        return Response(self._answer(request))

    def _answer(self, request: Any) -> dict[str, Any]:
        tenant, membership = request._request.tenant, getattr(request, "membership", None)
        key = getattr(request.user, "key", None)
        machine = {"email": "", "language": ""}
        answer = {
            "user": request.user if key is None else {"id": key.pk, "name": key.name, **machine},
            "tenant": tenant,
            "role": None if membership is None else membership.role,
            "permissions": self.viewer.scopes,
            "key": key,
            "limits": throttles.limits_of(request),
            "sip_websocket": settings.SIP_WEBSOCKET,
        }
        return dict(bodies.MeAnswer(answer).data)


class TicketView(ApiView):
    @extend_schema(request=None, responses={201: bodies.TicketAnswer}, operation_id="auth_ticket_create")
    def post(self, request: Request) -> Response:
        """A ticket that opens one socket within 30 seconds: subprotocol `ticket.<ticket>`."""
        user = own_account(request)
        family = request.auth.pk if isinstance(request.auth, TokenFamily) else None
        inner: Any = request._request
        proof = proof_of(inner.session.public_id, family)
        ticket = tickets.issue(organisation(request), user.pk, proof=proof)
        return Response({"ticket": ticket, "expires_in": settings.SOCKET_TICKET_SECONDS}, status=201)


class KeysView(ApiView):
    authentication_classes = []

    @extend_schema(responses={200: dict}, operation_id="jwks")
    def get(self, request: Request) -> Response:
        """The public keys of access tokens (RFC 7517): `/.well-known/jwks.json`."""
        return Response(signing.jwks(), headers={"Cache-Control": "public, max-age=300"})
