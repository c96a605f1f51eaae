"""What every resource of the API must do, from ten lines of data.

    class TestContacts(ResourceCases):
        url = "/api/v1/contacts/"
        created = {"first_name": "Amina"}
        updated = {"first_name": "Asha"}
        refused = {"first_name": ""}          # a 422 whose pointer is /first_name
        may_edit, may_view, may_not = "agent", "viewer", "telephony_admin"

`ReadCases` is the half for what is only read (override `make` to bring a row into being). Each test runs over
HTTP against the tenant's host; another tenant's client must get 404 and change nothing.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from web.shared.records.models import AuditEvent, IdempotencyKey
from web.shared.tenants.context import tenant_context

__all__ = ["ReadCases", "ResourceCases"]


@pytest.mark.django_db
@pytest.mark.database
class ReadCases:
    url: ClassVar[str]
    may_view: ClassVar[str] = "viewer"
    may_not: ClassVar[str] = ""
    sorts: ClassVar[tuple[str, ...]] = ("created_at", "-created_at")

    def make(self, tenant: Any, **values: Any) -> str:
        """Bring one row into being inside `tenant`; returns its id."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _parts(self, tenants: Any, make_user: Any, api: Any) -> None:
        self.tenants, self.make_user, self.api = tenants, make_user, api

    def client(self, role: str, tenant: Any = None) -> Any:
        return self.api(self.make_user(role, tenant=tenant), tenant=tenant)

    def row(self, tenant: Any = None, **values: Any) -> str:
        owner = tenant or self.tenants[0]
        with tenant_context(owner.pk):
            return str(self.make(owner, **values))

    def at(self, pk: str) -> str:
        return f"{self.url}{pk}/"

    def test_a_row_is_read_with_its_etag_and_not_twice(self) -> None:
        pk, client = self.row(), self.client(self.may_view)
        answer = client.get(self.at(pk))
        assert answer.status_code == 200 and answer.json()["id"] == pk
        if "ETag" in answer:
            assert client.get(self.at(pk), HTTP_IF_NONE_MATCH=answer["ETag"]).status_code == 304

    def test_a_list_pages_by_cursor_in_every_sort_without_loss_or_doubles(self) -> None:
        made, client = {self.row() for _ in range(5)}, self.client(self.may_view)
        for sort in self.sorts:
            seen: list[str] = []
            url = f"{self.url}?limit=2&sort={sort}"
            for _ in range(20):
                answer = client.get(url)
                assert answer.status_code == 200, answer.content
                page = answer.json()
                seen += [one["id"] for one in page["data"]]
                if not page["has_more"]:
                    assert page["next_cursor"] is None and "Link" not in answer
                    break
                link = answer["Link"]
                assert quote(page["next_cursor"], safe="") in link and link.endswith('; rel="next"')
                url = link[1 : link.index(">")]
            assert len(seen) == len(set(seen)) and made <= set(seen), sort

    def test_fields_narrow_the_answer_and_strange_parameters_are_refused(self) -> None:
        self.row()
        client = self.client(self.may_view)
        page = client.get(f"{self.url}?fields=id").json()
        assert page["data"] and all(set(one) == {"id"} for one in page["data"])
        for query in ("fields=nonsense", "nonsense=1", "sort=nonsense", "limit=0", "limit=x", "cursor=x",
                      "user__password__startswith=x", "created_at[regex]=x"):  # fmt: skip
            answer = client.get(f"{self.url}?{query}")
            assert answer.status_code == 400, query
            assert answer["Content-Type"] == "application/problem+json"

    def test_who_is_not_signed_in_gets_401_and_who_lacks_the_permission_403_naming_it(self) -> None:
        pk = self.row()
        for url in (self.url, self.at(pk)):
            answer = self.api().get(url)
            assert answer.status_code == 401 and "WWW-Authenticate" in answer
            if self.may_not:
                answer = self.client(self.may_not).get(url)
                assert answer.status_code == 403 and answer.json()["permission"]

    def test_another_tenants_row_is_404_and_in_no_list(self) -> None:
        mine, theirs = self.row(), self.row(self.tenants[1])
        client = self.client(self.may_view)
        assert client.get(self.at(theirs)).status_code == 404
        for unknown in (str(uuid.uuid4()), "nonsense", "0"):
            assert client.get(self.at(unknown)).status_code == 404
        listed = {one["id"] for one in client.get(f"{self.url}?limit=200").json()["data"]}
        assert mine in listed and theirs not in listed


