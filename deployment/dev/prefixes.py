"""Servers unpacked into a prefix of the cache: which packages, and what makes them run there.

Two ways, both proven: Asterisk comes from a newer suite together with its own C library, so its
binary gets that suite's loader and search path written into it (patchelf); the others come from
Debian 12 and run on the host's C library (2.36 or newer) behind a small script that sets their
library path. A prefix is named by the hash of its packages and appears whole or not at all.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from deployment.dev import debian, machine, python
from deployment.dev.say import Trouble, say

LOCKS = Path(__file__).with_name("locks")
_LIBRARY_DIRECTORIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/nss",
                        "usr/lib/x86_64-linux-gnu/pulseaudio")  # fmt: skip
_HOST_OWNS = {"libc6", "libc-bin"}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one server is brought; locks/needed.txt lists what it uses out of its closure."""

    name: str
    suite: str
    wanted: tuple[str, ...]
    finish: Callable[[Path], None]
    own_libc: bool = False
    floor: tuple[int, ...] = ()
    ceiling: tuple[int, ...] = ()


def _finish_asterisk(root: Path) -> None:
    patchelf = python.tool("patchelf") / "bin/patchelf"
    binary = root / "usr/sbin/asterisk"
    loader = next(
        p
        for p in (root / "usr/lib64/ld-linux-x86-64.so.2", root / "lib64/ld-linux-x86-64.so.2")
        if p.exists()
    )
    command = [str(patchelf), "--set-interpreter", str(_final(root, loader)), "--force-rpath", "--set-rpath",
               str(_final(root, root / "usr/lib/x86_64-linux-gnu")), str(binary)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    voice = root / "usr/share/asterisk/sounds/en"
    if voice.is_symlink():  # it leads through the host's alternatives
        voice.unlink()
        voice.symlink_to("en_US_f_Allison")


def _script(root: Path, name: str, target: str, extra: str = "") -> None:
    """Write bin/<name>, which starts `target` of this prefix with this prefix's libraries."""
    libraries = ":".join(str(_final(root, root / d)) for d in _LIBRARY_DIRECTORIES)
    text = f"#!/bin/sh\n{extra}LD_LIBRARY_PATH='{libraries}' exec '{_final(root, root / target)}' \"$@\"\n"
    path = root / "bin" / name
    if path.parent.is_symlink():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _finish_redis(root: Path) -> None:
    _script(root, "redis-server", "usr/bin/redis-check-rdb", extra="")
    text = (root / "bin/redis-server").read_text()
    # One binary serves three names and looks at the name that it was called by.
    (root / "usr/bin/redis-server").unlink(missing_ok=True)
    shutil.copy2(root / "usr/bin/redis-check-rdb", root / "usr/bin/redis-server")
    (root / "bin/redis-server").write_text(text.replace("redis-check-rdb", "redis-server"))


def _finish_postgres(root: Path) -> None:
    for binary in ("postgres", "initdb", "psql", "pg_dump", "pg_restore", "pg_ctl"):
        _script(root, binary, f"usr/lib/postgresql/15/bin/{binary}")


def _finish_chromium(root: Path) -> None:
    fonts = root / "etc/fonts/fonts.conf"
    settings = fonts.read_text().replace("/usr/share/fonts", str(_final(root, root / "usr/share/fonts")), 1)
    fonts.write_text(
        settings.replace("conf.d</include>", f"{_final(root, root / 'etc/fonts/conf.d')}</include>")
    )
    extra = f"export FONTCONFIG_FILE='{_final(root, fonts)}'\n"
    _script(root, "chromium", "usr/lib/chromium/chromium", extra)


RECIPES = {
    r.name: r
    for r in (
        Recipe("asterisk", "forky", ("asterisk",), _finish_asterisk, True, (22, 10, 1), (23,)),
        Recipe("redis", "bookworm", ("redis-server",), _finish_redis),
        Recipe("postgres", "bookworm", ("postgresql-15", "tzdata"), _finish_postgres),
        Recipe("chromium", "bookworm", ("chromium",), _finish_chromium),
    )
}


def _final(root: Path, path: Path) -> Path:
    """Where `path`, now below the temporary `root`, will be once the prefix is in place."""
    return Path(str(path).replace(str(root), str(root.parent / root.name.split(".unpacking")[0]), 1))


def bring(name: str, *, frozen: bool = False) -> Path:
    """The prefix of server `name`, made now if it is not there; safe beside another bootstrap."""
    recipe = RECIPES[name]
    with exclusive(f"prefix-{name}"):
        recorded = machine.cache() / "resolved" / f"{name}.json"
        lock = LOCKS / f"{name}.json"
        packages = debian.read_lock(lock)
        if not (ready := _place(recipe, packages)).exists():
            if recorded.exists() and not frozen and recorded.stat().st_mtime >= lock.stat().st_mtime:
                packages = debian.read_lock(recorded)
                ready = _place(recipe, packages)
            if not ready.exists():
                ready = _make(recipe, packages, recorded, frozen=frozen)
    return ready


def _make(recipe: Recipe, packages: list[debian.Package], recorded: Path, *, frozen: bool) -> Path:
    _require_host(recipe)
    say(
        f"{recipe.name}: not on this machine; bringing {len(packages)} Debian packages into {machine.cache()}"
    )
    try:
        debs = debian.fetch(packages, recipe.name)
    except debian.Gone as gone:
        if frozen:
            raise Trouble(
                f"Locked package {gone} of {recipe.name} has left the archive (--frozen)."
            ) from gone
        packages = _newest(recipe, str(gone))
        debs = debian.fetch(packages, recipe.name)
        recorded.parent.mkdir(exist_ok=True)
        debian.write_lock(recorded, recipe.suite, packages)
    ready = _place(recipe, packages)
    ready.parent.mkdir(exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f"{ready.name}.unpacking", dir=ready.parent))
    try:
        root.chmod(0o755)
        debian.unpack(debs, root, recipe.name)
        recipe.finish(root)
        root.rename(ready)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    return ready


