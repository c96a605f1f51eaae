"""Jobs over REST: how far, what came of it, stop it.

Whoever started a job sees it; who holds jobs.view for all sees everybody's. The result and the rows that were
refused are fetched at a URL that works for a quarter of an hour without a session, so that a download can be
handed to any program; its user must still belong here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api.filters import Filter
from web.shared.api.problems import Conflict, NotFound
from web.shared.api.serializers import Body, ModelBody
from web.shared.api.viewsets import ApiView, BaseViewSet, ListMixin, RetrieveMixin
from web.shared.core import files, jobs
from web.shared.core.holders import viewer_now
from web.shared.records.models import Job
from web.shared.tenants.context import current_tenant_id

URL_SECONDS = 15 * 60
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
CONFLICT: dict[Any, Any] = {(409, "application/problem+json"): _PROBLEM}


class JobBody(ModelBody):
    has_result = serializers.SerializerMethodField()
    has_errors = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = [
            "id",
            "kind",
            "state",
            "done",
            "total",
            "result",
            "has_result",
            "has_errors",
            "cancel_requested",
            "created_by",
            "created_at",
            "started_at",
            "finished_at",
            "expires_at",
        ]
        read_only_fields = fields

    def get_has_result(self, job: Job) -> bool:
        return _path(job, "output") is not None

    def get_has_errors(self, job: Job) -> bool:
        return _path(job, "errors") is not None


class FileLink(Body):
    url = serializers.CharField(help_text="Path on this host; works without a session until `expires_at`.")
    expires_at = serializers.DateTimeField()
    media_type = serializers.CharField()
    size = serializers.IntegerField()


class JobViewSet(ListMixin, RetrieveMixin, BaseViewSet):
    """Imports, exports and whatever else takes long. DELETE cancels."""

    queryset = Job.objects.all()
    serializer_class = JobBody
    filters = {"kind": Filter("kind"), "state": Filter("state", many=True)}

    def visible(self, queryset: Any) -> Any:
        return self.viewer.narrow(queryset, "jobs.view", "created_by")

    @extend_schema(responses={204: None, **CONFLICT})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        job = self.get_object()
        if job.state not in jobs.OPEN:
            raise Conflict("The job has ended.")
        jobs.cancel(job, actor=self.actor)
        return Response(status=204)

    @extend_schema(responses={200: FileLink, **CONFLICT}, filters=False)
    def result(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._link("output")

    @extend_schema(responses={200: FileLink, **CONFLICT}, filters=False)
    def errors(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._link("errors")

    def _link(self, part: str) -> Response:
        job: Job = self.get_object()
        path = _path(job, part)
        if path is None:
            if job.state in jobs.OPEN:
                raise Conflict("The job is not done yet.")
            raise NotFound("The job left no such file, or its day is over.")
        url = files.signed_url(
            str(current_tenant_id()), jobs.AREA, job.pk, self.actor.id, URL_SECONDS, part=part
        )
        expires = timezone.now() + timedelta(seconds=URL_SECONDS)
        media_type = _kind(job, part)[0]
        return Response(
            FileLink(
                {"url": url, "expires_at": expires, "media_type": media_type, "size": path.stat().st_size}
            ).data
        )


class JobFileView(ApiView):
    """The file behind a signed URL."""

    authentication_classes: list[Any] = []

    @extend_schema(responses={(200, "*/*"): bytes})
    def get(self, request: Request, token: str) -> FileResponse:
        tenant_id = str(current_tenant_id())
        try:
            signed = files.verify(token, tenant_id, jobs.AREA)
        except files.BadToken:
            raise NotFound() from None
        viewer = viewer_now(tenant_id, signed.user_id)
        if viewer is None:
            raise NotFound()
        rows = viewer.narrow(Job.objects.all(), "jobs.view", "created_by")
        job = rows.filter(pk=signed.id).first()
        path = None if job is None else _path(job, signed.part)
        if job is None or path is None:
            raise NotFound()
        media_type, extension = _kind(job, signed.part)
        response = FileResponse(
            path.open("rb"),
            as_attachment=True,
            filename=f"{job.kind}-{job.pk}.{extension}",
            content_type=media_type,
        )
        response["X-Content-Type-Options"] = "nosniff"
        return response


def _path(job: Job, part: str) -> Any:
    """The file when the job has ended and it is still there."""
    if job.expires_at is None or job.expires_at < timezone.now() or job.state in jobs.OPEN:
        return None
    path = files.tenant_path(str(current_tenant_id()), jobs.AREA, job.pk, part)
    return path if path.is_file() else None


def _kind(job: Job, part: str) -> tuple[str, str]:
    """(media type, extension) of a job's file."""
    if part == "errors":
        return "application/x-ndjson", "errors.ndjson"
    if job.params.get("format") == "ndjson":
        return "application/x-ndjson", "ndjson"
    entry = jobs.kinds.get(job.kind)
    return (entry.media_type, entry.extension) if entry else ("application/octet-stream", "bin")
