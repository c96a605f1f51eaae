"""Files that lie on no disk of ours, in a backup: under the names that they would have on a disk.

So a backup taken from a bucket can be restored to a folder, and the other way round. Names are UUIDs and what
stands under one is never written again: what is there already is what the backup has, a restore only adds,
takes away again what it added when it fails, and once it stands removes what the backup does not know.
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from django.core.files import File
from django.core.files.storage import Storage

from web.shared.core import files
from web.shared.core.exits import Code, Exit

Found = TypeVar("Found")
_PLAIN = re.compile(r"[a-z][a-z0-9_-]{0,31}/[0-9a-f-]{36}")


def present(tenant_id: str) -> Iterator[tuple[str, Storage]]:
    """(area/uuid, storage) of everything that the tenant has elsewhere."""
    for area, storage in sorted(files.elsewhere().items()):
        _, names = _or_exit(partial(storage.listdir, f"{tenant_id}/{area}"))
        yield from ((f"{area}/{name}", storage) for name in sorted(names))


def add(tar: tarfile.TarFile, tenant_id: str) -> None:
    for name, storage in present(tenant_id):
        try:
            with _or_exit(partial(storage.open, f"{tenant_id}/{name}")) as file:
                member = tarfile.TarInfo(name)
                member.size = file.seek(0, io.SEEK_END)
                file.seek(0)
                tar.addfile(member, file)
        except FileNotFoundError:
            continue  # erased while we were at it


def takes(name: str) -> bool:
    """Whether a member of a backup's files is to go elsewhere."""
    return name.partition("/")[0] in files.elsewhere()


def restore(source: Path, tenant_id: str) -> Callable[[], None]:
    """Bring what a backup has and is not there; returns what takes it away again."""
    written: list[tuple[Storage, str]] = []

    def back() -> None:
        for storage, name in written:
            storage.delete(name)

    try:
        with tarfile.open(source) as tar:
            for member in tar:
                if takes(member.name):
                    written += _bring(tar, member, tenant_id)
    except BaseException:
        back()
        raise
    return back


def _bring(tar: tarfile.TarFile, member: tarfile.TarInfo, tenant_id: str) -> list[tuple[Storage, str]]:
    content = tar.extractfile(member) if member.isreg() and _PLAIN.fullmatch(member.name) else None
    if content is None:
        raise Exit(
            "The backup's files hold something that is no plain file.",
            why="A name that is not one of ours.",
            next_step="Take another backup: this one was changed.",
        )
    storage = files.elsewhere()[member.name.partition("/")[0]]
    name = f"{tenant_id}/{member.name}"
    if _or_exit(partial(storage.exists, name)):
        return []
    # A copy: a member's file shows the length of the whole archive to whoever asks its descriptor.
    with tempfile.SpooledTemporaryFile(max_size=1 << 20) as body:
        shutil.copyfileobj(content, body)
        _or_exit(partial(storage.save, name, File(body)))
    return [(storage, name)]


def forget_others(source: Path, tenant_id: str) -> None:
    """Remove what the backup does not have: it was written after it."""
    with tarfile.open(source) as tar:
        kept = {member.name for member in tar}
    for name, storage in list(present(tenant_id)):
        if name not in kept:
            _or_exit(partial(storage.delete, f"{tenant_id}/{name}"))


def _or_exit(ask: Callable[[], Found]) -> Found:
    try:
        return ask()
    except files.StorageAway as away:
        raise Exit(
            "Where files are kept does not answer.",
            why=type(away.__cause__).__name__,
            next_step="see MURIMA_DOCUMENT_BUCKET and MURIMA_DOCUMENT_S3_…, then try again",
            code=Code.DEPENDENCY,
        ) from away
