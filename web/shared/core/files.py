"""Where a tenant's files lie, and the URLs that lead to them for a few minutes.

A path is made of a TenantId, an area, a UUID and, where one thing has several files, a part: nothing that a
person typed ever becomes a file's name, so nothing can climb out of the tenant's directory. Whatever else is
given raises ValueError.

    MURIMA_HOME/data/tenants/<tenant>/<area>/<uuid>[/<part>]

An area may lie elsewhere: in a storage of Django's that has the area's name and is no folder (a bucket of
S3). The names there are the same, beginning with the tenant; `elsewhere` tells such areas to whoever counts,
backs up or restores, and StorageAway is what all of them raise when they cannot.

A signed URL is `/api/v1/<area>/files/<token>/`; the area's app answers that path with a view that calls
`verify`. The token is bound to tenant, area, id, part and expiry and names the user to whom it was given: the
view asks nobody to sign in, but must look whether that user still belongs here and may see the thing.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core import signing
from django.core.files.storage import FileSystemStorage, Storage, storages

from web.shared.tenants.ids import as_tenant_id

MODE = 0o700
UPLOADS = "uploads"
"""The area of request bodies on their way to something else; see `forget_uploads`."""
UPLOAD_SECONDS = 3600
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class StorageAway(OSError):
    """Where files lie elsewhere, somebody does not answer, or not us; nothing was kept or lost."""

    def __init__(self) -> None:
        super().__init__("Where files are kept does not answer. Nothing was changed; try again soon.")


def elsewhere() -> dict[str, Storage]:
    """Area → storage, of the areas whose files lie on no disk of ours."""
    named = {name: storages[name] for name in storages.backends}
    return {name: one for name, one in named.items() if not isinstance(one, FileSystemStorage)}


class BadToken(Exception):
    """Not ours, changed, of another tenant or area, or expired; which of them is not said."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a token says: the file, to whom the URL was given, and until when (seconds since the epoch)."""

    tenant_id: str
    area: str
    id: uuid.UUID
    part: str
    user_id: uuid.UUID | None
    expires: int


def tenant_root(tenant_id: str) -> Path:
    """The directory of all of a tenant's files: what a backup takes and a deleted tenant loses."""
    return Path(settings.HOME) / "data" / "tenants" / as_tenant_id(tenant_id)


def tenant_path(tenant_id: str, area: str, pk: uuid.UUID | str, part: str = "") -> Path:
    """The path of one thing's file. ValueError for anything but an id, a plain word, a UUID and a plain word.

    Nothing is created; see `make_room`.
    """
    path = tenant_root(tenant_id) / _word(area) / str(_uuid(pk))
    return path / _word(part) if part else path


def make_room(path: Path) -> Path:
    """Create the directories above `path`, for our own user's eyes only; returns `path`."""
    missing = []
    parent = path.parent
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for directory in reversed(missing):
        directory.mkdir(mode=MODE, exist_ok=True)
    return path


def forget_uploads(tenant_id: str) -> int:
    """Remove what a request that died has left among the uploads, after an hour; returns how many."""
    room = tenant_root(tenant_id) / UPLOADS
    old = [path for path in room.glob("*") if path.stat().st_mtime < time.time() - UPLOAD_SECONDS]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def signed_url(
    tenant_id: str,
    area: str,
    pk: uuid.UUID | str,
    user_id: uuid.UUID | None,
    seconds: int,
    *,
    part: str = "",
) -> str:
    """A path on the tenant's host that answers with the file for `seconds`."""
    said = [str(_uuid(pk)), part, None if user_id is None else str(user_id), int(time.time()) + seconds]
    token = signing.dumps(said, salt=_salt(tenant_id, area))
    return f"/api/v1/{area}/files/{token}/"


def verify(token: str, tenant_id: str, area: str) -> Signed:
    """What the token of a URL says, in the tenant of the request. Raises BadToken."""
    try:
        pk, part, user, expires = signing.loads(token, salt=_salt(tenant_id, area))
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadToken from error
    if expires < time.time():
        raise BadToken
    return Signed(tenant_id, area, uuid.UUID(pk), part, None if user is None else uuid.UUID(user), expires)


def _salt(tenant_id: str, area: str) -> str:
    return f"murima.files:{as_tenant_id(tenant_id)}:{_word(area)}"


def _word(text: str) -> str:
    if not isinstance(text, str) or _WORD.fullmatch(text) is None:
        raise ValueError("an area or part of a path is a short plain word")
    return text


def _uuid(value: uuid.UUID | str) -> uuid.UUID:
    """A UUID, or its own canonical text: other spellings of one would be other paths."""
    found = value if isinstance(value, uuid.UUID) else uuid.UUID(value)
    if str(found) != str(value):
        raise ValueError("not a UUID in its usual spelling")
    return found
