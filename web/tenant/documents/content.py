"""What a file is, by its content; its name and the browser's word are not asked.

`examine` looks at the bytes and returns the type under which they will be served, or refuses: a type that is
not in ALLOWED, a program or a page in disguise, an archive that unpacks to a bomb, a picture of too many
pixels. What passes is still served as an attachment in a sandbox (api/views.py): a check can be fooled, a
browser that only saves cannot run anything.
"""

from __future__ import annotations

import codecs
import hashlib
import warnings
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

import puremagic
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 50_000_000
MAX_UNPACKED = 500_000_000
MAX_RATIO = 200
MAX_MEMBERS = 5_000
HEAD = 4096
CHUNK = 1 << 20

_OFFICE = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_PICTURES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp",
             "TIFF": "image/tiff", "BMP": "image/bmp"}  # fmt: skip
ALLOWED = frozenset(
    {
        "application/pdf", "application/zip", "application/rtf", "text/plain", "text/csv",
        "audio/mpeg", "audio/wav", "audio/ogg", "audio/mp4", "audio/flac", "video/mp4", "video/webm",
        "message/rfc822", *_PICTURES.values(), *_OFFICE.values(),
        *(_OPEN_DOCUMENT + kind for kind in ("text", "spreadsheet", "presentation")),
    }
)  # fmt: skip
_SAME = {"audio/x-wav": "audio/wav", "audio/wave": "audio/wav", "text/rtf": "application/rtf",
         "audio/mp3": "audio/mpeg", "audio/x-flac": "audio/flac", "application/ogg": "audio/ogg",
         "audio/x-m4a": "audio/mp4", "video/x-m4v": "video/mp4"}  # fmt: skip
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"#!")
_PAGES = (b"<!doctype", b"<html", b"<script", b"<svg", b"<?xml", b"<?php", b"<iframe", b"<body", b"<%")


class Unacceptable(ValueError):
    """Why a file is refused; `code` is stable, the text is for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Examined:
    mime_type: str
    size: int
    sha256: str


def examine(file: BinaryIO) -> Examined:
    """The type, size and hash of `file`, which is left at its beginning. Raises Unacceptable."""
    size, digest = _measure(file)
    if size == 0:
        raise Unacceptable("empty", "The file is empty.")
    mime_type = _type_of(file)
    file.seek(0)
    if mime_type not in ALLOWED:
        raise Unacceptable("type_not_allowed", "Files of this kind are not accepted.")
    return Examined(mime_type, size, digest)


def _measure(file: BinaryIO) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def _type_of(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(HEAD)
    if head.startswith(_PROGRAMS):
        raise Unacceptable("program", "Programs and scripts are not accepted.")
    if head.startswith(b"PK"):
        return _archive(file)
    if (picture := _picture(file)) is not None:
        return picture
    if (text := _text(file, head)) is not None:
        return text
    return _by_signature(head)


def _by_signature(head: bytes) -> str:
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head[4:8] == b"ftyp":
        return "audio/mp4" if head[8:11] == b"M4A" else "video/mp4"
    try:
        found = puremagic.from_string(head, mime=True)
    except (puremagic.PureError, ValueError):
        return ""
    return _SAME.get(found, found)


def _picture(file: BinaryIO) -> str | None:
    """The picture's type by its header alone: nothing is decoded before the pixels are counted."""
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=list(_PICTURES)) as picture:
                width, height, kind = *picture.size, str(picture.format)
    except Image.DecompressionBombError:
        raise Unacceptable("too_many_pixels", f"A picture of at most {MAX_PIXELS:,} pixels.") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None
    if width * height > MAX_PIXELS:
        raise Unacceptable("too_many_pixels", f"A picture of at most {MAX_PIXELS:,} pixels.")
    return _PICTURES[kind]


def _archive(file: BinaryIO) -> str:
    """A ZIP, or a document that is one. Sizes are the directory's own word; nothing is unpacked here."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise Unacceptable("archive_too_large", f"At most {MAX_MEMBERS:,} files in an archive.")
            unpacked = sum(member.file_size for member in members)
            packed = max(1, sum(member.compress_size for member in members))
            if unpacked > MAX_UNPACKED or unpacked / packed > MAX_RATIO:
                raise Unacceptable("archive_bomb", "This archive unpacks to far more than it says.")
            names = [member.filename for member in members]
            if any("vbaProject" in name for name in names):
                raise Unacceptable("macros", "Documents with macros are not accepted.")
            return _kind_of_archive(archive, names)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        raise Unacceptable("damaged", "The archive is damaged.") from None


def _kind_of_archive(archive: zipfile.ZipFile, names: list[str]) -> str:
    if "[Content_Types].xml" in names:
        for folder, kind in _OFFICE.items():
            if any(name.startswith(folder) for name in names):
                return kind
    if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
        said = archive.read("mimetype").decode("ascii", "replace").strip()
        return said if said.startswith(_OPEN_DOCUMENT) else ""
    if any(name.startswith("META-INF/") or name.endswith((".exe", ".apk", ".jar")) for name in names):
        return ""
    return "application/zip"


def _text(file: BinaryIO, head: bytes) -> str | None:
    """Plain text, or None for what is none. Markup is refused: a browser could be talked into running it."""
    if b"\x00" in head or head.startswith((b"%PDF-", b"{\\rtf")):
        return None
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(CHUNK):
            if b"\x00" in chunk:
                return None
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    lowered = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if lowered.startswith(_PAGES) or any(page in lowered for page in _PAGES[:4]):
        raise Unacceptable("markup", "Web pages, SVG and other markup are not accepted.")
    if lowered.startswith((b"from:", b"received:", b"return-path:", b"delivered-to:")):
        return "message/rfc822"
    return "text/plain"
