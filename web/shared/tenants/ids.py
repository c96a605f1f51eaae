"""The tenant's name for machines.

A TenantId is the schema's name: `t_` and twelve of [a-z0-9], generated, for ever. Nobody's text ever becomes
one, so it may be put in SQL identifiers, Redis keys, paths and group names. What people type (the slug)
lives only in hosts.
"""

from __future__ import annotations

import secrets
import string

from telephony.contract.ids import TenantId
from telephony.contract.ids import tenant_id as as_tenant_id

__all__ = ["PUBLIC", "TenantId", "as_tenant_id", "is_tenant_id", "new_tenant_id"]

PUBLIC = "public"
_ALPHABET = string.ascii_lowercase + string.digits


def new_tenant_id() -> TenantId:
    """A fresh id from 62 bits of chance; the primary key refuses the collision nobody will see."""
    return TenantId("t_" + "".join(secrets.choice(_ALPHABET) for _ in range(12)))


def is_tenant_id(text: str) -> bool:
    try:
        as_tenant_id(text)
    except ValueError:
        return False
    return True
