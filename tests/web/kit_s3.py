"""A real HTTP server that speaks S3 (moto), in its own process, and a bucket behind our real settings."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from django.core.files.storage import storages

from config import storage

BUCKET = "murima-documents"
WORDS = ("MURIMA_DOCUMENT_S3_KEY_ID", "MURIMA_DOCUMENT_S3_SECRET")


class Server:
    """`stop` and `start` keep the port, not the data; `pause` holds it as a hanging server is held."""

    def __init__(self, log: Path, *, asks_who: bool) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._log, self._asks_who = log, asks_who
        self._process: subprocess.Popen[bytes] | None = None
        self.key, self.secret = "AKIAIOSFODNN7EXAMPLE", "not-looked-at"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        # moto lets so many requests in unasked: those that make the user, key, rights and bucket.
        unasked = {"INITIAL_NO_AUTH_ACTION_COUNT": "4"} if self._asks_who else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=self._log.open("ab"), stderr=subprocess.STDOUT, env=os.environ | unasked,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.05)
        if self._asks_who:
            people = self.client("iam")
            people.create_user(UserName="murima")
            given = people.create_access_key(UserName="murima")["AccessKey"]
            allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
            rights = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
            people.put_user_policy(UserName="murima", PolicyName="s3", PolicyDocument=rights)
            self.key, self.secret = given["AccessKeyId"], given["SecretAccessKey"]
        self.client("s3").create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self, service: str = "s3") -> Any:
        """Straight to the server, past everything of ours."""
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=self.key,
            aws_secret_access_key=self.secret, config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

    def names(self) -> list[str]:
        """The objects that are there."""
        return sorted(one["Key"] for one in self.client().list_objects_v2(Bucket=BUCKET).get("Contents", []))

    def versions(self) -> int:
        return len(self.client().list_object_versions(Bucket=BUCKET).get("Versions", []))


@contextmanager
def server(log: Path, *, asks_who: bool = False) -> Iterator[Server]:
    made = Server(log, asks_who=asks_who)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def use(made: Server, settings: Any, monkeypatch: Any, **changed: str) -> None:
    """Have documents lie in the server's bucket, as a deployment's environment would say it."""
    said = {
        "MURIMA_DOCUMENT_BUCKET": BUCKET,
        "MURIMA_DOCUMENT_S3_URL": made.url,
        "MURIMA_DOCUMENT_S3_REGION": "us-east-1",
        **dict(zip(WORDS, (made.key, made.secret), strict=True)),
        **changed,
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    settings.STORAGES = {**settings.STORAGES, "documents": storage.documents()}
    assert type(storages["documents"]).__name__ == "Bucket"
