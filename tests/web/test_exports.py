"""Imports and exports as jobs: whole, exact, resumable, and no spreadsheet's formula."""

from __future__ import annotations

import csv
import json
import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError
from django.utils import timezone
from rest_framework import serializers

from web.shared.api.filters import Filter
from web.shared.api.serializers import Body
from web.shared.core import files, job_tasks, jobs, transfer
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.api import transfer_views
from web.shared.records.models import AuditEvent, Job, WebhookEndpoint
from web.shared.tenants.context import tenant_context

pytestmark = [pytest.mark.django_db, pytest.mark.database]


class ThingRow(Body):
    """Webhooks stand in for any resource here: a description is its key, a url its value."""

    description = serializers.CharField(max_length=40)
    url = serializers.CharField(max_length=200, default="")
    is_active = serializers.BooleanField(default=True)


def write(rows, actor, on_conflict):
    written = transfer.Written()
    known = {
        one.description: one
        for one in WebhookEndpoint.objects.filter(description__in=[row.values["description"] for row in rows])
    }
    made = []
    for row in rows:
        present = known.get(row.values["description"])
        if present is None:
            made.append(WebhookEndpoint(secret=b"x", event_types=["*"], **row.values))
            written.created += 1
        elif on_conflict == "skip":
            written.skipped += 1
        elif on_conflict == "update":
            WebhookEndpoint.objects.filter(pk=present.pk).update(url=row.values["url"])
            written.updated += 1
        else:
            written.errors.append(transfer.RowError(row.number, "/description", "conflict"))
    WebhookEndpoint.objects.bulk_create(made)
    return written


def things(viewer):
    return viewer.narrow(WebhookEndpoint.objects.all(), "webhooks.manage", "created_by")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for module, name in ((jobs, "kinds"), (transfer, "imports"), (transfer, "exports")):
        monkeypatch.setattr(module, name, {})
    monkeypatch.setattr(job_tasks, "send", lambda *_: None)
    transfer.importer("things.import", row=ThingRow, write=write)
    transfer.exporter(
        "things.export",
        code="webhooks.manage",
        queryset=things,
        columns={"description": "description", "url": "url", "on": "is_active", "types": "event_types",
                 "note": lambda row: "hidden"},
        filters={"is_active": Filter("is_active"), "url": Filter("url")},
        sensitive={"note": "things.secret"},
    )  # fmt: skip


@pytest.fixture
def admin(make_user):
    user = make_user("admin")
    return Actor(ActorKind.USER, id=user.pk)


def bring(admin, tmp_path, text, form="csv", *, dry_run=False, on_conflict="skip"):
    """Import `text`; returns (job, refused rows)."""
    upload = tmp_path / uuid.uuid4().hex
    upload.write_bytes(text if isinstance(text, bytes) else text.encode())
    job = transfer.start_import(
        "things.import", actor=admin, upload=upload, form=form, dry_run=dry_run, on_conflict=on_conflict
    )
    jobs.run(job.pk)
    job.refresh_from_db()
    return job, refused(job)


def refused(job):
    path = files.tenant_path(str(jobs._tenant()), "jobs", job.pk, "errors")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def counts(job):
    return tuple(job.result[name] for name in ("created", "updated", "skipped", "refused"))


def lines(n, start=0):
    return "description,url\n" + "".join(
        f"thing {i},https://x.example/{i}\n" for i in range(start, start + n)
    )


def test_good_rows_are_written_and_bad_ones_told_by_number_pointer_and_code(tenant, admin, tmp_path):
    text = 'description,is_active\r\nfirst,true\r\n,true\r\nthird,perhaps\r\n"fo\nurth",false\r\na,b,c\r\n'
    job, errors = bring(admin, tmp_path, text)
    assert job.state == "done" and counts(job) == (2, 0, 0, 3) and (job.done, job.total) == (5, 5)
    assert [(one["row"], one["pointer"], one["code"]) for one in errors] == [
        (2, "/description", "required"),
        (3, "/is_active", "invalid"),
        (5, "", "too_many_cells"),
    ]
    assert set(WebhookEndpoint.objects.values_list("description", "is_active")) == {
        ("first", True),
        ("fo\nurth", False),
    }


