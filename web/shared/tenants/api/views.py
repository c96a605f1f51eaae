"""One's own organisation: one object, without an id in its path."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api import etags
from web.shared.api.filters import refuse_parameters
from web.shared.api.parsers import MergePatchParser, StrictJSONParser
from web.shared.api.viewsets import ApiView
from web.shared.tenants import quotas, services
from web.shared.tenants.api.serializers import OrganizationBody, OrganizationQuotasBody
from web.shared.tenants.models import Tenant


class OrganizationView(ApiView):
    """Name, language, time zone, region and settings of the organisation of this host."""

    serializer_class = OrganizationBody
    parser_classes = [StrictJSONParser, MergePatchParser]

    def get(self, request: Request) -> Response:
        tenant = self._tenant()
        if etags.not_modified(request, tenant):
            return Response(status=304, headers={"ETag": etags.etag_of(tenant)})
        return self._answer(tenant)

    def patch(self, request: Request) -> Response:
        with transaction.atomic():
            tenant = Tenant.objects.select_for_update(of=("self",)).get(pk=self._tenant().pk)
            etags.require_match(request, tenant)
            body = OrganizationBody(tenant, data=request.data, partial=True)
            body.is_valid(raise_exception=True)
            services.tenant_update(actor=self.actor, tenant=tenant, values=body.validated_data)
        return self._answer(tenant)

    def _tenant(self) -> Tenant:
        request: Any = self.request._request
        found: Tenant = request.tenant
        return found

    def _answer(self, tenant: Tenant) -> Response:
        return Response(OrganizationBody(tenant).data, headers={"ETag": etags.etag_of(tenant)})


class OrganizationQuotasView(ApiView):
    """What the platform allows this organisation, and what is used of it."""

    @extend_schema(responses=OrganizationQuotasBody)
    def get(self, request: Request) -> Response:
        """Counted when it is asked for."""
        refuse_parameters(request)
        inner: Any = request._request
        return Response({"data": quotas.shown(str(inner.tenant.pk))})
