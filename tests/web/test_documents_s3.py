"""Documents in a bucket: the same promises as in a folder, over real HTTP, also while the bucket is away."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from config import storage as setting
from tests.web import kit_s3
from tests.web.kit_s3 import BUCKET, Server
from tests.web.test_backup import run
from tests.web.test_documents import PDF, URL, bytes_of, upload
from web.shared.core import erasure, files
from web.shared.core.actor import system
from web.shared.core.exits import Code, Exit
from web.shared.core.ids import uuid7
from web.shared.tenants import usage
from web.shared.tenants.backup import restoring
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import TenantQuota
from web.tenant.documents import scanning, storage, tasks
from web.tenant.documents.models import Document, DocumentVersion

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("test")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with kit_s3.server(tmp_path_factory.mktemp("s3") / "log") as made:
        yield made


@pytest.fixture
def s3(running: Server, settings: Any, monkeypatch: Any) -> Server:
    """An empty bucket behind our settings."""
    client = running.client()
    for one in client.list_object_versions(Bucket=BUCKET).get("Versions", []):
        client.delete_object(Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"])
    kit_s3.use(running, settings, monkeypatch)
    return running


@pytest.fixture
def quick(monkeypatch: Any) -> None:
    """Patience for tests: the number of tries and the order of things stay."""
    from web.shared.core import s3

    monkeypatch.setattr(s3, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(s3, "READ_SECONDS", 0.3)


def test_a_file_goes_in_and_comes_out_and_its_versions_too(
    s3: Server, api: Any, make_user: Any, tenants: Any
) -> None:
    client = api(make_user("supervisor"))
    large = b"Plain words.\n" * 700_000  # past what is kept in memory, and past one part of a transfer
    at = upload(client)["Location"]
    second = upload(client, large, "notes.txt", url=f"{at}versions/")
    assert second.status_code == 201, second.content
    assert bytes_of(client.get(f"{at}content/?version=1")) == PDF
    assert bytes_of(client.get(f"{at}content/")) == large
    assert client.get(f"{at}versions/").json()["data"][0]["sha256"] == hashlib.sha256(large).hexdigest()
    assert len(s3.names()) == 2
    for name in s3.names():
        tenant, area, version = name.split("/")
        assert (tenant, area) == (tenants[0].pk, "documents") and uuid.UUID(version)


def test_a_link_ends_with_its_time_and_is_its_tenants_alone(
    s3: Server, api: Any, make_user: Any, tenants: Any, monkeypatch: Any
) -> None:
    client = api(make_user("supervisor"))
    url = client.post(f"{upload(client)['Location']}links/", {}).json()["url"]
    assert url.startswith("/api/v1/documents/files/") and BUCKET not in url
    answer = api().get(url)
    assert bytes_of(answer) == PDF and answer["Content-Disposition"].startswith("attachment")
    assert api(tenant=tenants[1]).get(url).status_code == 404
    later = time.time() + 16 * 60
    monkeypatch.setattr("web.shared.core.files.time.time", lambda: later)
    assert api().get(url).status_code == 404


def test_a_name_of_another_tenant_is_refused_before_the_bucket_is_asked(s3: Server, tenants: Any) -> None:
    for name in (f"{tenants[1].pk}/documents/{uuid7()}", "../x", f"{tenants[0].pk}/documents/../{uuid7()}"):
        with tenant_context(tenants[0].pk), pytest.raises(ValueError, match="not the name"):
            storage.open_bytes(name)


@pytest.mark.parametrize("keeps_versions", [False, True])
def test_an_erasure_leaves_no_version_in_the_bucket(
    keeps_versions: bool, running: Server, settings: Any, monkeypatch: Any, api: Any, make_user: Any,
    tenants: Any, tmp_path: Path,
) -> None:  # fmt: skip
    with kit_s3.server(tmp_path / "log") as s3:
        if keeps_versions:
            enabled = {"Status": "Enabled"}
            s3.client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=enabled)
        kit_s3.use(s3, settings, monkeypatch)
        client = api(make_user("supervisor"))
        before = usage.storage_bytes(tenants[0].pk)  # the folder may hold what others' jobs have left
        contact = client.post("/api/v1/contacts/", {"first_name": "Wanjiku"}).json()["id"]
        other = upload(client)
        mine = upload(client, contact=contact)
        upload(client, b"words\n", "a.txt", url=f"{mine['Location']}versions/")
        assert s3.versions() == 3
        with tenant_context(tenants[0].pk):
            assert erasure.erasers["documents"](uuid.UUID(contact), ACTOR) == 1
            assert usage.storage_bytes(tenants[0].pk) == before + len(PDF)
        assert s3.versions() == 1 and bytes_of(client.get(f"{other['Location']}content/")) == PDF


def test_what_lies_in_the_bucket_counts_against_the_limit(
    s3: Server, api: Any, make_user: Any, tenants: Any
) -> None:
    client = api(make_user("supervisor"))
    ours, theirs = (usage.storage_bytes(one.pk) for one in tenants)
    assert upload(client).status_code == 201
    assert usage.storage_bytes(tenants[0].pk) == ours + len(PDF)
    assert usage.storage_bytes(tenants[1].pk) == theirs
    with public_context():
        TenantQuota.objects.create(tenant=tenants[0], kind="storage_bytes", limit=ours + 2 * len(PDF) - 1)
    refused = upload(client)
    assert refused.status_code == 409 and refused.json()["used"] == ours + len(PDF), refused.content
    assert len(s3.names()) == 1


def test_bytes_whose_row_was_never_written_go_after_a_day(
    s3: Server, api: Any, make_user: Any, tenants: Any, monkeypatch: Any
) -> None:
    upload(api(make_user("supervisor")))
    (kept,) = s3.names()
    for tenant in tenants:
        s3.client().put_object(Bucket=BUCKET, Key=f"{tenant.pk}/documents/{uuid7()}", Body=b"x")
    assert tasks.forget_orphans(tenants[0].pk) == 0, "it may be an upload that goes on"
    monkeypatch.setattr(tasks, "ORPHAN", timedelta(seconds=-1))
    assert tasks.forget_orphans(tenants[0].pk) == 1
    assert kept in s3.names() and len(s3.names()) == 2, "another tenant's are not ours to sweep"


def test_in_a_folder_they_go_as_well(settings: Any, tmp_path: Path, tenants: Any) -> None:
    own = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "documents": own}
    assert tasks.forget_orphans(tenants[0].pk) == 0
    file = tmp_path / tenants[0].pk / "documents" / str(uuid7())
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert tasks.forget_orphans(tenants[0].pk) == 0
    old = (timezone.now() - timedelta(days=2)).timestamp()
    os.utime(file, (old, old))
    assert tasks.forget_orphans(tenants[0].pk) == 1 and not file.exists()


# --- away -------------------------------------------------------------------------------------------------


def refused(answer: Any) -> None:
    """503, in words, with nothing of where or by which key."""
    assert answer.status_code == 503, answer.content
    said = answer.json()
    assert said["code"] == "unavailable" and "files are kept" in said["detail"] and "Retry-After" in answer
    assert not [word for word in ("127.0.0.1", BUCKET, "AKIA", "boto") if word in json.dumps(said)]


@pytest.mark.parametrize("away", ["gone", "hanging"])
def test_a_bucket_that_is_away_is_503_and_nothing_is_lost(
    away: str, quick: None, tmp_path: Path, settings: Any, monkeypatch: Any, api: Any, make_user: Any,
    tenants: Any,
) -> None:  # fmt: skip
    with kit_s3.server(tmp_path / "log") as s3:
        kit_s3.use(s3, settings, monkeypatch)
        client, key = api(make_user("supervisor")), uuid.uuid4().hex
        contact = client.post("/api/v1/contacts/", {"first_name": "Wanjiku"}).json()["id"]
        at = upload(client, contact=contact)["Location"]
        s3.pause()
        if away == "gone":
            settings_gone = {"MURIMA_DOCUMENT_S3_URL": "http://127.0.0.1:9"}
            kit_s3.use(s3, settings, monkeypatch, **settings_gone)
        with structlog.testing.capture_logs() as logs:
            refused(client.get(f"{at}content/"))
            refused(upload(client, b"words\n", "a.txt", url=f"{at}versions/"))
            refused(upload(client, b"words\n", "a.txt", HTTP_IDEMPOTENCY_KEY=key))
        with tenant_context(tenants[0].pk), pytest.raises(files.StorageAway):
            erasure.erasers["documents"](uuid.UUID(contact), ACTOR)
        reasons = {one["reason"] for one in logs if one["event"] == "storage_away"}
        assert reasons and not any("127" in reason or " " in reason for reason in reasons)
        s3.resume()
        kit_s3.use(s3, settings, monkeypatch)
        assert bytes_of(client.get(f"{at}content/")) == PDF and client.get(at).json()["version"] == 1
        again = upload(client, b"words\n", "a.txt", HTTP_IDEMPOTENCY_KEY=key)
        assert again.status_code == 201 and "Idempotent-Replayed" not in again
        with tenant_context(tenants[0].pk):
            assert Document.objects.count() == 2 and DocumentVersion.objects.count() == 2


def test_a_bucket_that_is_away_a_moment_is_not_noticed(
    tmp_path: Path, settings: Any, monkeypatch: Any, api: Any, make_user: Any
) -> None:
    import threading

    with kit_s3.server(tmp_path / "log") as s3:
        kit_s3.use(s3, settings, monkeypatch)
        client = api(make_user("supervisor"))
        at = upload(client)["Location"]
        s3.pause()
        threading.Timer(1.0, s3.resume).start()
        assert bytes_of(client.get(f"{at}content/")) == PDF


@pytest.mark.parametrize("wrong", ["key", "secret", "bucket"])
def test_credentials_that_are_refused_are_503_and_told_to_the_log_alone(
    wrong: str, tmp_path: Path, settings: Any, monkeypatch: Any, api: Any, make_user: Any, tenants: Any
) -> None:
    names = {"key": kit_s3.WORDS[0], "secret": kit_s3.WORDS[1], "bucket": "MURIMA_DOCUMENT_BUCKET"}
    with kit_s3.server(tmp_path / "log", asks_who=True) as s3:
        kit_s3.use(s3, settings, monkeypatch)
        client = api(make_user("supervisor"))
        assert upload(client).status_code == 201
        kit_s3.use(s3, settings, monkeypatch, **{names[wrong]: "wrong-one"})
        with structlog.testing.capture_logs() as logs:
            refused(upload(client))
        (said,) = [one for one in logs if one["event"] == "storage_away"]
        assert s3.key not in str(logs) and s3.secret not in str(logs) and said["reason"]
        kit_s3.use(s3, settings, monkeypatch)
        assert len(s3.names()) == 1
    with tenant_context(tenants[0].pk):
        assert DocumentVersion.objects.count() == 1


def test_all_tries_of_one_operation_end_by_its_deadline(
    quick: None, tmp_path: Path, settings: Any, monkeypatch: Any, tenants: Any
) -> None:
    from web.shared.core import s3 as ours

    monkeypatch.setattr(ours, "DEADLINE_SECONDS", 0.2)
    with kit_s3.server(tmp_path / "log") as s3:
        kit_s3.use(s3, settings, monkeypatch)
        s3.pause()
        sent: list[str] = []
        with tenant_context(tenants[0].pk):
            bucket: Any = storage._storage()
            bucket.connection.meta.client.meta.events.register_first(
                "before-send.s3", lambda request, **_: sent.append(request.url)
            )
            with structlog.testing.capture_logs() as logs, pytest.raises(files.StorageAway):
                storage.open_bytes(f"{tenants[0].pk}/documents/{uuid7()}")
        assert {one["reason"] for one in logs} <= {"deadline", "StorageAway", "ReadTimeoutError"}
        assert 1 <= len(sent) < ours.TRIES


def test_a_scan_waits_for_the_bucket_and_costs_no_try(
    quick: None, tmp_path: Path, settings: Any, monkeypatch: Any, api: Any, make_user: Any, tenants: Any
) -> None:
    settings.DOCUMENT_SCANNER = "true"
    with kit_s3.server(tmp_path / "log") as s3:
        kit_s3.use(s3, settings, monkeypatch)
        upload(api(make_user("supervisor")))
        s3.pause()
        with tenant_context(tenants[0].pk):
            version = DocumentVersion.objects.get()
            assert scanning.scan(version.pk) == "pending"
            assert DocumentVersion.objects.get().scan_tries == 0
            s3.resume()
            assert scanning.scan(version.pk) == "clean"


def test_half_a_setting_does_not_start(monkeypatch: Any) -> None:
    monkeypatch.setenv("MURIMA_DOCUMENT_BUCKET", "b")
    monkeypatch.setenv("MURIMA_DOCUMENT_S3_KEY_ID", "k")
    with pytest.raises(ImproperlyConfigured, match="together"):
        setting.documents()
    monkeypatch.setattr(setting, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"requirements/s3\.txt"):
        setting.documents()


# --- backup -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
class TestBackup:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path: Path, settings: Any) -> None:
        settings.HOME = tmp_path

    def test_a_tenant_comes_back_with_its_files(
        self, s3: Server, api: Any, make_user: Any, tenants: Any, tmp_path: Path
    ) -> None:
        client = api(make_user("supervisor"))
        other = api(make_user("supervisor", tenant=tenants[1]), tenant=tenants[1])
        at, theirs = upload(client)["Location"], upload(other, b"theirs\n", "b.txt")["Location"]
        run("backup", "--tenant", "mto", tmp_path / "backup")
        before = s3.names()
        upload(client, b"written later\n", "c.txt")
        mine = next(name for name in before if name.startswith(tenants[0].pk))
        s3.client().delete_object(Bucket=BUCKET, Key=mine)
        run("restore", "--tenant", "mto", tmp_path / "backup", "--replace")
        assert s3.names() == before
        again = api(make_user("supervisor"))
        assert bytes_of(again.get(f"{at}content/")) == PDF
        assert again.get(URL).json()["data"][0]["filename"] == "letter.pdf"
        assert len(again.get(URL).json()["data"]) == 1
        assert bytes_of(other.get(f"{theirs}content/")) == b"theirs\n"

    def test_a_restore_that_fails_takes_nothing_and_leaves_nothing(
        self, s3: Server, api: Any, make_user: Any, tenants: Any, tmp_path: Path, monkeypatch: Any
    ) -> None:
        client = api(make_user("supervisor"))
        upload(client)
        run("backup", "--tenant", "mto", tmp_path / "backup")
        (lost,) = s3.names()
        s3.client().delete_object(Bucket=BUCKET, Key=lost)
        upload(client, b"written later\n", "c.txt")
        before = s3.names()

        def fail(*_: Any) -> None:
            raise RuntimeError("no more room")

        with monkeypatch.context() as patched:
            patched.setattr(restoring, "_shared_rows", fail)
            with pytest.raises(RuntimeError):
                run("restore", "--tenant", "mto", tmp_path / "backup", "--replace")
        assert s3.names() == before

    def test_who_was_erased_since_stays_erased_in_the_bucket(
        self, s3: Server, api: Any, make_user: Any, tenants: Any, tmp_path: Path
    ) -> None:
        client = api(make_user("admin"))
        contact = client.post("/api/v1/contacts/", {"first_name": "Wanjiku"}).json()["id"]
        upload(client, contact=contact)
        run("backup", "--tenant", "mto", tmp_path / "backup")
        from web.tenant.contacts import erasing

        with tenant_context(tenants[0].pk):
            erasing.erase(actor=ACTOR, contact_id=uuid.UUID(contact))
        assert s3.names() == []
        run("restore", "--tenant", "mto", tmp_path / "backup", "--replace")
        assert s3.names() == []

    def test_a_bucket_that_is_away_makes_no_half_backup(
        self, quick: None, api: Any, make_user: Any, tenants: Any, tmp_path: Path, settings: Any,
        monkeypatch: Any,
    ) -> None:  # fmt: skip
        with kit_s3.server(tmp_path / "log") as s3:
            kit_s3.use(s3, settings, monkeypatch)
            upload(api(make_user("supervisor")))
            kit_s3.use(s3, settings, monkeypatch, MURIMA_DOCUMENT_S3_URL="http://127.0.0.1:9")
            with pytest.raises(Exit) as problem:
                run("backup", "--tenant", "mto", tmp_path / "backup")
            assert problem.value.code is Code.DEPENDENCY and "MURIMA_DOCUMENT" in problem.value.next_step
            assert not (tmp_path / "backup").exists() and not (tmp_path / "backup.partial").exists()

    def test_from_a_bucket_to_a_folder_and_back(
        self, s3: Server, api: Any, make_user: Any, tenants: Any, tmp_path: Path, settings: Any,
        monkeypatch: Any,
    ) -> None:  # fmt: skip
        at = upload(api(make_user("supervisor")))["Location"]
        names = s3.names()
        run("backup", "--tenant", "mto", tmp_path / "one")
        folder = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "data" / "tenants")},
        }
        settings.STORAGES = {**settings.STORAGES, "documents": folder}
        run("restore", "--tenant", "mto", tmp_path / "one", "--replace")
        assert (tmp_path / "data" / "tenants" / names[0]).read_bytes() == PDF
        assert bytes_of(api(make_user("supervisor")).get(f"{at}content/")) == PDF
        run("backup", "--tenant", "mto", tmp_path / "two")
        s3.client().delete_object(Bucket=BUCKET, Key=names[0])
        kit_s3.use(s3, settings, monkeypatch)
        run("restore", "--tenant", "mto", tmp_path / "two", "--replace")
        assert s3.names() == names
        assert bytes_of(api(make_user("supervisor")).get(f"{at}content/")) == PDF