def test_conflicts_are_skipped_updated_or_refused_as_asked(tenant, admin, tmp_path):
    bring(admin, tmp_path, lines(3))
    job, _ = bring(admin, tmp_path, lines(4))
    assert counts(job) == (1, 0, 3, 0)
    job, _ = bring(admin, tmp_path, "description;url\nthing 1;new\n", on_conflict="update")
    assert counts(job) == (0, 1, 0, 0)
    assert WebhookEndpoint.objects.get(description="thing 1").url == "new"
    job, errors = bring(admin, tmp_path, lines(5), on_conflict="fail")
    assert counts(job) == (1, 0, 0, 4) and {one["code"] for one in errors} == {"conflict"}


def test_a_dry_run_tells_everything_and_keeps_nothing(tenant, admin, tmp_path):
    job, errors = bring(admin, tmp_path, lines(1500) + "x,y,z\n", dry_run=True)
    assert counts(job) == (1500, 0, 0, 1) and job.result["dry_run"] and len(errors) == 1
    assert WebhookEndpoint.objects.count() == 0


def test_ndjson_is_read_line_by_line(tenant, admin, tmp_path):
    rows = (
        '{"description": "one"}', "", '{"description": 1e999}', "[]", "{", '{"description": "a\\u0000b"}',
        '{"description": "\\ud800"}', '{"nonsense": 1}', '{"description": NaN}', '{"description": "last"}',
    )  # fmt: skip
    text = "\n".join(rows)
    job, errors = bring(admin, tmp_path, text, form="ndjson")
    assert job.state == "done", job.result
    codes = {one["row"]: one["code"] for one in errors}
    assert codes[3] == "not_an_object" and codes[4] == "malformed" and codes[5] == "bad_text"
    assert codes[6] == "malformed" and codes[8] == "malformed" and counts(job)[0] >= 2
    assert {one["pointer"] for one in errors if one["row"] == 7} >= {"/nonsense"}


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_import_killed_in_any_slice_goes_on_there_and_writes_no_row_twice(
    tenant, admin, tmp_path, monkeypatch, at
):
    calls = []
    entry = transfer.imports["things.import"]

    def dies(rows, actor, on_conflict):
        calls.append(len(rows))
        written = write(rows, actor, on_conflict)
        if len(calls) == at:
            raise OperationalError
        return written

    transfer.imports["things.import"] = transfer.Import(entry.row, dies, entry.cells, entry.columns)
    upload = tmp_path / "upload"
    upload.write_text(lines(2500) + ",\n")
    job = transfer.start_import(
        "things.import", actor=admin, upload=upload, form="csv", dry_run=False, on_conflict="fail"
    )
    assert jobs.run(job.pk) == "busy"
    assert WebhookEndpoint.objects.count() == (at - 1) * 1000, "the slice that died left nothing"
    Job.objects.update(lease_until=timezone.now())
    assert jobs.run(job.pk) == "done"
    job.refresh_from_db()
    assert counts(job) == (2500, 0, 0, 1) and WebhookEndpoint.objects.count() == 2500
    assert [one["row"] for one in refused(job)] == [2501]


