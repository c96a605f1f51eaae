"""Fixtures for everything that touches Django: two tenants, people, API clients.

Other test packages get them by `from tests.web.fixtures import *` in their conftest.py. The database is the
one that the environment names (the test stack's), migrated once per run as the owner; tests run as the
application's role.

    @pytest.mark.django_db                      # rolled back at the end
    def test_x(tenant, make_user, api): ...     # the body runs inside `tenant`

    @pytest.mark.django_db(transaction=True)    # for threads and async code: all is emptied afterwards
    async def test_y(tenants): ...              # choose: tenant_db(tenants[0].pk, fn)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.management import call_command
from rest_framework.test import APIClient

__all__ = [
    "ApiClient",
    "api",
    "clean_redis",
    "django_db_setup",
    "make_user",
    "other_tenant",
    "tenant",
    "tenants",
]

TENANTS = (("t_mto000000000", "mto"), ("t_ziwa00000000", "ziwa"))
PASSWORD = "a long enough password"


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> None:
    """Migrations and the two tenants' schemas, once per run. Takes the place of pytest-django's own."""
    from config.env import KIND

    assert KIND == "test", "tests empty the database they are given: MURIMA_ENV must be test"
    with django_db_blocker.unblock():
        call_command("migrate_schemas", shared=True, interactive=False, verbosity=0)
        _tenant_rows(with_schema=True)


def _tenant_rows(*, with_schema: bool = False) -> list[Any]:
    """The two tenants' rows, hosts and roles, made when missing; and their schemas, when asked."""
    from web.shared.accounts.roles import role_rows_sync
    from web.shared.tenants.context import public_context
    from web.shared.tenants.models import Domain, Tenant, TenantStatus
    from web.shared.tenants.services import host_of, schema_prepare

    rows = []
    for pk, slug in TENANTS:
        with public_context():
            row, _ = Tenant.objects.get_or_create(
                pk=pk, defaults={"name": slug.title(), "status": TenantStatus.ACTIVE}
            )
            Domain.objects.get_or_create(domain=host_of(slug), defaults={"tenant": row, "slug": slug})
        if with_schema:
            schema_prepare(row)
        with public_context():
            role_rows_sync(row)
        rows.append(row)
    return rows


@pytest.fixture
def tenants(request: pytest.FixtureRequest) -> list[Any]:
    """The two tenants, active, with their default roles. Nothing is chosen: tenant_context, tenant_db."""
    from web.shared.core import keys

    marker = request.node.get_closest_marker("django_db")
    transaction = marker is not None and marker.kwargs.get("transaction")
    request.getfixturevalue("transactional_db" if transaction else "db")
    keys._rings.clear()  # the last test's keys went with its rows
    return _tenant_rows()


@pytest.fixture
def tenant(tenants: list[Any]) -> Iterator[Any]:
    """The first tenant; the test's body runs inside it."""
    from web.shared.tenants.context import tenant_context

    with tenant_context(tenants[0].pk):
        yield tenants[0]


@pytest.fixture
def other_tenant(tenants: list[Any]) -> Any:
    """The second tenant, whose rows nobody of the first may ever see."""
    return tenants[1]


@pytest.fixture
def make_user(tenants: list[Any]) -> Callable[..., Any]:
    """`make_user("supervisor")` → a User with that role in the first tenant (or `tenant=`), with PASSWORD."""
    from web.shared.accounts.services import membership_ensure, user_ensure
    from web.shared.core.actor import system
    from web.shared.tenants.context import public_context

    count = itertools.count(1)

    def make(role: str = "agent", *, tenant: Any = None, email: str = "", name: str = "") -> Any:
        owner, actor = tenant or tenants[0], system("tests")
        address = email or f"{role}{next(count)}@{owner.name.lower()}.example"
        with public_context():
            user = user_ensure(actor=actor, email=address, name=name or role.title(), password=PASSWORD)
            membership_ensure(actor=actor, user=user, tenant_id=owner.pk, role=role)
        return user

    return make


class ApiClient(APIClient):
    """A client on one tenant's host; bodies are JSON."""

    def __init__(self, host: str, **kwargs: Any) -> None:
        super().__init__(HTTP_HOST=host, **kwargs)
        self.host = host

    def sign_in(self, user: Any, tenant_id: str) -> ApiClient:
        """A session as POST /auth/session/ makes it, without the password's cost."""
        from django.conf import settings

        from web.shared.accounts.session_store import TENANT_KEY, SessionStore
        from web.shared.tenants.context import public_context

        with public_context():
            store = SessionStore()
            store[SESSION_KEY] = str(user.pk)
            store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            store[HASH_SESSION_KEY] = user.get_session_auth_hash()
            store[TENANT_KEY] = tenant_id
            store.save()
        self.cookies[settings.SESSION_COOKIE_NAME] = store.session_key or ""
        return self


@pytest.fixture
def api(tenants: list[Any]) -> Callable[..., ApiClient]:
    """`api(user)` → a signed-in client on the first tenant's host (or `tenant=`); `api()` → nobody."""
    from web.shared.tenants.services import host_of

    slugs = dict(TENANTS)

    def make(user: Any = None, *, tenant: Any = None, **kwargs: Any) -> ApiClient:
        owner = tenant or tenants[0]
        client = ApiClient(host_of(slugs[owner.pk]), **kwargs)
        return client if user is None else client.sign_in(user, owner.pk)

    return make


@pytest.fixture
def clean_redis() -> Iterator[Any]:
    """The test stack's Redis, emptied before and after."""
    from web.shared.core.stores import redis_client

    client = redis_client()
    client.flushdb()
    yield client
    client.flushdb()
