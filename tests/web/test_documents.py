"""Documents: what goes in, who gets it out, and what a hostile file meets."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import uuid
import zipfile
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from tests.web.api_cases import ReadCases
from web.shared.core import erasure
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent, DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.documents import content, scanning, services, tasks
from web.tenant.documents.models import Document, DocumentVersion

pytestmark = [pytest.mark.django_db, pytest.mark.database]

URL = "/api/v1/documents/"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
ACTOR = system("test")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """The tests' own place for bytes."""
    backend = "django.core.files.storage.FileSystemStorage"
    own = {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "documents": own}
    return tmp_path


def upload(client: Any, body: bytes = PDF, name: str = "letter.pdf", url: str = URL, **fields: Any) -> Any:
    headers = {key: fields.pop(key) for key in list(fields) if key.startswith("HTTP_")}
    data = {"file": SimpleUploadedFile(name, body), **fields}
    return client.post(url, data, format="multipart", **headers)


def bytes_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, inside in members.items():
            made.writestr(name.replace("__", "/"), inside)
    return out.getvalue()


class TestDocuments(ReadCases):
    url = URL
    may_view = "viewer"
    may_not = "telephony_admin"

    def make(self, tenant: Any, **values: Any) -> str:
        file: Any = SimpleUploadedFile("a.pdf", PDF)
        return str(services.document_create(actor=ACTOR, file=file, filename="a.pdf", values=values).pk)


def test_a_file_goes_in_and_comes_out_as_it_was(api: Any, make_user: Any, tenants: Any, folder: Path) -> None:
    client = api(make_user("supervisor"))
    answer = upload(client, name="../../etc/Lettre\u202e\x00 du 3.pdf", description="From the school")
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["mime_type"] == "application/pdf" and made["size"] == len(PDF) and made["version"] == 1
    assert "/" not in made["filename"] and "\u202e" not in made["filename"]
    out = client.get(f"{answer['Location']}content/")
    assert bytes_of(out) == PDF and out["Content-Disposition"].startswith("attachment")
    assert out["X-Content-Type-Options"] == "nosniff" and "sandbox" in out["Content-Security-Policy"]
    assert out["Cache-Control"] == "private, no-store"
    stored = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert len(stored) == 1 and stored[0].parts[:2] == (tenants[0].pk, "documents")
    assert "ettre" not in str(stored[0])
    with tenant_context(tenants[0].pk):
        actions = set(AuditEvent.objects.values_list("action", flat=True))
        assert {"create", "download"} <= actions
        assert set(DomainEvent.objects.values_list("type", flat=True)) == {"document.created"}


