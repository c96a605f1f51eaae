"""Where documents lie: a folder, or a bucket of S3 when MURIMA_DOCUMENT_BUCKET names one.

MURIMA_DOCUMENT_S3_URL is the endpoint of a server that is not Amazon's, MURIMA_DOCUMENT_S3_REGION its region;
MURIMA_DOCUMENT_S3_KEY_ID and MURIMA_DOCUMENT_S3_SECRET sign requests, and without them whatever the machine
has (an instance's role, AWS_… variables). The packages for it are in requirements/s3.txt.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config.env import HOME, env


def documents() -> dict[str, Any]:
    """The entry "documents" of STORAGES. Names begin with the tenant: see web/tenant/documents/storage.py."""
    bucket = env.str("MURIMA_DOCUMENT_BUCKET", default="")
    return _bucket(bucket) if bucket else _folder()


def _folder() -> dict[str, Any]:
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": HOME / "data" / "tenants",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    }


def _bucket(name: str) -> dict[str, Any]:
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ImproperlyConfigured(
            "MURIMA_DOCUMENT_BUCKET is set and the packages for S3 are not installed: "
            "pip install --require-hashes -r requirements/s3.txt"
        )
    said = {
        "endpoint_url": env.str("MURIMA_DOCUMENT_S3_URL", default=""),
        "region_name": env.str("MURIMA_DOCUMENT_S3_REGION", default=""),
        "access_key": env.str("MURIMA_DOCUMENT_S3_KEY_ID", default=""),
        "secret_key": env.str("MURIMA_DOCUMENT_S3_SECRET", default=""),
    }
    if bool(said["access_key"]) != bool(said["secret_key"]):
        raise ImproperlyConfigured(
            "MURIMA_DOCUMENT_S3_KEY_ID and MURIMA_DOCUMENT_S3_SECRET are set together or not at all."
        )
    options = {"bucket_name": name, **{key: value for key, value in said.items() if value}}
    return {"BACKEND": "web.shared.core.s3.Bucket", "OPTIONS": options}
