"""Queues, members, numbers, phones: each write is published in its transaction, or nothing happens."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from telephony.contract.roster import DeviceKind
from tests.web.api_cases import ResourceCases
from web.shared.accounts import services as accounts
from web.shared.accounts.models import TenantMembership
from web.shared.api.problems import Conflict
from web.shared.core import published
from web.shared.core.actor import system
from web.shared.tenants.context import tenant_context
from web.shared.tenants.models import InboundNumber
from web.tenant.calls import publishing, services
from web.tenant.calls.models import AgentDevice, CallQueue, NumberRoute, QueueMembership

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
CALLS = "/api/v1/calls/"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was published, in order: the text "policy", or an agent's roster row."""
    seen: list[Any] = []
    real_policy, real_roster = published.publish_policy, published.publish_roster

    def policy(*args: Any, **kwargs: Any) -> Any:
        seen.append("policy")
        return real_policy(*args, **kwargs)

    def roster(row: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(row)
        return real_roster(row, *args, **kwargs)

    monkeypatch.setattr(published, "publish_policy", policy)
    monkeypatch.setattr(published, "publish_roster", roster)
    return seen


@pytest.fixture
def queue(tenant: Any) -> CallQueue:
    return services.queue_create(actor=ACTOR, values={"name": "Help", "ring_seconds": 15})


def test_a_queue_is_published_as_it_is(queue, told):
    policy = publishing.queue_policy(queue)
    assert (policy.queue, policy.name, policy.ring_seconds) == (str(queue.pk), "Help", 15)
    services.queue_update(actor=ACTOR, queue=queue, values={"name": "Helpline"})
    assert told == ["policy"]


def test_serving_a_queue_and_leaving_it(queue, told, make_user):
    user = make_user("agent")
    member = services.member_add(actor=ACTOR, queue=queue, user_id=user.pk, penalty=2)
    assert told[-1].memberships == ((str(queue.pk), 2),) and told[-1].active
    with pytest.raises(Conflict):
        services.member_add(actor=ACTOR, queue=queue, user_id=user.pk)
    services.member_remove(actor=ACTOR, member=member)
    assert told[-1].memberships == ()
    services.member_add(actor=ACTOR, queue=queue, user_id=user.pk)
    assert told[-1].memberships == ((str(queue.pk), 0),)


def test_only_members_of_the_organisation_serve_its_queues(queue, make_user, other_tenant):
    stranger = make_user("agent", tenant=other_tenant)
    with pytest.raises(ValidationError):
        services.member_add(actor=ACTOR, queue=queue, user_id=stranger.pk)
    with pytest.raises(ValidationError):
        services.shift_credentials(actor=ACTOR, user_id=stranger.pk)


def test_a_shift_has_a_new_secret_each_time_and_nobody_keeps_it(tenant, make_user, told):
    user = make_user("agent")
    endpoint, first = services.shift_credentials(actor=ACTOR, user_id=user.pk)
    again, second = services.shift_credentials(actor=ACTOR, user_id=user.pk)
    assert endpoint == again and first != second
    device = AgentDevice.objects.get()
    expected = hashlib.md5(f"{endpoint}:asterisk:{second}".encode(), usedforsecurity=False).hexdigest()
    assert device.digest == expected == told[-1].devices[0].digest
    assert told[-1].devices[0].kind is DeviceKind.BROWSER
    values = [str(value) for row in AgentDevice.objects.values() for value in row.values()]
    assert not any(first in value or second in value for value in values)


def test_who_may_no_longer_work_here_leaves_the_roster(queue, make_user, tenant):
    users = [make_user("agent"), make_user("agent")]
    for user in users:
        services.member_add(actor=ACTOR, queue=queue, user_id=user.pk)

    def active() -> list[bool]:
        rows = {str(row.agent): row.active for row in published.roster(tenant.pk)}
        return [rows[str(user.pk)] for user in users]

    assert active() == [True, True]
    accounts.user_deactivate(actor=ACTOR, user=users[0])
    assert active() == [False, True]
    membership = TenantMembership.objects.get(user=users[1])
    membership.is_active = False
    membership.save()
    assert active() == [False, False]


def test_a_number_belongs_to_one_organisation_only(queue, told, other_tenant, tenant):
    route = services.number_add(
        actor=ACTOR, values={"trunk": "trunk", "number": "+254205550116", "queue": queue}
    )
    assert told == ["policy"]
    assert InboundNumber.objects.get(number="+254205550116").tenant_id == tenant.pk
    with tenant_context(other_tenant.pk):
        theirs = services.queue_create(actor=ACTOR, values={"name": "Theirs"})
        with pytest.raises(Conflict):
            services.number_add(
                actor=ACTOR, values={"trunk": "trunk", "number": "+254205550116", "queue": theirs}
            )
        assert not NumberRoute.objects.exists()
    with pytest.raises(Conflict):
        services.queue_delete(actor=ACTOR, queue=queue)
    services.number_remove(actor=ACTOR, route=route)
    assert not InboundNumber.objects.exists()
    services.queue_delete(actor=ACTOR, queue=queue)
    assert not CallQueue.objects.exists() and CallQueue.all_objects.exists()


def test_nothing_is_written_when_it_cannot_be_published(tenant, monkeypatch):
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the table is not there")

    monkeypatch.setattr(published, "publish_policy", broken)
    with pytest.raises(RuntimeError):
        services.queue_create(actor=ACTOR, values={"name": "Help"})
    assert not CallQueue.all_objects.exists()


def test_rest_life_of_a_queue_and_its_members(tenant, make_user, api, told):
    agent, boss = make_user("agent"), make_user("supervisor")
    client = api(boss)
    made = client.post(f"{CALLS}queues/", {"name": "Help", "ring_seconds": 25})
    assert made.status_code == 201, made.content
    where = f"{CALLS}queues/{made.json()['id']}/"
    assert api(agent).get(where).json()["name"] == "Help"
    assert api(agent).patch(where, {"name": "X"}, HTTP_IF_MATCH=made["ETag"]).status_code == 403
    for wrong in ({"ring_seconds": 1}, {"strategy": "ring_all"}, {"id": "x"}):
        assert client.patch(where, wrong, HTTP_IF_MATCH="*").status_code in (400, 422), wrong
    changed = client.patch(where, {"wrap_up_seconds": 45}, HTTP_IF_MATCH=made["ETag"])
    assert changed.json()["wrap_up_seconds"] == 45
    without = client.patch(where, {"wrap_up_seconds": 0}, HTTP_IF_MATCH="*")
    assert without.json()["wrap_up_seconds"] == 0
    assert client.post(f"{CALLS}queues/", {"name": "Help"}).status_code in (409, 422)
    member = client.post(f"{where}members/", {"user": str(agent.pk), "penalty": 1})
    assert member.status_code == 201, member.content
    assert told[-1].memberships == ((made.json()["id"], 1),)
    [row] = client.get(f"{where}members/").json()["data"]
    assert row == {"id": member.json()["id"], "user": str(agent.pk), "penalty": 1}
    one = f"{where}members/{row['id']}/"
    assert client.patch(one, {"penalty": 5}, HTTP_IF_MATCH=member["ETag"]).json()["penalty"] == 5
    assert client.delete(one, HTTP_IF_MATCH="*").status_code == 204
    assert not QueueMembership.objects.exists()
    assert client.delete(where, HTTP_IF_MATCH="*").status_code == 204
    assert client.get(where).status_code == 404


def test_rest_numbers_and_phones(tenant, queue, make_user, api, told):
    agent, chief = make_user("agent"), make_user("telephony_admin")
    client = api(chief)
    number = client.post(
        f"{CALLS}numbers/", {"trunk": "trunk", "number": "+254205550116", "queue": str(queue.pk)}
    )
    assert number.status_code == 201, number.content
    where = f"{CALLS}numbers/{number.json()['id']}/"
    assert client.patch(where, {"number": "+254205550117"}, HTTP_IF_MATCH="*").status_code == 422
    assert client.patch(where, {"label": "Main"}, HTTP_IF_MATCH="*").json()["label"] == "Main"
    phone = client.post(
        f"{CALLS}devices/", {"user": str(agent.pk), "label": "Desk", "desktop_required": False}
    )
    assert phone.status_code == 201, phone.content
    secret, endpoint = phone.json()["secret"], phone.json()["endpoint"]
    assert len(secret) >= 24 and endpoint.startswith("d")
    device = told[-1].devices[0]
    assert (device.endpoint, device.kind, device.desktop_required) == (endpoint, DeviceKind.SIP, False)
    shown = client.get(f"{CALLS}devices/{phone.json()['id']}/").json()
    assert "secret" not in shown and "digest" not in shown
    assert "secret" not in client.get(f"{CALLS}devices/").json()["data"][0]
    assert api(agent).get(f"{CALLS}devices/").status_code == 403
    gone = client.delete(f"{CALLS}devices/{phone.json()['id']}/", HTTP_IF_MATCH="*")
    assert gone.status_code == 204 and told[-1].devices == ()


def test_rest_dispositions_and_reasons(tenant, make_user, api):
    client, agent = api(make_user("supervisor")), api(make_user("agent"))
    made = client.post(f"{CALLS}dispositions/", {"code": "HELPED", "name": "Helped", "sort_order": 2})
    assert made.status_code == 201, made.content
    reserved = client.post(f"{CALLS}dispositions/", {"code": "WRAPUP_TIMEOUT", "name": "No"})
    assert reserved.status_code == 422
    client.post(f"{CALLS}dispositions/", {"code": "FIRST", "name": "First", "sort_order": 1})
    rows = agent.get(f"{CALLS}dispositions/").json()["data"]
    assert [row["code"] for row in rows] == ["FIRST", "HELPED"]
    assert {"code", "name", "category", "is_active", "sort_order"} <= set(rows[0])
    reason = client.post(f"{CALLS}not-ready-reasons/", {"code": "lunch", "name": "Lunch"})
    assert reason.status_code == 201
    assert [row["code"] for row in agent.get(f"{CALLS}not-ready-reasons/").json()["data"]] == ["lunch"]
    assert agent.post(f"{CALLS}not-ready-reasons/", {"code": "x", "name": "X"}).status_code == 403


class TestQueuesResource(ResourceCases):
    url = f"{CALLS}queues/"
    created = {"name": "Help"}
    updated = {"name": "Helpline"}
    refused = {"name": ""}
    may_not = ""
    sorts = ("created_at", "-name")
    count = 0

    def make(self, tenant: Any, **values: Any) -> str:
        # Names are unique among queues.
        type(self).count += 1
        return super().make(tenant, **{"name": f"Queue {self.count}", **values})


class TestDispositionsResource(ResourceCases):
    url = f"{CALLS}dispositions/"
    created = {"code": "HELPED", "name": "Helped"}
    updated = {"name": "Was helped"}
    refused = {"code": "no spaces"}
    sorts = ("sort_order", "-name")
    count = 0

    def make(self, tenant: Any, **values: Any) -> str:
        type(self).count += 1
        return super().make(tenant, **{"code": f"CODE_{self.count}", **values})


class TestNumbersResource(ResourceCases):
    url = f"{CALLS}numbers/"
    updated = {"label": "Main line"}
    refused = {"trunk": "no spaces"}
    may_view = may_edit = "telephony_admin"
    may_not = "agent"
    sorts = ("number", "-created_at")
    count = 0

    @pytest.fixture(autouse=True)
    def _queues(self, tenants: Any) -> None:
        self.queues = {}
        for tenant in tenants:
            with tenant_context(tenant.pk):
                queue = services.queue_create(actor=ACTOR, values={"name": "Help"})
                self.queues[tenant.pk] = str(queue.pk)
        mine = self.queues[tenants[0].pk]
        self.created = {"trunk": "trunk", "number": "+254205559999", "queue": mine}  # type: ignore[misc]

    def make(self, tenant: Any, **values: Any) -> str:
        type(self).count += 1
        own = {"number": f"+25420555{self.count:04d}", "queue": self.queues[tenant.pk]}
        return super().make(tenant, **{**own, **values})
