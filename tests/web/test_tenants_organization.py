"""One's own organisation: read by members, changed with a permission, its settings by their schema."""

from __future__ import annotations

from typing import Any

import pytest

from web.shared.records.models import AuditEvent
from web.shared.tenants import organization_settings
from web.shared.tenants.context import tenant_context

pytestmark = [pytest.mark.django_db, pytest.mark.database]
URL = "/api/v1/organization/"


def test_members_read_it_and_only_who_may_change_it_does(api: Any, make_user: Any, tenants: Any) -> None:
    assert api().get(URL).status_code == 401
    read = api(make_user("viewer")).get(URL)
    assert read.status_code == 200 and read.json()["id"] == tenants[0].pk
    assert api(make_user("viewer")).get(URL, HTTP_IF_NONE_MATCH=read["ETag"]).status_code == 304
    refused = api(make_user("supervisor")).patch(URL, {"name": "x"}, HTTP_IF_MATCH=read["ETag"])
    assert refused.status_code == 403 and refused.json()["permission"] == "settings.manage"
    admin = api(make_user("admin"))
    assert admin.patch(URL, {"name": "Mto wa Mbu"}).status_code == 428
    done = admin.patch(
        URL, {"name": "Mto wa Mbu", "language": "sw", "region": "TZ"}, HTTP_IF_MATCH=read["ETag"]
    )
    assert done.status_code == 200, done.content
    assert done.json()["name"] == "Mto wa Mbu" and done.json()["language"] == "sw"
    assert admin.patch(URL, {"name": "y"}, HTTP_IF_MATCH=read["ETag"]).status_code == 412
    other = api(make_user("admin", tenant=tenants[1]), tenant=tenants[1]).get(URL).json()
    assert other["id"] == tenants[1].pk and other["language"] == "en"
    with tenant_context(tenants[0].pk):
        row = AuditEvent.objects.get(action="update", object_type="tenants.tenant")
    assert row.changes == {"fields": ["language", "name", "region"]}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"settings": {"nonsense": 1}}, "/settings"),
        ({"settings": {"privacy.retention_days": 1}}, "/settings"),
        ({"settings": {"privacy.mask_numbers": "yes"}}, "/settings"),
        ({"settings": []}, "/settings"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"language": "xx"}, "/language"),
        ({"region": "Kenya"}, "/region"),
        ({"name": ""}, "/name"),
        ({"slug": "other"}, "/slug"),
        ({"subscription_plan": "gold"}, "/subscription_plan"),
        ({"status": "active"}, "/status"),
    ],
)
def test_what_is_not_an_organisations_to_say_is_refused(
    api: Any, make_user: Any, tenants: Any, body: Any, pointer: str
) -> None:
    admin = api(make_user("admin"))
    before = admin.get(URL)
    answer = admin.patch(URL, body, HTTP_IF_MATCH=before["ETag"])
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert admin.get(URL).json() == before.json()


def test_settings_are_kept_and_read_with_their_defaults(api: Any, make_user: Any, tenants: Any) -> None:
    admin = api(make_user("admin"))
    assert organization_settings.read(tenants[0], "privacy.retention_days") == 3650
    said = {"privacy.retention_days": 365, "organization.website": "https://mto.example"}
    done = admin.patch(URL, {"settings": said}, HTTP_IF_MATCH=admin.get(URL)["ETag"])
    assert done.status_code == 200 and done.json()["settings"] == said
    assert "privacy.mask_numbers" in done.json()["settings_schema"]["properties"]
    with pytest.raises(ValueError, match="twice"):
        organization_settings.setting("privacy.retention_days", {"type": "string"})