def test_a_row_that_the_database_refuses_spoils_no_other(tenant, admin, tmp_path):
    entry = transfer.imports["things.import"]

    def strict(rows, actor, on_conflict):
        if any(row.values["description"] == "thing 7" for row in rows):
            WebhookEndpoint.objects.create(secret=b"x", description="x")
            raise IntegrityError
        return write(rows, actor, on_conflict)

    transfer.imports["things.import"] = transfer.Import(entry.row, strict, entry.cells, entry.columns)
    job, errors = bring(admin, tmp_path, lines(20))
    assert counts(job) == (19, 0, 0, 1) and errors[0]["row"] == 8 and errors[0]["code"] == "conflict"
    assert not WebhookEndpoint.objects.filter(description="x").exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense\nx\n", "bad_header"),
        ("", "bad_header"),
        ("description,description\nx,y\n", "bad_header"),
        (b"\xff\xfe\x00", "not_csv"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_at_once(tenant, admin, tmp_path, text, code):
    with pytest.raises(ValidationError) as refusal:
        bring(admin, tmp_path, text)
    assert refusal.value.code == code and Job.objects.count() == 0


def test_bytes_that_are_no_text_end_the_job_with_a_code(tenant, admin, tmp_path):
    job, _ = bring(admin, tmp_path, b"description\nx\n" + b"y\n" * 9000 + b"\xff\n")
    assert job.state == "failed" and job.result == {"error": "unreadable"}
    assert WebhookEndpoint.objects.count() == 0


def fetch(admin, viewer_user, form="csv", **filters):
    from web.shared.accounts.queries import membership_of
    from web.shared.core.viewer import viewer_of

    viewer = viewer_of(membership_of(viewer_user, jobs._tenant()))
    job = transfer.start_export("things.export", actor=admin, viewer=viewer, filters=filters, form=form)
    jobs.run(job.pk)
    job.refresh_from_db()
    path = files.tenant_path(jobs._tenant(), "jobs", job.pk, "output")
    return job, path.read_text() if path.exists() else ""


def test_an_export_defuses_formulas_and_reads_in_again_as_it_was(tenant, make_user, tmp_path):
    user = make_user("admin")
    admin = Actor(ActorKind.USER, id=user.pk)
    names = ["=1+1", "+254712345678", "-1", "@x", "\tx", "'=x", "plain", 'qu"ote,', "new\nline", "ünï"]
    for name in names:
        WebhookEndpoint.objects.create(description=name, event_types=["a", "b"], secret=b"x")
    job, text = fetch(admin, user)
    rows = list(csv.reader(StringIO(text, newline="")))
    assert rows[0] == ["description", "url", "on", "types", "note"] and job.result == {"rows": len(names)}
    assert sorted(row[0] for row in rows[1:]) == sorted(
        f"'{name}" if name[0] in "=+-@\t" else name for name in names
    )
    assert all(row[2:] == ["true", "a;b", ""] for row in rows[1:])
    WebhookEndpoint.objects.all().delete()
    only = "description\n" + "".join(
        transfer._csv_line({"x": row[0]}).decode()
        if row[0][0] != "'"
        else f'"{row[0].replace(chr(34), chr(34) * 2)}"\n'
        for row in rows[1:]
    )
    job, errors = bring(admin, tmp_path, only)
    assert errors == []
    brought = set(WebhookEndpoint.objects.values_list("description", flat=True))
    assert brought >= {"=1+1", "+254712345678", "-1", "@x", "plain", "ünï", 'qu"ote,', "new\nline"}


def test_an_export_reads_all_in_slices_narrowed_by_its_filters_and_can_be_killed(
    tenant, make_user, monkeypatch
):
    user = make_user("admin")
    admin = Actor(ActorKind.USER, id=user.pk)
    monkeypatch.setattr(transfer, "SLICE", 10)
    WebhookEndpoint.objects.bulk_create(
        WebhookEndpoint(description=f"thing {n}", secret=b"x", is_active=n % 2 == 0) for n in range(55)
    )
    _, text = fetch(admin, user, "ndjson", is_active="true")
    assert {json.loads(line)["description"] for line in text.splitlines()} == {
        f"thing {n}" for n in range(0, 55, 2)
    }
    plain, count = jobs.Handle.progress, []

    def dies(self, *args, **kwargs):
        plain(self, *args, **kwargs)
        count.append(1)
        if len(count) == 4:
            raise OperationalError

    monkeypatch.setattr(jobs.Handle, "progress", dies)
    job, _ = fetch(admin, user)
    assert job.state == "running"
    path = files.tenant_path(jobs._tenant(), "jobs", job.pk, "output")
    with path.open("ab") as out:
        out.write(b"half a li")
    Job.objects.update(lease_until=timezone.now())
    assert jobs.run(job.pk) == "done"
    rows = list(csv.reader(StringIO(path.read_text(), newline="")))
    assert len(rows) == 56 and len({row[0] for row in rows}) == 56


def test_an_export_runs_with_the_rights_that_its_starter_has_by_then(tenant, make_user, monkeypatch):
    from web.shared.accounts.models import TenantMembership

    user = make_user("admin")
    admin = Actor(ActorKind.USER, id=user.pk)
    plain = jobs.run
    monkeypatch.setattr(jobs, "run", lambda pk: None)
    job, _ = fetch(admin, user)
    TenantMembership.objects.filter(user=user).update(is_active=False)
    assert plain(job.pk) == "failed"
    job.refresh_from_db()
    assert job.result == {"error": "forbidden"}


def test_parameters_hold_nothing_that_somebody_typed(tenant, make_user):
    user = make_user("admin")
    job, _ = fetch(Actor(ActorKind.USER, id=user.pk), user, url="0712 345 678")
    assert "0712" not in json.dumps([job.params, job.place, job.result])
    assert all("0712" not in json.dumps(row.changes) for row in AuditEvent.objects.all())


class TestViews:
    @pytest.fixture(autouse=True)
    def parts(self, tenants, make_user, api, rf=None):
        self.tenants, self.make_user, self.api = tenants, make_user, api

    @pytest.fixture
    def urls(self, settings, monkeypatch):
        """Two routes of the test's own, in front of the tenant's."""
        import sys
        import types

        from django.urls import clear_url_caches, include, path

        from web.shared.accounts import registry

        monkeypatch.setattr(registry, "routes", dict(registry.routes))
        registry.route("things-import", POST="webhooks.manage")
        registry.route("things-export", POST="webhooks.manage")
        importing: Any = type("Importing", (transfer_views.ImportView,), {"kind": "things.import"})
        exporting: Any = type("Exporting", (transfer_views.ExportView,), {"kind": "things.export"})
        module: Any = types.ModuleType("things_urls")
        module.urlpatterns = [
            path("api/v1/things/imports/", importing.as_view(), name="things-import"),
            path("api/v1/things/exports/", exporting.as_view(), name="things-export"),
            path("", include("config.urls_tenant")),
        ]
        monkeypatch.setitem(sys.modules, "things_urls", module)
        settings.ROOT_URLCONF = "things_urls"
        clear_url_caches()
        yield
        clear_url_caches()

    def send(self, client, body, query="", kind="text/csv", **headers):
        return client.generic("POST", f"/api/v1/things/imports/{query}", body, content_type=kind, **headers)

    def test_an_upload_answers_202_and_leads_to_its_job(self, urls):
        client = self.api(self.make_user("admin"))
        answer = self.send(client, lines(2), "?on_conflict=update")
        assert answer.status_code == 202, answer.content
        job = client.get(answer["Location"]).json()
        assert job["state"] == "queued" and job["id"] == answer.json()["id"]
        with tenant_context(self.tenants[0].pk):
            jobs.run(job["id"])
            assert WebhookEndpoint.objects.count() == 2
        body = client.get(answer["Location"]).json()
        assert body["state"] == "done" and body["result"]["created"] == 2 and not body["has_errors"]
        root = files.tenant_root(self.tenants[0].pk) / "uploads"
        assert list(root.iterdir()) == []

    def test_the_same_upload_twice_under_a_key_is_one_job(self, urls):
        client, key = self.api(self.make_user("admin")), {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
        big = lines(90_000)
        assert len(big) > 2_621_440
        first, again = self.send(client, big, **key), self.send(client, big, **key)
        assert first.status_code == again.status_code == 202 and first.json()["id"] == again.json()["id"]
        assert again["Idempotent-Replayed"] == "true"
        other = self.send(client, lines(2), **key)
        assert other.status_code == 422 and other.json()["code"] == "idempotency_key_reuse"

    def test_what_cannot_be_meant_is_refused_and_leaves_no_file(self, urls, monkeypatch):
        client = self.api(self.make_user("admin"))
        for answer, status in (
            (self.send(client, lines(1), kind="application/json"), 415),
            (self.send(client, lines(1), "?dry_run=perhaps"), 400),
            (self.send(client, lines(1), "?on_conflict=x"), 400),
            (self.send(client, lines(1), "?nonsense=1"), 400),
            (self.send(client, "nonsense\n1\n"), 422),
            (self.send(self.api(self.make_user("viewer")), lines(1)), 403),
            (client.get("/api/v1/things/imports/"), 405),
        ):
            assert answer.status_code == status, answer.content
            assert answer["Content-Type"] == "application/problem+json"
        monkeypatch.setattr(transfer_views, "MAX_UPLOAD", 100)
        assert self.send(client, lines(100)).status_code == 413
        assert list((files.tenant_root(self.tenants[0].pk) / "uploads").iterdir()) == []

    def test_a_key_exports_and_fetches_what_it_may_see_until_it_is_revoked(self, urls):
        from web.shared.api import keys
        from web.shared.core.viewer import everything

        with tenant_context(self.tenants[0].pk):
            WebhookEndpoint.objects.create(description="mine", secret=b"x")
            key, text = keys.key_create(
                actor=Actor(ActorKind.SYSTEM),
                maker=everything(),
                tenant_id=self.tenants[0].pk,
                values={"name": "k", "scopes": ["webhooks.manage", "jobs.view"]},
            )
        client = self.api()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        answer = client.post("/api/v1/things/exports/", {"format": "ndjson"})
        assert answer.status_code == 202, answer.content
        with tenant_context(self.tenants[0].pk):
            assert jobs.run(answer.json()["id"]) == "done"
        link = client.get(f"{answer['Location']}result/").json()
        fetched = self.api().get(link["url"])
        assert fetched.status_code == 200 and b"mine" in b"".join(fetched.streaming_content)
        second = client.post("/api/v1/things/exports/", {})
        with tenant_context(self.tenants[0].pk):
            keys.key_revoke(actor=Actor(ActorKind.SYSTEM), key=key)
            assert jobs.run(second.json()["id"]) == "failed"
        assert self.api().get(link["url"]).status_code == 404

    def test_an_export_answers_202_and_its_file_is_fetched(self, urls):
        client = self.api(self.make_user("admin"))
        with tenant_context(self.tenants[0].pk):
            WebhookEndpoint.objects.create(description="mine", secret=b"x")
        with tenant_context(self.tenants[1].pk):
            WebhookEndpoint.objects.create(description="theirs", secret=b"x")
        answer = client.post(
            "/api/v1/things/exports/", {"format": "ndjson", "filters": {"is_active": "true"}}
        )
        assert answer.status_code == 202, answer.content
        with tenant_context(self.tenants[0].pk):
            jobs.run(answer.json()["id"])
        link = client.get(f"{answer['Location']}result/").json()
        text = b"".join(self.api().get(link["url"]).streaming_content).decode()
        assert [json.loads(line)["description"] for line in text.splitlines()] == ["mine"]
        assert link["media_type"] == "application/x-ndjson"
        for body, status in (
            ({"format": "xml"}, 422),
            ({"filters": {"nonsense": "1"}}, 400),
            ({"filters": {"is_active": "x"}}, 400),
            ({"filters": {"user__password__startswith": "x"}}, 400),
            ({"filters": {"sort": "url"}}, 400),
            ({"filters": "x"}, 422),
        ):
            assert client.post("/api/v1/things/exports/", body).status_code == status, body
