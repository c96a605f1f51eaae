"""What a ModelBody may say about its fields: expanded, sensitive, merged; and who read a row is written."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from web.shared.api.schema import _or_null
from web.shared.api.serializers import ModelBody, merge
from web.shared.core import services as base
from web.shared.core.actor import system
from web.shared.core.viewer import everything
from web.shared.records.models import AuditEvent
from web.tenant.calls.api.serializers import CallBody
from web.tenant.contacts.api.serializers import ContactBody
from web.tenant.contacts.api.views import ContactViewSet
from web.tenant.contacts.models import Contact

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
URL = "/api/v1/contacts/"


class Summary(ModelBody):
    expand_code = "contacts.view"

    class Meta:
        model = Contact
        fields = ["id", "first_name"]


class Pointing(ModelBody):
    """Stands for a row that points at contacts: by id, by {"id"}, and by a list."""

    expandable = dict.fromkeys(
        ("contact", "named", "several", "nothing"), "tests.web.test_api_fields.Summary"
    )
    contact = serializers.UUIDField(source="pk", read_only=True)
    named = serializers.SerializerMethodField()
    several = serializers.SerializerMethodField()
    nothing = serializers.SerializerMethodField()

    class Meta:
        model = Contact
        fields = ["contact", "named", "several", "nothing"]

    def get_named(self, row: Contact) -> dict[str, str]:
        return {"id": str(row.pk), "name": "x"}

    def get_several(self, row: Contact) -> list[str]:
        return [str(row.pk), "01900000-0000-7000-8000-000000000000"]

    def get_nothing(self, row: Contact) -> None:
        return None


def contact(name: str = "Amina", **values: Any) -> Contact:
    return base.create(Contact, actor=ACTOR, values={"first_name": name, **values})


def asked(**extra: Any) -> dict[str, Any]:
    return {"viewer": everything(), "expand": ("contact", "named", "several", "nothing"), **extra}


def test_ids_become_objects_with_as_many_queries_for_a_page_as_for_one_row(tenant):
    rows = [contact("Amina"), contact("Asha"), contact("Juma")]
    with CaptureQueriesContext(connection) as for_one:
        one = Pointing(rows[0], context=asked()).data
    with CaptureQueriesContext(connection) as for_all:
        page = Pointing(rows, many=True, context=asked()).data
    assert len(for_one) == len(for_all) <= 6
    amina = {"id": str(rows[0].pk), "first_name": "Amina"}
    assert one["contact"] == amina and one["named"] == amina and one["nothing"] is None
    assert one["several"] == [amina, "01900000-0000-7000-8000-000000000000"]
    assert [item["contact"]["first_name"] for item in page] == ["Amina", "Asha", "Juma"]


def test_who_may_not_see_the_object_keeps_the_id(tenant):
    row = contact()
    nobody = Pointing(row, context={"expand": ("contact", "named")}).data
    assert str(nobody["contact"]) == str(row.pk) and nobody["named"]["name"] == "x"
    base.soft_delete(row, actor=ACTOR)
    assert str(Pointing(row, context=asked()).data["contact"]) == str(row.pk)


def test_expand_is_an_allow_list(tenant, make_user, api):
    client = api(make_user("agent"))
    for text in ("nonsense", "contact__created_by", "first_name", "a,b,c,d,e,f"):
        answer = client.get(f"/api/v1/calls/?expand={text}")
        assert answer.status_code == 400, text
        assert answer.json()["errors"][0]["pointer"] == "?expand"


def test_a_list_expands_over_http(tenant, make_user, api, monkeypatch):
    monkeypatch.setattr(ContactBody, "expandable", {"id": "tests.web.test_api_fields.Summary"})
    row = contact()
    client = api(make_user("agent"))
    assert client.get(f"{URL}?expand=id").json()["data"][0]["id"]["first_name"] == "Amina"
    assert client.get(f"{URL}{row.pk}/?expand=id").json()["id"]["first_name"] == "Amina"
    assert client.get(f"{URL}{row.pk}/").json()["id"] == str(row.pk)


@pytest.fixture
def secret(monkeypatch):
    """`organization` is sensitive here, for holders of contacts.delete: a supervisor, not an agent."""
    monkeypatch.setattr(ContactBody, "sensitive", {"organization": "contacts.delete"})
    monkeypatch.setattr(ContactViewSet, "audited_read", True)
    monkeypatch.setattr(
        ContactViewSet, "sort_fields", {**ContactViewSet.sort_fields, "organization": "organization"}
    )
    filters = ContactViewSet.filters
    monkeypatch.setattr(
        ContactViewSet, "filters", {**filters, "organization": type(filters["email"])("organization")}
    )


def test_without_its_code_a_sensitive_field_is_null_named_and_cannot_be_written(
    tenant, make_user, api, secret
):
    row = contact(organization="Shelter")
    agent, boss = api(make_user("agent")), api(make_user("supervisor"))
    where = f"{URL}{row.pk}/"
    seen = agent.get(where)
    assert seen.json()["organization"] is None and seen.json()["redacted"] == ["organization"]
    assert agent.get(URL).json()["data"][0]["organization"] is None
    assert set(agent.get(f"{URL}?fields=id").json()["data"][0]) == {"id"}
    shown = boss.get(where).json()
    assert shown["organization"] == "Shelter" and shown["redacted"] == []
    for value in ("Stolen", None, "Shelter"):
        answer = agent.patch(where, {"organization": value}, HTTP_IF_MATCH=seen["ETag"])
        assert answer.status_code == 403, answer.content
        assert answer.json()["permission"] == "contacts.delete"
        assert answer.json()["errors"][0] == {
            "pointer": "/organization", "code": "forbidden", "detail": "Needs contacts.delete.",
        }  # fmt: skip
    assert agent.post(URL, {"first_name": "A", "organization": "x"}).status_code == 403
    assert agent.patch(where, {"first_name": "Asha"}, HTTP_IF_MATCH=seen["ETag"]).status_code == 200
    row.refresh_from_db()
    assert row.organization == "Shelter" and Contact.objects.count() == 1


def test_nobody_filters_or_sorts_by_what_they_may_not_read(tenant, make_user, api, secret):
    contact(organization="Shelter")
    agent, boss = api(make_user("agent")), api(make_user("supervisor"))
    for query in ("organization=Shelter", "sort=organization", "sort=-organization"):
        answer = agent.get(f"{URL}?{query}")
        assert answer.status_code == 403 and answer.json()["permission"] == "contacts.delete", query
        assert boss.get(f"{URL}?{query}").status_code == 200


def test_reads_are_written_down(tenant, make_user, api, secret):
    row, other = contact(organization="Shelter"), contact()
    agent, boss = api(make_user("agent")), api(make_user("supervisor"))
    AuditEvent.objects.filter(action__startswith="view").count()
    etag = agent.get(f"{URL}{row.pk}/")["ETag"]
    viewed = AuditEvent.objects.get(action="view")
    assert viewed.object_id == str(row.pk) and viewed.changes == {}
    agent.get(f"{URL}{row.pk}/", HTTP_IF_NONE_MATCH=etag)
    agent.get(URL)
    boss.get(f"{URL}?fields=first_name")
    agent.get(f"{URL}01900000-0000-7000-8000-000000000000/")
    assert AuditEvent.objects.filter(action__startswith="view").count() == 1
    boss.get(URL)
    listed = AuditEvent.objects.get(action="view_list")
    assert listed.changes == {"fields": ["organization"], "objects": [str(row.pk)]}
    assert str(other.pk) not in str(listed.changes)


def test_a_serializer_without_a_viewer_shows_nothing_sensitive(tenant, secret):
    assert ContactBody(contact(organization="Shelter")).data["organization"] is None


def test_a_patch_merges_open_maps_as_rfc_7396_says(tenant, make_user, api):
    client = api(make_user("agent"))
    made = client.post(URL, {"first_name": "A", "custom_fields": {"a": 1, "b": {"c": 2, "d": 3}}})
    changes = {"custom_fields": {"a": None, "b": {"d": None, "e": 4}, "f": [1]}}
    changed = client.patch(made["Location"], changes, HTTP_IF_MATCH=made["ETag"])
    assert changed.status_code == 200, changed.content
    assert changed.json()["custom_fields"] == {"b": {"c": 2, "e": 4}, "f": [1]}
    whole = client.post(URL, {"first_name": "B", "custom_fields": {"x": None}})
    assert whole.status_code == 201


@pytest.mark.parametrize(
    ("present", "given", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"a": "b"}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_agrees_with_the_examples_of_the_rfc(present, given, result):
    assert merge(present, given) == result


def test_the_description_says_that_a_sensitive_field_may_be_null():
    assert _or_null({"type": "string"}) == {"type": ["string", "null"]}
    assert _or_null({"type": ["string", "null"]}) == {"type": ["string", "null"]}
    reference = {"$ref": "#/components/schemas/X"}
    assert _or_null(reference) == {"oneOf": [reference, {"type": "null"}]}


def test_call_bodies_are_untouched_by_what_they_do_not_declare():
    assert CallBody.sensitive == {} and "redacted" not in CallBody().fields