def _newest(recipe: Recipe, gone: str) -> list[debian.Package]:
    packages = debian.resolve(recipe.suite, list(recipe.wanted))
    packages = [p for p in packages if recipe.own_libc or p.name not in _HOST_OWNS]
    main = next(p for p in packages if p.name == recipe.wanted[0])
    number = version(main.version)
    if (recipe.floor and number < recipe.floor) or (recipe.ceiling and number >= recipe.ceiling):
        raise Trouble(
            f"The archive now has {main.name} {main.version}, which Murima was not "
            f"written for. Locked: {gone}."
        )
    say(
        f"  NOTE: locked package {gone} has left the archive; taking {main.name} {main.version} "
        "and what it needs"
    )
    return packages


def version(text: str) -> tuple[int, ...]:
    """The upstream number of a Debian version, as a tuple: '1:22.10.1+dfsg-1' → (22, 10, 1)."""
    upstream = text.split(":")[-1]
    head = upstream.split("+")[0].split("-")[0].split("~")[0]
    return tuple(int(part) for part in head.split(".") if part.isdigit())


def _place(recipe: Recipe, packages: list[debian.Package]) -> Path:
    digest = hashlib.sha256("".join(sorted(p.sha256 for p in packages)).encode()).hexdigest()[:12]
    return machine.cache() / "prefix" / f"{recipe.name}-{digest}"


def _require_host(recipe: Recipe) -> None:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise Trouble(
            f"{recipe.name} is not installed, and can only be fetched for Linux on x86-64. "
            "Install it yourself."
        )
    kind, number = platform.libc_ver()
    if not recipe.own_libc and (kind != "glibc" or version(number) < (2, 36)):
        raise Trouble(
            f"{recipe.name} is not installed, and the fetched one needs glibc 2.36; "
            f"this machine has {kind} {number}."
        )


class exclusive:  # noqa: N801 - reads as a statement: with exclusive("name")
    """Holds a lock named `name` in the cache, so that two bootstraps do not do the same work at once."""

    def __init__(self, name: str) -> None:
        self._path = machine.cache() / f"{name}.lock"
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  waiting for another start that holds {self._path.name}")
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _needed(name: str) -> set[str]:
    """The packages under [name] in locks/needed.txt."""
    chapter = (LOCKS / "needed.txt").read_text().split(f"[{name}]\n")[1]
    return set(chapter.split("[")[0].split())


def lock(name: str) -> None:
    """Write the lock file of `name` anew from what the archive has today."""
    recipe = RECIPES[name]
    packages = debian.resolve(recipe.suite, list(recipe.wanted), _needed(name))
    debian.write_lock(LOCKS / f"{name}.json", recipe.suite, packages)
