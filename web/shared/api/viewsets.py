"""Base classes of the API: ten lines of data make a resource.

    class ContactViewSet(ResourceViewSet):
        queryset = Contact.objects.all()          # narrowed by scope in `visible`
        serializer_class = ContactSerializer      # a ModelBody
        filters = {"status": Filter("status", many=True)}
        sort_fields = {"created_at": "created_at", "name": "sort_name"}

        def perform_create(self, values): return services.contact_create(actor=self.actor, **values)
        def perform_update(self, row, values): return services.contact_update(row, actor=self.actor, ...)
        def perform_destroy(self, row): services.contact_delete(row, actor=self.actor)

`audited_read = True` writes who read a row: each retrieve, and each list that shows a sensitive value.

Views translate, services write. POST honours Idempotency-Key; changes to a row need If-Match and run on the
locked row in one transaction; permission comes from the registry by route and method; `self.scope` says how
far it reaches. Compose ListMixin, RetrieveMixin and so on with BaseViewSet for less than the whole.
"""

from __future__ import annotations

import time
import uuid
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from web.shared.accounts.registry import Scope
from web.shared.api import etags, expansion, idempotency, reads, request_log, throttles
from web.shared.api.filters import AllowedFilters, Filter
from web.shared.api.parsers import MergePatchParser, StrictJSONParser
from web.shared.api.problems import FieldError, Malformed, NotFound
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.net import client_address
from web.shared.core.viewer import Viewer, viewer_of