def test_versions_are_kept_and_each_can_be_fetched(api: Any, make_user: Any) -> None:
    client = api(make_user("supervisor"))
    at = upload(client)["Location"]
    second = upload(client, b"Plain words.\n", "notes.txt", url=f"{at}versions/")
    assert second.status_code == 201, second.content
    assert second.json()["number"] == 2 and second.json()["mime_type"] == "text/plain"
    listed = client.get(f"{at}versions/").json()["data"]
    assert [one["number"] for one in listed] == [2, 1]
    assert listed[1]["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert bytes_of(client.get(f"{at}content/")) == b"Plain words.\n"
    assert bytes_of(client.get(f"{at}content/?version=1")) == PDF
    assert client.get(f"{at}content/?version=3").status_code == 404
    assert client.get(f"{at}content/?version=x").status_code == 400
    assert client.get(at).json()["version"] == 2


def test_the_same_upload_twice_makes_one_document(api: Any, make_user: Any) -> None:
    client, key = api(make_user("supervisor")), uuid.uuid4().hex
    first = upload(client, HTTP_IDEMPOTENCY_KEY=key)
    again = upload(client, HTTP_IDEMPOTENCY_KEY=key)
    assert first.json() == again.json() and again["Idempotent-Replayed"] == "true"
    other = upload(client, PDF + b"\n", HTTP_IDEMPOTENCY_KEY=key)
    assert other.status_code == 422 and other.json()["code"] == "idempotency_key_reuse"


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "windows program": b"MZ" + b"\0" * 200,
    "linux program as a picture": b"\x7fELF" + b"\0" * 200,
    "java class": b"\xca\xfe\xba\xbe" + b"\0" * 50,
    "mach-o": b"\xcf\xfa\xed\xfe" + b"\0" * 50,
    "shell script": b"#!/bin/sh\nrm -rf /\n",
    "page": b"<!DOCTYPE html><script>alert(1)</script>",
    "page after blanks": b"\xef\xbb\xbf \n\t<HTML><body onload=alert(1)>",
    "script in text": b"hello\n<script>alert(1)</script>",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "svg after xml": b"<?xml version='1.0'?><svg onload='alert(1)'/>",
    "xml with an entity": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>",
    "php": b"<?php system($_GET['c']); ?>",
    "asp": b"<% eval request('x') %>",
    "iframe": b"<iframe src='javascript:alert(1)'>",
    "picture of too many pixels": png(60_000, 60_000),
    "archive bomb": archive(a=b"\0" * 30_000_000),
    "archive of too many files": archive(**{f"f{n}": b"" for n in range(5_001)}),
    "damaged archive": b"PK\x03\x04" + b"\xff" * 300,
    "jar": archive(**{"META-INF__MANIFEST.MF": b"Main-Class: X"}),
    "program in an archive": archive(**{"setup.exe": b"MZ"}),
    "macros": archive(
        **{"[Content_Types].xml": b"<x/>", "word__vbaProject.bin": b"x", "word__a.xml": b"<x/>"}
    ),
    "odd open document": archive(mimetype=b"application/x-evil"),
    "random bytes": bytes(range(256)) * 4,
    "nul in text": b"words\x00words",
    "latin-1": b"caf\xe9 " * 50,
    "gzip": b"\x1f\x8b\x08" + b"\0" * 60,
    "iso image head": b"\0" * 40_000 + b"CD001",
    "windows shortcut": b"L\x00\x00\x00\x01\x14\x02\x00" + b"\0" * 100,
    "web assembly": b"\0asm\x01\0\0\0" + b"\0" * 60,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_by_its_content_and_nothing_stays(
    kind: str, api: Any, make_user: Any, tenants: Any, folder: Path
) -> None:
    answer = upload(api(make_user("supervisor")), HOSTILE[kind], "harmless.pdf")
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"] == "/file"
    assert not [path for path in folder.rglob("*") if path.is_file()]
    with tenant_context(tenants[0].pk):
        assert not Document.all_objects.exists()


KINDS: dict[str, bytes] = {
    "image/png": png(3, 2),
    "text/plain": b"Plain words, \xc3\xa4.\n",
    "message/rfc822": b"From: a@b.example\nSubject: x\n\nHello",
    "application/zip": archive(a=b"x"),
    content._OFFICE["word/"]: archive(**{"[Content_Types].xml": b"<x/>", "word__document.xml": b"<x/>"}),
    "application/vnd.oasis.opendocument.text": archive(mimetype=b"application/vnd.oasis.opendocument.text"),
    "audio/wav": b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + b"\0" * 40,
    "application/rtf": b"{\\rtf1\\ansi hello}",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_type_is_found_in_the_content(kind: str) -> None:
    assert content.examine(io.BytesIO(KINDS[kind])).mime_type == kind


def test_too_large_is_said_before_anything_is_kept(
    api: Any, make_user: Any, settings: Any, folder: Path
) -> None:
    settings.DOCUMENT_MAX_BYTES = 100
    answer = upload(api(make_user("supervisor")), PDF + b"x" * 100)
    assert answer.status_code == 422 and not list(folder.rglob("*-*-*-*-*"))


def test_who_may_see_whose_document(api: Any, make_user: Any, tenants: Any) -> None:
    mine, other, boss = api(make_user("agent")), make_user("agent"), api(make_user("supervisor"))
    made = upload(mine).json()
    at = f"{URL}{made['id']}/"
    assert mine.get(at).status_code == 200 and boss.get(at).status_code == 200
    assert api(other).get(at).status_code == 404 and api(other).get(f"{at}content/").status_code == 404
    given = mine.post(f"{at}access/", {"user": str(other.pk), "access_type": "view"})
    assert given.status_code == 201, given.content
    assert api(other).get(at).status_code == 200
    refused = api(other).get(f"{at}content/")
    assert refused.status_code == 403
    etag = given["ETag"]
    grant = f"{at}access/{given.json()['id']}/"
    assert mine.patch(grant, {"access_type": "download"}, HTTP_IF_MATCH=etag).status_code == 200
    assert bytes_of(api(other).get(f"{at}content/")) == PDF
    assert api(other).patch(at, {"description": "x"}, HTTP_IF_MATCH="*").status_code == 404
    assert mine.delete(grant, HTTP_IF_MATCH="*").status_code == 204
    assert api(other).get(at).status_code == 404
    stranger = make_user("agent", tenant=tenants[1])
    refused = mine.post(f"{at}access/", {"user": str(stranger.pk)})
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/user"


def test_access_ends_by_itself(api: Any, make_user: Any, tenants: Any) -> None:
    mine, other = api(make_user("agent")), make_user("agent")
    at = upload(mine)["Location"]
    soon = (timezone.now() + timedelta(hours=1)).isoformat()
    past = (timezone.now() - timedelta(hours=1)).isoformat()
    assert mine.post(f"{at}access/", {"user": str(other.pk), "expires_at": past}).status_code == 422
    assert mine.post(f"{at}access/", {"user": str(other.pk), "expires_at": soon}).status_code == 201
    assert api(other).get(at).status_code == 200
    with tenant_context(tenants[0].pk):
        grant = Document.objects.get().access.get()
        type(grant).objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert api(other).get(at).status_code == 404


def test_a_link_works_without_a_cookie_for_its_version_and_its_person_only(
    api: Any, make_user: Any, tenants: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = make_user("agent"), make_user("supervisor")
    client = api(owner)
    at = upload(client)["Location"]
    answer = client.post(f"{at}links/", {})
    assert answer.status_code == 201, answer.content
    url = answer.json()["url"]
    assert bytes_of(api().get(url)) == PDF and bytes_of(client.get(url)) == PDF
    assert api(other).get(url).status_code == 403
    assert api(tenant=tenants[1]).get(url).status_code == 404
    for broken in (url[:-2] + "x/", url.replace("/files/", "/files/x")):
        assert api().get(broken).status_code == 404
    import time

    later = time.time() + 16 * 60
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: later)
        assert api().get(url).status_code == 404
    with tenant_context(tenants[0].pk):
        services.document_delete(actor=ACTOR, document=Document.objects.get())
    assert api().get(url).status_code == 404


@pytest.mark.parametrize("field", ["case", "contact"])
def test_a_document_hangs_only_on_what_its_uploader_may_see(
    field: str, api: Any, make_user: Any, tenants: Any
) -> None:
    asked: dict[str, Any] = {field: str(uuid.uuid4())}
    answer = upload(api(make_user("supervisor")), **asked)
    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {
        "pointer": f"/{field}",
        "code": "does_not_exist",
        "detail": f"There is no such {field}.",
    }


@pytest.fixture
def scanner(tmp_path: Path, settings: Any) -> Callable[[str], None]:
    """Make a program be the scanner."""

    def use(program: str) -> None:
        file = tmp_path / "scanner.py"
        file.write_text(f"import sys\ndata = sys.stdin.buffer.read()\n{program}\n")
        settings.DOCUMENT_SCANNER = f"{sys.executable} {file}"

    return use


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("sys.exit(1 if b'EICAR' in data else 0)", "clean"),
        ("sys.exit(1 if b'PDF' in data else 0)", "infected"),
        ("sys.exit(3)", "pending"),
        ("import time; time.sleep(30)", "pending"),
    ],
)
def test_nothing_is_handed_out_before_the_scanner_has_passed_it(
    program: str,
    status: str,
    scanner: Any,
    settings: Any,
    api: Any,
    make_user: Any,
    tenants: Any,
    monkeypatch: Any,
) -> None:
    settings.DOCUMENT_SCAN_SECONDS = 2
    scanner(program)
    client = api(make_user("supervisor"))
    at = upload(client)["Location"]
    waiting = client.get(f"{at}content/")
    assert waiting.status_code == 409 and waiting.json()["code"] == "not_scanned"
    sent: list[str] = []
    monkeypatch.setattr(tasks.scan_waiting, "delay", sent.append)
    tasks.sweep()
    with tenant_context(tenants[0].pk):
        version = DocumentVersion.objects.get()
        assert scanning.scan(version.pk) == status
    tasks.sweep()
    # While it waits, and in its tenant alone.
    assert sent == [tenants[0].pk] * (2 if status == "pending" else 1)
    assert client.get(at).json()["scan_status"] == status
    assert client.get(f"{at}content/").status_code == (200 if status == "clean" else 409)
    assert client.post(f"{at}links/", {}).status_code == (201 if status == "clean" else 409)


