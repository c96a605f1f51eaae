"""What the machine offers: a cache directory, an unprivileged user, a Debian mirror.

Nothing here names a host: mirrors are those the machine's own apt already uses, or the one in
MURIMA_DEBIAN_MIRROR. PostgreSQL refuses to run as root, so as root the servers run as `nobody`
and everything they touch must be reachable by that user; where the ordinary cache is not
(/root is closed), /var/cache/murima takes its place.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from deployment.dev.say import Trouble

_APT = Path("/etc/apt")


def checkout() -> Path:
    """The directory that holds this checkout."""
    return Path(__file__).resolve().parents[2]


def server_user() -> pwd.struct_passwd | None:
    """The user that servers run as when we are root; None when we are an ordinary user."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def reachable(path: Path) -> bool:
    """Whether any user can get to `path` (every existing directory above and it has x for others)."""
    existing = [p for p in (path, *path.parents) if p.exists()]
    return all(p.stat().st_mode & stat.S_IXOTH for p in existing if p.is_dir())


def cache() -> Path:
    """Where downloads and unpacked servers live, shared by every checkout of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(
        Path(os.environ.get("HOME") or "~").expanduser() / ".cache"
    )
    path = Path(base) / "murima"
    if server_user() is not None and not reachable(path):
        path = Path("/var/cache/murima")
    path.mkdir(parents=True, exist_ok=True)
    return path


def give(path: Path) -> None:
    """Hand `path` (and what is in it) to the servers' user, when we are root."""
    user = server_user()
    if user is None:
        return
    os.chown(path, user.pw_uid, user.pw_gid)
    for root, directories, files in os.walk(path):
        for name in (*directories, *files):
            os.chown(Path(root) / name, user.pw_uid, user.pw_gid, follow_symlinks=False)


def require_reachable(path: Path) -> None:
    """Refuse, with the way out, a runtime directory that the servers' user cannot enter."""
    if server_user() is not None and not reachable(path):
        raise Trouble(
            f"As root the servers run as 'nobody', who cannot reach {path}.\n"
            "Move the checkout out of the closed directory (for example to /srv), run as an ordinary "
            "user, or set MURIMA_HOME to a directory that others may enter."
        )


def mirrors() -> list[str]:
    """Base addresses of Debian archives (they have dists/ and pool/) that this machine already uses."""
    found: list[str] = []
    override = os.environ.get("MURIMA_DEBIAN_MIRROR")
    if override:
        return [override.rstrip("/")]
    files = [_APT / "sources.list"]
    parts = _APT / "sources.list.d"
    if parts.is_dir():
        files += sorted(parts.iterdir())
    for file in files:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = file.read_text()
            found += _deb822(text) if file.suffix == ".sources" else _one_line(text)
    return list(dict.fromkeys(uri.rstrip("/") for uri in found))


def _is_main_archive(uri: str, components: list[str]) -> bool:
    return uri.rstrip("/").endswith("/debian") and "main" in components and uri.startswith("http")


def _deb822(text: str) -> Iterator[str]:
    for stanza in text.replace("\r", "").split("\n\n"):
        fields: dict[str, str] = {}
        for line in stanza.splitlines():
            if line.startswith("#") or ":" not in line or line[0].isspace():
                continue
            key, _, value = line.partition(":")
            fields[key.strip().lower()] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        components = fields.get("components", "").split()
        yield from (uri for uri in fields.get("uris", "").split() if _is_main_archive(uri, components))


def _one_line(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.split("#")[0].replace("[", " [ ").replace("]", " ] ").split()
        if not words or words[0] != "deb":
            continue
        if "[" in words and "]" in words:
            del words[words.index("[") : words.index("]") + 1]
        if len(words) >= 4 and _is_main_archive(words[1], words[3:]):
            yield words[1]


def require_mirror() -> list[str]:
    """The mirrors, or what to do when there is none."""
    found = mirrors()
    if not found:
        raise Trouble(
            "No Debian archive is configured for apt on this machine, so missing servers cannot be fetched.\n"
            "Install them yourself (PostgreSQL >= 15 with contrib, Redis >= 7 or valkey, "
            "Asterisk >= 22.10.1 and < 23) "
            "or set MURIMA_DEBIAN_MIRROR to the base address of a Debian mirror."
        )
    return found


def need_program(name: str, why: str) -> str:
    """The path of a program the bootstrap itself cannot do without."""
    path = shutil.which(name)
    if path is None:
        raise Trouble(f"'{name}' is missing: it is needed {why}. Install it and start again.")
    return path
