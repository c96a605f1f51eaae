"""Where the bytes lie: Django's storage "documents", a folder or S3, under names that we generate.

A name is `<tenant>/documents/<uuid>`: it says whose it is and nothing else. Nothing from outside becomes part
of it, so there is nothing to traverse; `_checked` refuses whatever does not have exactly that form. A bucket
that does not answer raises StorageAway, in a time that ends.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any, BinaryIO

from django.core.files import File
from django.core.files.storage import Storage, storages

from web.shared.tenants.context import current_tenant_id

AREA = "documents"
_NAME = re.compile(r"t_[a-z0-9]{12}/documents/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def store(file: BinaryIO, version: uuid.UUID) -> str:
    """Write the bytes of a version of the tenant chosen now; returns their name."""
    name = _checked(f"{current_tenant_id()}/documents/{version}")
    stored = _storage().save(name, File(file))
    if stored != name:  # the storage found something under this name and chose another
        _storage().delete(stored)
        raise FileExistsError("a version's bytes are written once")
    return name


def open_bytes(name: str) -> Any:
    """A file object; FileNotFoundError when the bytes are gone (erased)."""
    return _storage().open(_checked(name), "rb")


def remove(name: str) -> None:
    """Delete the bytes; nothing happens when they are gone."""
    if name:
        _storage().delete(_checked(name))


def names() -> set[str]:
    """The names of everything that this tenant has here."""
    folder = f"{current_tenant_id()}/{AREA}"
    try:
        _, files = _storage().listdir(folder)
    except FileNotFoundError:
        return set()
    return {name for name in (f"{folder}/{file}" for file in files) if _NAME.fullmatch(name)}


def written_before(name: str, moment: datetime) -> bool:
    """Whether the bytes are there and older than `moment`."""
    try:
        return bool(_storage().get_modified_time(_checked(name)) < moment)
    except FileNotFoundError:
        return False


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or not name.startswith(f"{current_tenant_id()}/"):
        raise ValueError("not the name of a document of this tenant")
    return name


def _storage() -> Storage:
    return storages[AREA]