class ResourceCases(ReadCases):
    created: ClassVar[dict[str, Any]]
    updated: ClassVar[dict[str, Any]]
    refused: ClassVar[dict[str, Any]]
    may_edit: ClassVar[str] = "supervisor"
    may_delete: ClassVar[str] = "admin"

    def make(self, tenant: Any, **values: Any) -> str:
        client = self.client("admin", tenant=tenant)
        answer = client.post(self.url, {**self.created, **values})
        assert answer.status_code == 201, answer.content
        return str(answer.json()["id"])

    def audited(self, action: str, pk: str) -> int:
        with tenant_context(self.tenants[0].pk):
            return AuditEvent.objects.filter(action=action, object_id=pk).count()

    def test_create_answers_201_with_location_and_is_audited(self) -> None:
        client = self.client(self.may_edit)
        answer = client.post(self.url, self.created)
        assert answer.status_code == 201, answer.content
        pk = answer.json()["id"]
        assert answer["Location"] == self.at(pk) and self.audited("create", pk) == 1
        assert client.get(answer["Location"]).json() == answer.json()

    def test_refused_values_are_named_by_pointer_and_nothing_is_written(self) -> None:
        client = self.client(self.may_edit)
        answer = client.post(self.url, {**self.created, **self.refused})
        assert answer.status_code == 422, answer.content
        assert {one["pointer"] for one in answer.json()["errors"]} >= {f"/{name}" for name in self.refused}
        for body, code in (({"nonsense": 1}, "unknown_field"), ({"id": str(uuid.uuid4())}, "read_only")):
            answer = client.post(self.url, {**self.created, **body})
            assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == code
        assert client.get(self.url).json()["data"] == []

    def test_an_idempotency_key_makes_one_row_and_replays_the_answer(self) -> None:
        client, key = self.client(self.may_edit), {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
        refused = client.post(self.url, {**self.created, **self.refused}, **key)
        assert refused.status_code == 422
        first = client.post(self.url, self.created, **key)
        again = client.post(self.url, self.created, **key)
        assert first.status_code == again.status_code == 201 and first.json() == again.json()
        assert again["Idempotent-Replayed"] == "true" and again["Location"] == first["Location"]
        other = client.post(self.url, {**self.created, **self.updated}, **key)
        assert other.status_code == 422 and other.json()["code"] == "idempotency_key_reuse"
        assert len(client.get(self.url).json()["data"]) == 1
        with tenant_context(self.tenants[0].pk):
            stored = IdempotencyKey.objects.get()
        assert first.json()["id"].encode() not in bytes(stored.body)

    def test_a_change_needs_the_current_etag_and_is_audited_by_field_name(self) -> None:
        pk, client = self.row(), self.client(self.may_edit)
        etag = client.get(self.at(pk))["ETag"]
        assert client.patch(self.at(pk), self.updated).status_code == 428
        done = client.patch(self.at(pk), self.updated, HTTP_IF_MATCH=etag)
        assert done.status_code == 200, done.content
        assert {name: done.json()[name] for name in self.updated} == self.updated and done["ETag"] != etag
        stale = client.patch(self.at(pk), self.updated, HTTP_IF_MATCH=etag)
        assert stale.status_code == 412 and stale["ETag"] == done["ETag"]
        with tenant_context(self.tenants[0].pk):
            row = AuditEvent.objects.get(action="update", object_id=pk)
        assert set(self.updated) <= set(row.changes["fields"])
        assert all(
            str(value) not in str(row.changes) for value in self.updated.values() if len(str(value)) > 3
        )

    def test_delete_takes_the_row_out_of_sight_and_is_audited(self) -> None:
        pk, client = self.row(), self.client(self.may_delete)
        etag = client.get(self.at(pk))["ETag"]
        assert client.delete(self.at(pk)).status_code == 428
        assert client.delete(self.at(pk), HTTP_IF_MATCH=etag).status_code == 204
        assert client.get(self.at(pk)).status_code == 404 and self.audited("delete", pk) == 1

    def test_writes_without_permission_are_403_and_to_another_tenants_row_404(self) -> None:
        mine, theirs = self.row(), self.row(self.tenants[1])
        viewer, editor = self.client("viewer"), self.client("admin")
        assert viewer.post(self.url, self.created).status_code == 403
        assert viewer.patch(self.at(mine), self.updated, HTTP_IF_MATCH="*").status_code == 403
        assert viewer.delete(self.at(mine), HTTP_IF_MATCH="*").status_code == 403
        assert editor.patch(self.at(theirs), self.updated, HTTP_IF_MATCH="*").status_code == 404
        assert editor.delete(self.at(theirs), HTTP_IF_MATCH="*").status_code == 404
        assert self.client("admin", self.tenants[1]).get(self.at(theirs)).status_code == 200

    def test_strange_bodies_and_methods_are_problems(self) -> None:
        client = self.client(self.may_edit)
        kinds = [
            (client.generic("POST", self.url, "{", content_type="application/json"), 400),
            (client.generic("POST", self.url, '{"a": NaN}', content_type="application/json"), 400),
            (client.generic("POST", self.url, "[]", content_type="application/json"), 422),
            (client.generic("POST", self.url, "<a/>", content_type="text/xml"), 415),
            (client.put(self.url, {}), 405),
        ]
        for answer, status in kinds:
            assert answer.status_code == status, answer.content
            assert answer["Content-Type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer["X-Request-Id"]
