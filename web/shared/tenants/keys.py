"""Names in shared stores (Redis, cache, channel groups), each carrying its tenant.

One helper spells them, so that no two tenants can ever meet in one key. `PUBLIC` stands for what belongs to
no tenant. Parts are joined with colons; a part that holds a colon or a control character is refused.
"""

from __future__ import annotations

from typing import Any, cast

from web.shared.tenants.ids import PUBLIC, as_tenant_id


def redis_key(tenant_id: str, *parts: str) -> str:
    """`murima:<tenant>:<part>:...`"""
    owner = PUBLIC if tenant_id == PUBLIC else as_tenant_id(tenant_id)
    for part in parts:
        if not part or not part.isprintable() or ":" in part or " " in part:
            raise ValueError("a key's part must be printable, without colon or space")
    return ":".join(("murima", owner, *parts))


def cache_key(key: str, key_prefix: str, version: int) -> str:
    """Django's cache: every key is prefixed with the schema chosen in this thread; without one it raises."""
    from django.db import connection

    schema = cast(Any, connection).schema_name
    if schema is None:
        raise RuntimeError("A cache key needs a tenant: use tenant_context() or public_context().")
    return f"murima:{schema}:cache:{version}:{key}"
