"""Debian packages as a source of servers, without root and without touching the system's packages.

A lock file names each package by name, version, hash, size and path in the archive's pool; it holds
no address. A locked package is fetched straight from the machine's own mirror and believed only by
its hash. When one has left the archive, apt (run on private, empty state, so that it verifies the
archive's signature and computes the whole closure) finds the newest allowed set; that is said aloud
and recorded in the cache. Downloads resume where they broke off and are shared by all checkouts.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from deployment.dev import machine
from deployment.dev.say import Progress, Trouble, say

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_TRIES = 4
_TIMEOUT_SECONDS = 30


class Gone(Exception):
    """A locked package is on none of the mirrors any more."""


@dataclasses.dataclass(frozen=True)
class Package:
    """One .deb: `file` is its path below the archive's root, `size` is in bytes."""

    name: str
    version: str
    sha256: str
    size: int
    file: str


def read_lock(path: Path) -> list[Package]:
    """The packages of a lock file (or of a recorded resolution, which has the same form)."""
    return [Package(**entry) for entry in json.loads(path.read_text())["packages"]]


def write_lock(path: Path, suite: str, packages: Iterable[Package]) -> None:
    """Write a lock file, atomically."""
    entries = [dataclasses.asdict(p) for p in sorted(packages, key=lambda p: p.name)]
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"suite": suite, "packages": entries}, indent=1) + "\n")
    temporary.replace(path)


def fetch(packages: list[Package], label: str) -> list[Path]:
    """Bring every package into the cache and return their files; raises `Gone` or `Trouble`."""
    store = machine.cache() / "debs"
    store.mkdir(exist_ok=True)
    missing = [p for p in packages if not (store / f"{p.sha256}.deb").exists()]
    if missing:
        mirrors = machine.require_mirror()
        progress = Progress(f"downloading {label}", sum(p.size for p in missing))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(_fetch_one, p, mirrors, store, progress) for p in missing]:
                future.result()
        progress.finish()
    return [store / f"{p.sha256}.deb" for p in packages]


def _fetch_one(package: Package, mirrors: list[str], store: Path, progress: Progress) -> None:
    part = store / f"{package.sha256}.part"
    problem: Exception | None = None
    gone: set[str] = set()
    for attempt in range(_TRIES):
        for mirror in mirrors:
            try:
                _download(f"{mirror}/{urllib.parse.quote(package.file)}", part, progress)
                _verify(part, package)
                part.replace(store / f"{package.sha256}.deb")
                return
            except urllib.error.HTTPError as error:
                if error.code in {404, 410}:
                    gone.add(mirror)
                problem = error
            except (OSError, ValueError) as error:
                problem = error
        if len(gone) == len(mirrors):
            raise Gone(package.name)
        time.sleep(0.5 * 2**attempt)
    raise Trouble(
        f"Package {package.name} {package.version} could not be fetched: {problem}.\n"
        "What has arrived is kept; start again to go on from there."
    )


def _download(address: str, part: Path, progress: Progress) -> None:
    """Append to `part` what is still missing of `address`."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == 416:  # everything was there already
            return
        raise
    with response, part.open("ab" if response.status == 206 else "wb") as target:
        while chunk := response.read(1 << 17):
            target.write(chunk)
            progress.add(len(chunk))


def _verify(part: Path, package: Package) -> None:
    size = part.stat().st_size
    if size < package.size:
        raise ValueError(f"{package.name}: {size} of {package.size} bytes arrived")
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    if digest != package.sha256:
        part.unlink()
        raise ValueError(f"{package.name}: the file's hash is not the locked one")


def resolve(suite: str, wanted: list[str], only: set[str] | None = None) -> list[Package]:
    """Ask apt, on private state, for the newest closure of `wanted` in `suite`; `only` narrows it."""
    machine.need_program("apt-get", "to find newer packages than the locked ones")
    work = machine.cache() / "apt" / suite
    options = _private_state(work, suite)
    say(f"  asking the Debian archive ({suite}) what is newest")
    _run(["apt-get", *options, "-qq", "update"])
    plan = _run(["apt-get", *options, "-s", "install", *wanted])
    names = dict(re.findall(r"^Inst (\S+) \((\S+)", plan, re.MULTILINE))
    chosen = {n.split(":")[0]: v for n, v in names.items() if only is None or n in only}
    shown = _run(["apt-cache", *options, "show", *(f"{n}={v}" for n, v in chosen.items())])
    packages = {p.name: p for p in map(_parse, shown.split("\n\n")) if p and chosen.get(p.name) == p.version}
    if only is not None and (absent := only - set(packages)):
        raise Trouble(f"The archive has no {', '.join(sorted(absent))} among what {wanted[0]} needs.")
    return list(packages.values())


def _private_state(work: Path, suite: str) -> list[str]:
    for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (work / name).mkdir(parents=True, exist_ok=True)
    (work / "state/status").write_text("")  # nothing is installed: the closure is whole
    if not Path(_KEYRING).exists():
        raise Trouble(
            f"{_KEYRING} is missing: install debian-archive-keyring, so that apt can verify the archive."
        )
    lines = [f"deb [signed-by={_KEYRING}] {mirror} {suite} main" for mirror in machine.require_mirror()]
    (work / "etc/sources.list").write_text("\n".join(lines) + "\n")
    settings = {
        "Dir::State": work / "state",
        "Dir::State::status": work / "state/status",
        "Dir::Cache": work / "cache",
        "Dir::Etc": work / "etc",
        "Dir::Etc::sourcelist": work / "etc/sources.list",
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": "amd64",
        "Debug::NoLocking": 1,
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def _run(command: list[str]) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    if done.returncode:
        raise Trouble(f"{command[0]} failed: {done.stderr.strip()[-800:]}")
    return done.stdout


def _parse(stanza: str) -> Package | None:
    fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
    if "Filename" not in fields:
        return None
    return Package(
        fields["Package"], fields["Version"], fields["SHA256"], int(fields["Size"]), fields["Filename"]
    )


def unpack(debs: list[Path], target: Path, label: str) -> None:
    """Unpack packages into `target`, without manuals and other things that no server reads."""
    dpkg = machine.need_program("dpkg-deb", "to unpack Debian packages")
    progress = Progress(f"unpacking {label}", len(debs), unit="packages", scale=1)
    for deb in debs:
        done = subprocess.run(
            [dpkg, "-x", str(deb), str(target)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            deb.unlink()
            raise Trouble(f"A package of {label} could not be unpacked: {done.stderr.strip()}. Start again.")
        progress.add(1)
    progress.finish()
    for name in ("doc", "man", "locale", "info", "lintian", "bug"):
        shutil.rmtree(target / "usr/share" / name, ignore_errors=True)
