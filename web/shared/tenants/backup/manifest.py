"""What a backup says of itself, and whether it is still what it was.

`Manifest` is manifest.json. `verify` compares every file with the SHA-256 noted when it was written, so that
a restore begins with a whole backup or not at all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from telephony import sealing
from web.shared.core.exits import Code, Exit

FORMAT = 1
NAME = "manifest.json"
_CHUNK = 1 << 20


@dataclass
class TenantPart:
    """One tenant's part: migrations by app, columns by shared table, rows by shared table."""

    id: str
    slug: str
    version: dict[str, str]
    tables: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


@dataclass
class Manifest:
    made_at: str
    kind: str
    """`tenant` or `all`."""
    postgresql: int
    public_version: dict[str, str]
    master_key: str
    """A fingerprint, to refuse a deployment that could open nothing of it."""
    tenants: list[TenantPart] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """In backups of earlier releases: storages whose files are not in here."""
    platform_tables: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    format: int = FORMAT

    def tenant(self, wanted: str) -> TenantPart | None:
        """By id or slug."""
        return next((one for one in self.tenants if wanted in (one.id, one.slug)), None)


def master_key_fingerprint() -> str:
    return hashlib.sha256(b"murima backup" + sealing.master_key(settings.MASTER_KEY)).hexdigest()[:16]


def seal(root: Path, manifest: Manifest) -> None:
    """Note every file's hash and write the manifest, last."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            manifest.files[str(path.relative_to(root))] = {
                "sha256": digest(path),
                "bytes": path.stat().st_size,
            }
    (root / NAME).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")


def load(root: Path) -> Manifest:
    """Exit when there is none, or it is of another format."""
    try:
        said = json.loads((root / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Exit(f"There is no backup at {root}.", why=f"{NAME} is missing.", code=Code.NOT_FOUND) from None
    except ValueError:
        raise Exit(f"{NAME} cannot be read.", why="It is no JSON.") from None
    if said.get("format") != FORMAT:
        raise Exit("This backup has another format.", why=f"{said.get('format')} instead of {FORMAT}.")
    return Manifest(**{**said, "tenants": [TenantPart(**one) for one in said["tenants"]]})


def verify(root: Path, manifest: Manifest) -> None:
    """Exit that names the first file that is missing, changed, or was not there."""
    present = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {NAME}
    for name in sorted(present ^ manifest.files.keys()):
        raise Exit(
            "The backup is not whole.", why=f"{name} is {'unknown' if name in present else 'missing'}."
        )
    for name, noted in sorted(manifest.files.items()):
        if digest(root / name) != noted["sha256"]:
            raise Exit("The backup is damaged.", why=f"{name} is not what it was when it was written.")


def digest(path: Path) -> str:
    made = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            made.update(chunk)
    return made.hexdigest()