class ApiView(APIView):
    """A view that is no resource. REST framework's, with the actor, the scope, Idempotency-Key, limits and
    the log of requests.

    `throttle_bucket` and `throttle_cost` say what a request costs (web.shared.api.throttles); a cost of None
    is the usual one. `open_to_keys`: an API key may use it although it asks for no permission but membership.
    """

    throttle_bucket: ClassVar[str] = "default"
    throttle_cost: ClassVar[int | None] = None
    open_to_keys: ClassVar[bool] = False
    _rate: throttles.Rate | None = None

    @property
    def actor(self) -> Actor:
        """Who is asking, for services and the audit trail."""
        request: Any = self.request
        key = getattr(request.user, "key", None)
        person = request.user.is_authenticated and key is None
        return Actor(
            ActorKind.USER if person else ActorKind.SYSTEM if key is None else ActorKind.API_KEY,
            id=request.user.pk if key is None else key.pk,
            process="" if request.user.is_authenticated else "web",
            request_id=getattr(request._request, "request_id", ""),
            ip_address=client_address(request._request),
        )

    @property
    def scope(self) -> Scope:
        """How far the permission of this route reaches for this person."""
        request: Any = self.request
        return getattr(request, "scope_granted", Scope.OWN)

    @property
    def viewer(self) -> Viewer:
        """Who looks, for queries; on the platform's host, and for nobody, one who sees nothing."""
        request: Any = self.request
        membership = getattr(request, "membership", None)
        found: Viewer | None = getattr(request, "viewer", None)
        if found is None:
            found = Viewer(None, {}) if membership is None else viewer_of(membership)
            request.viewer = found
        return found

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """REST framework's own dispatch, with the handler run once per Idempotency-Key."""
        started = time.monotonic()
        self.args, self.kwargs = args, kwargs
        request = self.initialize_request(request, *args, **kwargs)
        self.request = request
        self.headers = self.default_response_headers
        try:
            self.initial(request, *args, **kwargs)
            response = self._handle(request, *args, **kwargs)
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(request, response, *args, **kwargs)
        if self._rate is not None:
            for name, value in self._rate.headers().items():
                self.response.setdefault(name, value)
        request_log.note(request, self.response.status_code, time.monotonic() - started)
        return self.response

    def check_throttles(self, request: Request) -> None:
        """Called by `initial`, after who it is and whether they may. Reads cost less than writes."""
        cost = self.throttle_cost
        if cost is None:
            cost = throttles.READ if request.method in ("GET", "HEAD", "OPTIONS") else throttles.WRITE
        self._rate = throttles.charge(request, self.throttle_bucket, cost)

    def _handle(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        method = (request.method or "").lower()
        known = method in self.http_method_names
        handler = getattr(self, method, None) if known else None
        if handler is None:
            return self.http_method_not_allowed(request, *args, **kwargs)
        user: Any = request.user
        if method != "post" or idempotency.HEADER not in request.headers or not user.is_authenticated:
            return handler(request, *args, **kwargs)

        def work() -> Any:
            try:
                response = handler(request, *args, **kwargs)
            except Exception as error:
                response = self.handle_exception(error)
            return response

        return idempotency.run_once(request, str(self.actor.id), work)


class BaseViewSet(ApiView, GenericViewSet[Any]):
    """A resource. Set `queryset`, `serializer_class`, `filters`, `sort_fields`, `default_sort`."""

    filter_backends = [AllowedFilters]
    parser_classes = [StrictJSONParser, MergePatchParser]
    filters: ClassVar[dict[str, Filter]] = {}
    sort_fields: ClassVar[dict[str, str]] = {"created_at": "created_at"}
    default_sort: ClassVar[str] = "-created_at"
    audited_read: ClassVar[bool] = False
    lookup_value_regex = r"[^/]+"

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows this person may see: narrow by `self.scope` and `self.request.user`. Default: all."""
        return queryset

    def get_queryset(self) -> QuerySet[Any]:
        return self.visible(super().get_queryset())

    def get_object(self) -> Any:
        """The row in the path; 404 when it is unknown, another tenant's, or not visible."""
        return self._row(self.get_queryset())

    def locked_object(self) -> Any:
        """The same row, locked; call it inside a transaction."""
        return self._row(self.get_queryset().select_for_update(of=("self",)))

    def _row(self, queryset: QuerySet[Any]) -> Any:
        text = str(self.kwargs[self.lookup_url_kwarg or self.lookup_field])
        try:
            key: Any = uuid.UUID(text) if self.lookup_field == "pk" else text
            row = queryset.get(**{self.lookup_field: key})
        except (queryset.model.DoesNotExist, ValueError, ValidationError):
            raise NotFound() from None
        self.check_object_permissions(self.request, row)
        return row

    def get_serializer_context(self) -> dict[str, Any]:
        context = dict(super().get_serializer_context())
        request: Any = self.request
        if not isinstance(request, Request):
            return context
        context["viewer"] = self.viewer
        asked = request.query_params if request.method == "GET" else {}
        if asked.get("fields"):
            context["fields"] = self._chosen(asked["fields"].split(","))
        if asked.get("expand"):
            known = getattr(self.get_serializer_class(), "expandable", {})
            context["expand"] = expansion.chosen(asked["expand"], known)
        return context

    def _chosen(self, names: list[str]) -> set[str]:
        serializer: Any = self.get_serializer_class()()
        known = set(serializer.fields)
        strange = [name for name in names if name not in known]
        if strange:
            raise Malformed(
                "There is no such field.",
                errors=[FieldError("?fields", "unknown_field", f"Known: {', '.join(sorted(known))}.")],
            )
        return set(names) | {"id"}

    def answer(self, row: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """`row` as this resource shows it, with its ETag."""
        headers = dict(headers or {})
        if hasattr(row, "revision"):
            headers["ETag"] = etags.etag_of(row)
        return Response(self.get_serializer(row).data, status=status, headers=headers)


class ListMixin:
    def list(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        data = self.get_serializer(page, many=True).data
        if self.audited_read:
            reads.list_shown(self.actor, self.get_serializer_class(), page, data)
        response: Response = self.get_paginated_response(data)
        return response


class RetrieveMixin:
    def retrieve(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        if hasattr(row, "revision") and etags.not_modified(request, row):
            return Response(status=304, headers={"ETag": etags.etag_of(row)})
        if self.audited_read:
            reads.row_shown(self.actor, row)
        response: Response = self.answer(row)
        return response


class CreateMixin:
    def create(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        row: Model = self.perform_create(body.validated_data)
        location = f"{request.path}{row.pk}/"
        response: Response = self.answer(row, status=201, headers={"Location": location})
        return response

    def perform_create(self, values: dict[str, Any]) -> Any:
        raise NotImplementedError


class UpdateMixin:
    """PATCH changes what it names. There is no PUT: it would wipe what a client forgot."""

    def partial_update(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            row = self.locked_object()
            if hasattr(row, "revision"):
                etags.require_match(request, row)
            body = self.get_serializer(row, data=request.data, partial=True)
            body.is_valid(raise_exception=True)
            row = self.perform_update(row, body.validated_data)
        response: Response = self.answer(row)
        return response

    def perform_update(self, row: Any, values: dict[str, Any]) -> Any:
        raise NotImplementedError


class DestroyMixin:
    def destroy(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            row = self.locked_object()
            if hasattr(row, "revision"):
                etags.require_match(request, row)
            self.perform_destroy(row)
        return Response(status=204)

    def perform_destroy(self, row: Any) -> None:
        raise NotImplementedError


class ReadOnlyViewSet(ListMixin, RetrieveMixin, BaseViewSet):
    """List and retrieve."""


class ResourceViewSet(ListMixin, RetrieveMixin, CreateMixin, UpdateMixin, DestroyMixin, BaseViewSet):
    """List, retrieve, create, update, delete."""
