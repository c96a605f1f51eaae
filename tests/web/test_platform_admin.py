"""Django's admin: the platform's host only, platform administrators only, shared tables only, audited."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.test import Client

from tests.web.fixtures import PASSWORD
from web.shared.accounts.models import PlatformRole, User
from web.shared.core import audit
from web.shared.core.actor import system
from web.shared.core.models import PlatformAuditEvent
from web.shared.tenants.context import public_context

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.redis]


@pytest.fixture
def root(tenants: Any, clean_redis: Any) -> Any:
    with public_context():
        user = User.objects.create_user("root@platform.example", PASSWORD, is_platform_admin=True)
        PlatformRole.objects.create(user=user, role="super_admin")
    return user


@pytest.fixture
def site(root: Any) -> Client:
    """A browser that signed in through the admin's own form."""
    client = Client(headers={"host": "localhost"})
    answer = client.post(
        "/admin/login/?next=/admin/", {"username": "Root@Platform.example", "password": PASSWORD}
    )
    assert answer.status_code == 302, answer.content
    return client


def test_every_page_opens_on_the_platforms_host_and_none_on_a_tenants(site: Client, root: Any) -> None:
    with public_context():
        audit.record(actor=system("tests"), action="canary", object_type="x", object_id="1")
    assert site.get("/admin/").status_code == 200
    for model in admin.site._registry:
        page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert site.get(page).status_code == 200, page
        assert site.get(f"{page}add/").status_code == 403, page
        elsewhere = Client(headers={"host": "mto.localhost"})
        elsewhere.cookies = site.cookies
        assert elsewhere.get(page).status_code == 404
    assert root.password not in site.get(f"/admin/accounts/user/{root.pk}/change/").content.decode()
    # Passwords are changed where sessions are ended with them.
    assert site.get("/admin/password_change/").status_code == 404


def test_nothing_of_a_tenant_and_no_secret_is_registered() -> None:
    registered = set(admin.site._registry)
    assert len(registered) > 10
    for config in apps.get_app_configs():
        if config.name in settings.TENANT_APPS:
            assert not registered & set(config.get_models())
    names = {model.__name__ for model in registered}
    assert not names & {"Session", "RefreshToken", "TokenFamily", "Authenticator", "RecoveryCode", "APIKey"}


def test_what_may_be_changed_is_audited_and_histories_may_not(site: Client, tenants: Any) -> None:
    tenant = tenants[0]
    page = f"/admin/tenants/tenant/{tenant.pk}/change/"
    values = {
        "name": "Mto wa Mbu", "sector": "health", "subscription_plan": "basic", "region": "KE",
        "time_zone": "Africa/Nairobi", "language": "en", "status": "suspended",
    }  # fmt: skip
    assert site.post(page, values).status_code == 302
    with public_context():
        tenant.refresh_from_db()
        assert tenant.name == "Mto wa Mbu" and tenant.status == "active"
        row = PlatformAuditEvent.objects.get(action="update", object_id=tenant.pk)
        assert row.changes == {"fields": ["name", "sector"]} and row.process == "admin"
    event = f"/admin/core/platformauditevent/{row.pk}/"
    assert site.get(f"{event}change/").status_code == 200
    assert site.post(f"{event}change/", {"action": "x"}).status_code == 403
    assert site.post(f"{event}delete/", {"post": "yes"}).status_code == 403
    assert site.post(f"/admin/tenants/tenant/{tenant.pk}/delete/", {"post": "yes"}).status_code == 403


def test_who_runs_nothing_or_guesses_does_not_get_in(root: Any, make_user: Any) -> None:
    user = make_user("admin")
    client = Client(headers={"host": "localhost"})
    for email, password in ((user.email, PASSWORD), ("root@platform.example", "wrong"), ("", "")):
        answer = client.post("/admin/login/?next=/admin/", {"username": email, "password": password})
        assert answer.status_code == 200
        assert client.get("/admin/").status_code == 302
    with public_context():
        User.objects.filter(pk=root.pk).update(is_platform_admin=False)
    answer = client.post(
        "/admin/login/?next=/admin/", {"username": "root@platform.example", "password": PASSWORD}
    )
    assert answer.status_code == 200


def test_a_second_factor_is_not_walked_around(root: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("web.shared.platform_admin.admin.policy.has_factor", lambda user: True)
    client = Client(headers={"host": "localhost"})
    answer = client.post(
        "/admin/login/?next=/admin/", {"username": "root@platform.example", "password": PASSWORD}
    )
    assert answer.status_code == 200 and b"second factor" in answer.content
    assert client.get("/admin/").status_code == 302