def test_a_scanner_that_never_answers_is_given_up(
    scanner: Any, api: Any, make_user: Any, tenants: Any
) -> None:
    scanner("sys.exit(9)")
    upload(api(make_user("supervisor")))
    with tenant_context(tenants[0].pk):
        version = DocumentVersion.objects.get()
        said = [scanning.scan(version.pk) for _ in range(scanning.TRIES)]
        assert said == ["pending"] * (scanning.TRIES - 1) + ["failed"]
        assert scanning.scan(version.pk) == ""


def test_erasing_a_contact_takes_bytes_and_words(
    api: Any, make_user: Any, tenants: Any, folder: Path
) -> None:
    client = api(make_user("supervisor"))
    contact = client.post("/api/v1/contacts/", {"first_name": "Wanjiku"}).json()["id"]
    answer = upload(client, name="Wanjiku school.pdf", contact=contact, description="Wanjiku's letter")
    assert answer.status_code == 201, answer.content
    with tenant_context(tenants[0].pk):
        assert erasure.exporters["documents"](uuid.UUID(contact))[0]["filename"] == "Wanjiku school.pdf"
        assert erasure.erasers["documents"](uuid.UUID(contact), ACTOR) == 1
        row, version = Document.all_objects.get(), DocumentVersion.objects.get()
        assert "Wanjiku" not in str(vars(row)) + str(vars(version))
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert client.get(answer["Location"]).status_code == 404
