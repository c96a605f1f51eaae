"""Views that start an import or an export; both answer 202 with the job, whose path is in Location.

    class ContactImport(ImportView):
        kind = "contacts.import"

    POST /api/v1/contacts/imports/?dry_run=true&on_conflict=skip   Content-Type: text/csv   <the file>
    POST /api/v1/contacts/exports/   {"format": "csv", "filters": {"status": "open"}}

An upload goes straight to a file of the tenant's, piece by piece, and never into memory as a whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.fields import OneOf
from web.shared.api.filters import refused_parameter, unknown_parameter
from web.shared.api.problems import FieldError, Invalid, TooLarge, UnsupportedMediaType
from web.shared.api.serializers import Body
from web.shared.api.viewsets import ApiView
from web.shared.core import files, transfer
from web.shared.core.api.job_views import JobBody
from web.shared.tenants.context import current_tenant_id

MAX_UPLOAD = 256 * 1024 * 1024
MEDIA_TYPES = {"text/csv": "csv", "application/x-ndjson": "ndjson"}
_IMPORT = extend_schema(
    request={name: {"type": "string"} for name in MEDIA_TYPES},
    responses={202: JobBody, (413, "application/problem+json"): {"$ref": "#/components/schemas/Problem"}},
    parameters=[
        OpenApiParameter("dry_run", bool, description="Do everything, keep nothing."),
        OpenApiParameter("on_conflict", str, enum=transfer.CONFLICTS, default="skip"),
    ],
)


class ImportView(ApiView):
    """Set `kind`, as given to transfer.importer."""

    kind: ClassVar[str] = ""

    def _handle(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """As any POST, with the file's hash in the place of a body for the Idempotency-Key to compare."""
        if request.method != "POST":
            return super()._handle(request, *args, **kwargs)
        self._form = MEDIA_TYPES.get((request.content_type or "").partition(";")[0].strip().lower(), "")
        if not self._form:
            raise UnsupportedMediaType("Send text/csv or application/x-ndjson.")
        with _uploaded(request) as (path, digest):
            self._upload = path
            inner: Any = request._request
            inner._body = digest
            return super()._handle(request, *args, **kwargs)

    @_IMPORT
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        options = _options(request)
        try:
            job = transfer.start_import(
                self.kind, actor=self.actor, upload=self._upload, form=self._form, **options
            )
        except DjangoValidationError as error:
            code = getattr(error, "code", None) or "invalid"
            raise Invalid(errors=[FieldError("", code, " ".join(error.messages))]) from None
        return accepted(job)


class ExportBody(Body):
    format = OneOf(choices=transfer.FORMATS, default="csv")
    filters = serializers.DictField(
        child=serializers.CharField(max_length=500),
        default=dict,
        help_text='As in the list\'s URL: {"status": "open", "created_at[gte]": "2030-01-01T00:00:00Z"}.',
    )


class ExportView(ApiView):
    """Set `kind`, as given to transfer.exporter."""

    kind: ClassVar[str] = ""

    @extend_schema(request=ExportBody, responses={202: JobBody})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = ExportBody(data=request.data)
        body.is_valid(raise_exception=True)
        job = transfer.start_export(
            self.kind,
            actor=self.actor,
            viewer=self.viewer,
            filters=body.validated_data["filters"],
            form=body.validated_data["format"],
        )
        return accepted(job)


def accepted(job: Any) -> Response:
    """202: the job, and where to look for it."""
    return Response(JobBody(job).data, status=202, headers={"Location": f"/api/v1/jobs/{job.pk}/"})


def _options(request: Request) -> dict[str, Any]:
    asked = request.query_params
    for name in asked:
        if name not in ("dry_run", "on_conflict"):
            raise unknown_parameter(name, ("dry_run", "on_conflict"))
    dry_run, on_conflict = asked.get("dry_run", "false"), asked.get("on_conflict", "skip")
    if dry_run not in ("true", "false"):
        raise refused_parameter("dry_run", "bad_value", "true or false.")
    if on_conflict not in transfer.CONFLICTS:
        raise refused_parameter("on_conflict", "bad_value", f"One of: {', '.join(transfer.CONFLICTS)}.")
    return {"dry_run": dry_run == "true", "on_conflict": on_conflict}


@contextlib.contextmanager
def _uploaded(request: Request) -> Iterator[tuple[Path, bytes]]:
    """The body in a file, and its SHA-256; the file is gone afterwards unless it was moved away."""
    path = files.make_room(files.tenant_path(str(current_tenant_id()), files.UPLOADS, uuid.uuid4()))
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("wb") as out:
            while piece := request._request.read(1 << 16):
                size += len(piece)
                if size > MAX_UPLOAD:
                    raise TooLarge(f"A file may have {MAX_UPLOAD >> 20} MB.")
                digest.update(piece)
                out.write(piece)
        yield path, digest.digest()
    finally:
        path.unlink(missing_ok=True)
