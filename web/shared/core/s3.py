"""Files in a bucket of S3, or of a server that speaks its protocol.

django-storages does the talking; here are the manners. Every request has a time to connect and to answer,
is tried TRIES times with a jittered pause where trying again can help, and all requests of one operation
together end by DEADLINE_SECONDS. What fails for whatever reason is a StorageAway: nothing was kept, nothing
is half there (an object appears whole), and the caller may try again under the same name.

A file is fetched whole before it is handed on, into memory and from SPOOL_BYTES on into an unnamed temporary
file, because an answer that has begun cannot become a 503. Deleting removes every version that the bucket
keeps of a name: an erasure that leaves an older version would be none. Objects are never handed out by URLs
of the bucket; ours are asked each time whether their holder may still have the file (files.py).
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from django.core.files import File
from storages.backends.s3 import S3Storage

from web.shared.core.files import StorageAway

CONNECT_SECONDS, READ_SECONDS, DEADLINE_SECONDS = 2.0, 5.0, 20.0
TRIES = 3
PAUSE_SECONDS = (0.05, 0.4)
CHUNK = 1 << 16
SPOOL_BYTES = 1 << 20
_MISSING = ("404", "NoSuchKey", "NotFound")

log = structlog.get_logger("murima.storage")


class Bucket(S3Storage):  # type: ignore[misc, unused-ignore]
    """A storage for STORAGES; `options` as django-storages has them."""

    def __init__(self, **options: Any) -> None:
        manners = {
            "file_overwrite": False,
            "transfer_config": TransferConfig(use_threads=False),
            "client_config": Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": TRIES},
                # Servers that are not Amazon's know no trailing checksums; a version's SHA-256 is in its row.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"} if options.get("endpoint_url") else None,
            ),
        }
        super().__init__(**{**manners, **options})
        self._ends = threading.local()

    @property
    def bucket(self) -> Any:
        """This thread's: boto3's resources are not to be shared between threads."""
        return self.connection.Bucket(self.bucket_name)

    @property
    def connection(self) -> Any:
        fresh = getattr(self._connections, "connection", None) is None
        made = super().connection
        if fresh:
            made.meta.client.meta.events.register("before-send.s3", self._in_time)
        return made

    def exists(self, name: str) -> bool:
        with self._manners():
            return bool(super().exists(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with self._manners(15):
            folders, files = super().listdir(name)
            return folders, files

    def get_modified_time(self, name: str) -> Any:
        with self._manners():
            return super().get_modified_time(name)

    def delete(self, name: str) -> None:
        """Every version of it; nothing happens when there is none."""
        with self._manners():
            for version in self.bucket.object_versions.filter(Prefix=name):
                if version.object_key == name:
                    version.delete()

    def _save(self, name: str, content: Any) -> str:
        content.seek(0)
        # The bare file: Django's is false while it has no name, and botocore sends nothing for what is false.
        body = getattr(content, "file", content)
        with self._manners():
            self.connection.meta.client.put_object(
                Bucket=self.bucket_name, Key=name, Body=body, ContentType="application/octet-stream"
            )
        return name

    def _open(self, name: str, mode: str = "rb") -> Any:
        if mode != "rb":
            raise ValueError("an object is written once, by save")
        with self._manners():
            try:
                spool = self._fetched(name)
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    raise FileNotFoundError(name) from None
                raise
        return File(spool, name)

    def _fetched(self, name: str, tries: int = TRIES) -> Any:
        """botocore tries a request again, but not an answer that breaks off in its body."""
        spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the answer closes it
        body = self.connection.meta.client.get_object(Bucket=self.bucket_name, Key=name)["Body"]
        try:
            for chunk in body.iter_chunks(CHUNK):
                self._in_time()
                spool.write(chunk)
        except (BotoCoreError, HTTPClientError):
            spool.close()
            if tries == 1:
                raise
            time.sleep(random.uniform(*PAUSE_SECONDS))
            return self._fetched(name, tries - 1)
        spool.seek(0)
        return spool

    # --- manners --------------------------------------------------------------------------------------------

    @contextmanager
    def _manners(self, times: int = 1) -> Iterator[None]:
        """One operation: its deadline (a list of many pages gets several times the usual one), and one kind
        of failure."""
        self._ends.at = time.monotonic() + times * DEADLINE_SECONDS
        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error) as error:
            said = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            log.warning("storage_away", reason=said or type(error).__name__)
            raise StorageAway() from error
        except StorageAway:
            log.warning("storage_away", reason="deadline")
            raise
        finally:
            self._ends.at = None

    def _in_time(self, **_: Any) -> None:
        """Asked before each request that goes out, tries included, and for each part that comes in."""
        at = getattr(self._ends, "at", None)
        if at is not None and time.monotonic() > at:
            raise StorageAway()
