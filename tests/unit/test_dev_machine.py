"""The bootstrap's reading of the machine: mirrors, versions, locks, ports."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path

import pytest

from deployment.dev import debian, machine, ports, prefixes
from deployment.dev.say import Trouble

MIRROR = "http://mirror.test/debian"


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "_APT", tmp_path)
    monkeypatch.delenv("MURIMA_DEBIAN_MIRROR", raising=False)
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        f"deb {MIRROR} bookworm main\n",
        f"deb [arch=amd64 signed-by=/x.gpg] {MIRROR}/ bookworm main contrib # ours\n",
        f"# deb http://no.test/debian x main\ndeb-src http://no.test/debian x main\n"
        f"deb {MIRROR} trixie main\n",
    ],
)
def test_one_line_sources_are_read(apt, text):
    (apt / "sources.list").write_text(text)
    assert machine.mirrors() == [MIRROR]


def test_deb822_sources_are_read_and_others_left_out(apt):
    (apt / "sources.list.d/debian.sources").write_text(
        f"Types: deb deb-src\n# a comment\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://no.test/debian-security\nSuites: x\nComponents: main\n\n"
        "Types: deb\nEnabled: no\nURIs: http://no.test/debian\nSuites: x\nComponents: main\n"
    )
    (apt / "sources.list.d/other.list").write_text("deb https://no.test/apt stable main\n")
    assert machine.mirrors() == [MIRROR]


def test_without_a_mirror_the_way_out_is_said(apt):
    with pytest.raises(Trouble, match="MURIMA_DEBIAN_MIRROR"):
        machine.require_mirror()


@pytest.mark.parametrize(
    ("text", "number"),
    [("1:22.10.1+dfsg+~cs6.17-1", (22, 10, 1)), ("7.0.15-1~deb12u1", (7, 0, 15)), ("2.36", (2, 36))],
)
def test_versions(text, number):
    assert prefixes.version(text) == number


def test_lock_files_are_whole_and_name_no_host():
    for name in prefixes.RECIPES:
        text = (prefixes.LOCKS / f"{name}.json").read_text()
        packages = debian.read_lock(prefixes.LOCKS / f"{name}.json")
        assert "://" not in text
        assert {p.name for p in packages} == prefixes._needed(name)
        assert all(len(p.sha256) == 64 and p.file.startswith("pool/main/") for p in packages)


def test_two_stacks_get_different_ports_and_a_stack_keeps_its_own(tmp_path):
    first, block = ports.choose(tmp_path / "a", usual=False)
    second, other = ports.choose(tmp_path / "b", usual=False)
    assert not set(first.values()) & set(second.values())
    assert block.rtp[1] < other.rtp[0] or other.rtp[1] < block.rtp[0]
    block.release()
    again, block = ports.choose(tmp_path / "a", usual=False)
    assert again == first
    block.release()
    other.release()


class _Archive(http.server.BaseHTTPRequestHandler):
    """Serves one file, and breaks off in the middle the first time."""

    body = bytes(range(256)) * 4000
    ranges: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        if self.path != "/debian/pool/main/x/x.deb":
            self.send_error(404)
            return
        start = int(wanted.split("=")[1].rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        piece = self.body[start:]
        self.wfile.write(piece if wanted else piece[: len(piece) // 2])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def archive(tmp_path, monkeypatch):
    _Archive.ranges = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("MURIMA_DEBIAN_MIRROR", f"http://127.0.0.1:{server.server_port}/debian")
    monkeypatch.setattr(machine, "cache", lambda: tmp_path)
    monkeypatch.setattr("deployment.dev.debian.time.sleep", lambda _: None)
    yield server
    server.shutdown()


def _package(sha256: str | None = None, file: str = "pool/main/x/x.deb") -> debian.Package:
    import hashlib

    return debian.Package(
        "x", "1", sha256 or hashlib.sha256(_Archive.body).hexdigest(), len(_Archive.body), file
    )


def test_a_broken_download_goes_on_where_it_stopped(archive):
    [file] = debian.fetch([_package()], "x")
    assert file.read_bytes() == _Archive.body
    assert _Archive.ranges == [None, f"bytes={len(_Archive.body) // 2}-"]


def test_a_file_with_another_hash_is_refused(archive, tmp_path):
    with pytest.raises(Trouble, match="hash"):
        debian.fetch([_package("0" * 64)], "x")
    assert list((tmp_path / "debs").iterdir()) == []


def test_a_package_that_left_the_archive_is_told_apart_from_a_broken_network(archive):
    with pytest.raises(debian.Gone):
        debian.fetch([_package(file="pool/main/x/gone.deb")], "x")
