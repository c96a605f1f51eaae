"""Beat seals the audit trails, and anchors each of them once a day."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import structlog
from celery import shared_task
from django.db import DatabaseError, ProgrammingError

from web.shared.core import sealer
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.everywhere import tenants_where
from web.shared.tenants.ids import PUBLIC
from web.shared.tenants.queries import tenant_ids

logger = structlog.get_logger(__name__)


@shared_task(name="audit.seal")  # type: ignore[untyped-decorator]
def seal_all() -> int:
    """Seal what is new in every schema; returns how many rows. One schema's trouble is not the others'."""
    total = 0
    for owner in [PUBLIC, *tenants_where(tenant_ids(active_only=False), (sealer.unsealed_in_tenant(), ()))]:
        with _inside(owner):
            if owner != PUBLIC or sealer.unsealed():
                total += sealer.seal()
    return total


@shared_task(name="audit.anchor")  # type: ignore[untyped-decorator]
def anchor_all() -> int:
    """Write today's anchors that are missing; returns how many."""
    written = 0
    for owner in [PUBLIC, *tenant_ids(active_only=False)]:
        with _inside(owner):
            written += sealer.anchor()
    return written


@contextlib.contextmanager
def _inside(owner: str) -> Iterator[None]:
    with public_context() if owner == PUBLIC else tenant_context(owner):
        try:
            yield
        except ProgrammingError:  # a tenant that is just being made has no tables yet
            pass
        except (DatabaseError, OSError) as error:
            logger.error("audit_not_sealed", tenant=owner, error=type(error).__name__)
