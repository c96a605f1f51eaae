"""The feed of events and their catalogue."""

from __future__ import annotations

import uuid
from datetime import timedelta

import jsonschema
import pytest

from web.shared.core import events
from web.shared.core.actor import Actor, ActorKind
from web.shared.tenants.context import tenant_context

pytestmark = [pytest.mark.django_db, pytest.mark.database]
URL = "/api/v1/events/"


@pytest.fixture(autouse=True)
def own_types(monkeypatch):
    monkeypatch.setattr(events, "catalogue", {})
    events.declare("thing.made", "A thing was made", n=int, who=uuid.UUID)
    events.declare("thing.lost", "A thing was lost")


def emit(tenant, kind="thing.made", *, pk=None, **data):
    with tenant_context(tenant.pk):
        actor = Actor(ActorKind.USER, id=uuid.uuid4())
        return events.emit(kind, actor=actor, object_id=pk or uuid.uuid4(), data=data)


def test_an_event_reads_with_its_object_actor_and_sequence(tenants, make_user, api):
    event = emit(tenants[0], n=1)
    body = api(make_user("supervisor")).get(URL).json()
    assert body["has_more"] is False and len(body["data"]) == 1
    one = body["data"][0]
    assert one == {
        "id": str(event.id),
        "type": "thing.made",
        "api_version": "v1",
        "sequence": event.sequence,
        "at": one["at"],
        "object": {"type": "thing", "id": str(event.object_id)},
        "actor": {"kind": "user", "id": str(event.actor_id)},
        "data": {"n": 1},
    }
    assert one["at"].endswith("Z")


def test_who_keeps_the_cursor_gets_each_event_once_also_the_later_ones(tenants, make_user, api):
    client = api(make_user("supervisor"))
    assert client.get(URL).json() == {"data": [], "next_cursor": None, "has_more": False}
    for n in range(5):
        emit(tenants[0], n=n)
    seen, cursor = [], ""
    for _ in range(3):
        page = client.get(f"{URL}?limit=2&cursor={cursor}").json()
        seen += [one["data"]["n"] for one in page["data"]]
        cursor = page["next_cursor"]
    assert seen == [0, 1, 2, 3, 4] and page["has_more"] is False
    again = client.get(f"{URL}?cursor={cursor}").json()
    assert again == {"data": [], "next_cursor": cursor, "has_more": False}
    emit(tenants[0], n=5)
    assert [one["data"]["n"] for one in client.get(f"{URL}?cursor={cursor}").json()["data"]] == [5]


def test_filters_narrow_and_strange_ones_are_refused(tenants, make_user, api):
    client = api(make_user("supervisor"))
    thing = uuid.uuid4()
    emit(tenants[0], n=1, pk=thing)
    emit(tenants[0], "thing.lost", pk=thing)
    emit(tenants[0], n=2)
    for query, count in (
        ("type=thing.made", 2), ("type=thing.made,thing.lost", 3), (f"object_id={thing}", 2),
        (f"object_id={thing}&type=thing.lost", 1), ("object_type=thing", 3), ("object_type=other", 0),
    ):  # fmt: skip
        assert len(client.get(f"{URL}?{query}").json()["data"]) == count, query
    for query in ("type=nonsense", "object_id=x", "limit=0", "limit=201", "cursor=x", "sort=at", "q=x",
                  "data__n=1", "object_type=%00"):  # fmt: skip
        answer = client.get(f"{URL}?{query}")
        assert answer.status_code == 400, query
        assert answer["Content-Type"] == "application/problem+json"


def test_what_is_older_than_30_days_is_not_shown(tenants, make_user, api, monkeypatch):
    emit(tenants[0], n=1)
    client = api(make_user("supervisor"))
    assert len(client.get(URL).json()["data"]) == 1
    monkeypatch.setattr(events, "KEPT", timedelta(0))
    assert client.get(URL).json()["data"] == []


def test_another_tenants_events_and_cursor_are_nothing_here(tenants, make_user, api):
    emit(tenants[0], n=1)
    emit(tenants[1], n=2)
    mine = api(make_user("supervisor"))
    theirs = api(make_user("supervisor", tenant=tenants[1]), tenant=tenants[1])
    assert [one["data"]["n"] for one in mine.get(URL).json()["data"]] == [1]
    cursor = theirs.get(URL).json()["next_cursor"]
    assert mine.get(f"{URL}?cursor={cursor}").status_code == 400


def test_permission(tenants, make_user, api):
    assert api().get(URL).status_code == 401
    answer = api(make_user("agent")).get(URL)
    assert answer.status_code == 403 and answer.json()["permission"] == "events.view"
    assert api(make_user("agent")).get(f"{URL}types/").status_code == 200


def test_the_catalogue_describes_every_type_and_events_keep_to_it(tenants, make_user, api):
    emit(tenants[0], n=1, who=uuid.uuid4())
    client = api(make_user("supervisor"))
    types = {one["type"]: one for one in client.get(f"{URL}types/").json()["data"]}
    assert set(types) == {"thing.made", "thing.lost"} and types["thing.made"]["label"] == "A thing was made"
    one = client.get(URL).json()["data"][0]
    schema = types["thing.made"]["data"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(one["data"], schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"n": "one"}, schema)


def test_the_feed_costs_the_same_however_long_it_is(tenants, make_user, api, django_assert_max_num_queries):
    client = api(make_user("supervisor"))
    for n in range(60):
        emit(tenants[0], n=n)
    with django_assert_max_num_queries(20):
        assert len(client.get(f"{URL}?limit=50").json()["data"]) == 50
