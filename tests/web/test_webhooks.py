"""Webhooks: signed, sent at least once, tried again, given up, switched off; over a real HTTP server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import ClassVar

import pytest
from aiohttp import web
from django.utils import timezone

from telephony.sealing import SealError
from tests.web.api_cases import ResourceCases
from tests.web.kit_receiver import receiver
from web.shared.core import events, keys
from web.shared.core.actor import system
from web.shared.core.webhooks import outbox, sending, services, signatures, tasks
from web.shared.records.models import AuditEvent, DomainEvent, WebhookDelivery, WebhookEndpoint
from web.shared.tenants.context import tenant_context

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
URL = "/api/v1/webhooks/"


@pytest.fixture(autouse=True)
def only_this_consumer(monkeypatch):
    monkeypatch.setattr(events, "consumers", {"webhooks": outbox.take})
    monkeypatch.setattr(tasks, "send", lambda tenant_id: None)
    # Keys of a test that was rolled back are not in the database any more.
    monkeypatch.setattr(keys, "_rings", {})


@pytest.fixture
def real(settings):
    with receiver() as made:
        settings.EGRESS_LOCAL_ORIGINS = [f"http://127.0.0.1:{made.port}"]
        yield made


def endpoint(real, *types, **values):
    return services.endpoint_create(
        actor=ACTOR,
        values={
            "url": f"http://127.0.0.1:{real.port}/hook",
            "event_types": list(types) or ["job.finished"],
            **values,
        },
    )


def finish():
    return events.emit("job.finished", actor=ACTOR, object_type="job", data={"kind": "x", "state": "done"})


def push(tenant, *, later=False):
    """Hand events on and send what is due; `later` lets every retry be due."""
    events.drain(tenant.pk)
    if later:
        WebhookDelivery.objects.filter(status="pending").update(next_at=timezone.now())
    return sending.send_due(tenant.pk)


def verify(secret, headers, body):
    """As a receiver does it that knows only the Standard Webhooks specification."""
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    good = "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    return good in headers["webhook-signature"].split(" ")


def test_an_event_reaches_the_receiver_signed_and_as_the_feed_shows_it(tenant, real, make_user, api):
    _, secret = endpoint(real)
    event = finish()
    assert push(tenant) == 1
    path, headers, body = real.requests[0]
    assert path == "/hook" and headers["Content-Type"] == "application/json"
    assert verify(secret, headers, body) and headers["webhook-id"] == str(event.id)
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60
    assert not verify("whsec_" + base64.b64encode(b"x" * 32).decode(), headers, body)
    feed = api(make_user("admin")).get("/api/v1/events/?type=job.finished").json()["data"]
    assert json.loads(body) == feed[-1] and feed[-1]["id"] == str(event.id)
    row = WebhookDelivery.objects.get()
    assert (row.status, row.attempts, row.response_status) == ("delivered", 1, 200)
    assert push(tenant) == 0 and len(real.requests) == 1


def test_an_endpoint_gets_what_it_asked_for_and_no_event_twice(tenant, real):
    endpoint(real, "job.*")
    endpoint(real, "*", url=f"http://127.0.0.1:{real.port}/all")
    endpoint(real, "webhook.deleted", url=f"http://127.0.0.1:{real.port}/none")
    endpoint(real, "*", url=f"http://127.0.0.1:{real.port}/off", is_active=False)
    event = finish()
    events.drain(tenant.pk)
    outbox.take([event])
    sending.send_due(tenant.pk)
    took = [path for path, _, body in real.requests if json.loads(body)["type"] == "job.finished"]
    assert sorted(took) == ["/all", "/hook"]


def test_what_fails_is_tried_again_ever_later_and_then_given_up(tenant, real):
    made, _ = endpoint(real)
    real.answer = lambda request: web.Response(status=500)
    finish()
    waits = []
    for attempt in range(1, len(sending.RETRIES) + 2):
        before = timezone.now()
        assert push(tenant, later=True) == 1
        row = WebhookDelivery.objects.get()
        assert row.attempts == attempt and row.response_status == 500 and row.error == "status"
        waits.append(None if row.next_at is None else (row.next_at - before).total_seconds())
    assert waits[-1] is None and row.status == "failed"
    for wait, planned in zip(waits, sending.RETRIES, strict=False):
        assert wait is not None and planned * 0.8 <= wait <= planned * 1.2 + 10
    assert sending.RETRIES[0] == 5 and sending.RETRIES[-1] == 24 * 3600
    assert push(tenant, later=True) == 0
    ids = {headers["webhook-id"] for _, headers, _ in real.requests}
    assert len(ids) == 1, "every try carries the same id"
    made.refresh_from_db()
    assert made.failing_since is not None and made.is_active


def test_an_endpoint_that_fails_for_five_days_is_switched_off_and_that_is_an_event(tenant, real):
    made, _ = endpoint(real)
    real.answer = lambda request: web.Response(status=503)
    finish()
    push(tenant)
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=5))
    push(tenant, later=True)
    made.refresh_from_db()
    assert not made.is_active and made.disabled_because == "failing"
    event = DomainEvent.objects.get(type="webhook.disabled")
    assert event.object_id == made.pk and event.data == {"because": "failing"}
    assert push(tenant, later=True) == 0, "what waits stays until somebody switches it on"
    real.answer = lambda request: web.Response()
    services.endpoint_update(actor=ACTOR, endpoint=made, values={"is_active": True})
    assert push(tenant, later=True) == 1 and WebhookDelivery.objects.get().status == "delivered"


def test_who_says_gone_is_switched_off_at_once_and_a_success_ends_the_count(tenant, real):
    made, _ = endpoint(real)
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=4))
    finish()
    push(tenant)
    made.refresh_from_db()
    assert made.failing_since is None and made.is_active
    real.answer = lambda request: web.Response(status=410)
    finish()
    push(tenant)
    made.refresh_from_db()
    assert not made.is_active and made.disabled_because == "gone"


def test_a_killed_workers_deliveries_are_sent_by_the_next(tenant, real):
    endpoint(real)
    finish()
    events.drain(tenant.pk)
    assert len(sending._claim(tenant.pk)) == 1, "claimed, and the worker dies"
    assert sending.send_due(tenant.pk) == 0
    WebhookDelivery.objects.update(next_at=timezone.now())
    assert sending.send_due(tenant.pk) == 1 and len(real.requests) == 1


def test_a_dead_receiver_does_not_fill_the_round(tenant, real):
    endpoint(real, url=f"http://127.0.0.1:{real.port}/dead")
    for _ in range(30):
        finish()
    events.drain(tenant.pk)
    endpoint(real, url=f"http://127.0.0.1:{real.port}/live")
    finish()
    events.drain(tenant.pk)
    assert len(sending._claim(tenant.pk)) == sending.PER_ENDPOINT + 1


def test_while_a_secret_is_changed_both_sign_and_afterwards_only_the_new(tenant, real):
    made, old = endpoint(real)
    made, new = services.secret_rotate(actor=ACTOR, endpoint=made)
    finish()
    push(tenant)
    _, headers, body = real.requests[-1]
    assert verify(old, headers, body) and verify(new, headers, body)
    WebhookEndpoint.objects.update(previous_until=timezone.now())
    finish()
    push(tenant)
    _, headers, body = real.requests[-1]
    assert verify(new, headers, body) and not verify(old, headers, body)


def test_the_secret_lies_sealed_with_the_tenants_key_and_opens_nowhere_else(tenant, other_tenant, real):
    made, secret = endpoint(real)
    stored = bytes(WebhookEndpoint.objects.get().secret)
    assert secret.encode() not in stored and base64.b64decode(secret[6:]) not in stored
    assert signatures.active(tenant.pk, made, timezone.now()) == [secret]
    keys.rotate(tenant.pk)
    assert signatures.active(tenant.pk, made, timezone.now()) == [secret]
    with pytest.raises(SealError):
        signatures.active(other_tenant.pk, made, timezone.now())
    other, _ = endpoint(real)
    other.secret = made.secret
    with pytest.raises(SealError):
        signatures.active(tenant.pk, other, timezone.now())


def test_a_url_that_leads_inside_later_is_not_called(tenant, real, settings):
    endpoint(real)
    finish()
    settings.EGRESS_LOCAL_ORIGINS = []
    push(tenant)
    row = WebhookDelivery.objects.get()
    assert row.error == "refused_scheme" and row.status == "pending" and real.requests == []


def test_an_event_whose_days_are_over_is_given_up(tenant, real):
    endpoint(real)
    finish()
    events.drain(tenant.pk)
    DomainEvent.objects.all().delete()
    sending.send_due(tenant.pk)
    row = WebhookDelivery.objects.get()
    assert row.status == "failed" and row.error == "event_gone"
    WebhookDelivery.objects.update(created_at=timezone.now() - events.KEPT - timedelta(minutes=1))
    assert services.forget_old() == 1


def test_what_is_due_is_swept_up_per_tenant(tenants, real, monkeypatch):
    with tenant_context(tenants[1].pk):
        endpoint(real)
        finish()
        events.drain(tenants[1].pk)
    sent: list[str] = []
    monkeypatch.setattr(tasks, "send", sent.append)
    assert tasks.sweep() == 1 and sent == [tenants[1].pk]
    assert tasks.deliver(tenants[1].pk) == 1 and tasks.sweep() == 0


class TestWebhooks(ResourceCases):
    url = URL
    created: ClassVar = {"url": "https://hooks.example.com/in", "event_types": ["case.created", "job.*"]}
    updated: ClassVar = {"description": "Our own receiver"}
    refused: ClassVar = {"url": "https://127.0.0.1/"}
    may_view = may_edit = may_delete = "admin"
    may_not = "supervisor"
    sorts = ("created_at", "-created_at")

    @pytest.fixture(autouse=True)
    def types(self, monkeypatch):
        monkeypatch.setattr(events, "catalogue", dict(events.catalogue))
        if "case.created" not in events.catalogue:
            events.declare("case.created", "For this test")

    def test_create_answers_201_with_location_and_is_audited(self) -> None:
        """As in ResourceCases, but the first answer alone holds the secret."""
        client = self.client("admin")
        answer = client.post(self.url, self.created)
        assert answer.status_code == 201, answer.content
        body = answer.json()
        assert body.pop("secret").startswith("whsec_") and self.audited("create", body["id"]) == 1
        assert client.get(answer["Location"]).json() == body
        assert b"whsec_" not in client.get(self.url).content

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("url", "http://hooks.example.com/"),
            ("url", "https://169.254.169.254/"),
            ("url", "https://2130706433/"),
            ("url", "https://a:b@hooks.example.com/"),
            ("url", "gopher://hooks.example.com/"),
            ("url", "https://[::ffff:a9fe:a9fe]/"),
            ("event_types", []),
            ("event_types", ["nonsense.happened"]),
            ("event_types", ["nonsense.*"]),
            ("event_types", "case.created"),
            ("event_types", [1]),
        ],
    )
    def test_bad_values_are_refused(self, field, value) -> None:
        answer = self.client("admin").post(self.url, {**self.created, field: value})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"].startswith(f"/{field}")

    def test_a_test_goes_to_this_endpoint_alone_and_its_delivery_tells_what_came_of_it(self, real) -> None:
        client, tenant = self.client("admin"), self.tenants[0]
        url = f"http://127.0.0.1:{real.port}/"
        first, other = (
            client.post(self.url, {"url": url + path, "event_types": types}).json()["id"]
            for path, types in (("a", ["job.*"]), ("b", ["*"]))
        )
        answer = client.post(f"{self.url}{first}/test/")
        assert answer.status_code == 202
        with tenant_context(tenant.pk):
            WebhookDelivery.objects.exclude(pk=answer.json()["id"]).delete()
            events.drain(tenant.pk)
            sending.send_due(tenant.pk)
        tested = [path for path, _, body in real.requests if json.loads(body)["type"] == "webhook.tested"]
        assert tested == ["/a"]
        delivery = client.get(answer["Location"]).json()
        assert delivery["status"] == "delivered" and delivery["response_status"] == 200
        listed = client.get(f"{self.url}{first}/deliveries/?status=delivered").json()["data"]
        assert [one["id"] for one in listed] == [delivery["id"]]
        assert client.get(f"{self.url}{other}/deliveries/{delivery['id']}/").status_code == 404
        assert client.post(f"{self.url}{other}/deliveries/{delivery['id']}/replay/").status_code == 404

    def test_a_delivery_is_sent_again_under_the_same_id(self, real) -> None:
        client, tenant = self.client("admin"), self.tenants[0]
        body = {"url": f"http://127.0.0.1:{real.port}/", "event_types": ["job.finished"]}
        pk = client.post(self.url, body).json()["id"]
        with tenant_context(tenant.pk):
            finish()
            push(tenant)
            done = WebhookDelivery.objects.get()
        answer = client.post(f"{self.url}{pk}/deliveries/{done.pk}/replay/")
        assert answer.status_code == 202 and answer.json()["status"] == "pending"
        with tenant_context(tenant.pk):
            assert sending.send_due(tenant.pk) == 1
            assert AuditEvent.objects.filter(action="webhook.replay", object_id=str(done.pk)).exists()
            DomainEvent.objects.all().delete()
        assert len({headers["webhook-id"] for _, headers, _ in real.requests}) == 1
        assert len(real.requests) == 2
        answer = client.post(f"{self.url}{pk}/deliveries/{done.pk}/replay/")
        assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == "event_gone"

    def test_a_new_secret_is_shown_once_and_actions_on_anothers_webhook_are_404(self) -> None:
        mine, theirs = self.row(), self.row(self.tenants[1])
        client = self.client("admin")
        first = client.post(f"{self.url}{mine}/rotate-secret/")
        assert first.status_code == 200 and first.json()["secret"].startswith("whsec_")
        assert client.get(self.at(mine)).json()["previous_until"]
        for action in ("rotate-secret", "test"):
            assert client.post(f"{self.url}{theirs}/{action}/").status_code == 404
            assert self.client("supervisor").post(f"{self.url}{mine}/{action}/").status_code == 403
        assert client.get(f"{self.url}{theirs}/deliveries/").status_code == 404
        assert client.get(f"{self.url}nonsense/deliveries/").status_code == 404
        with tenant_context(self.tenants[1].pk):
            assert WebhookEndpoint.objects.get().previous_until is None

    def test_deleting_forgets_the_secret_and_what_waited(self, real) -> None:
        client, tenant = self.client("admin"), self.tenants[0]
        body = {"url": f"http://127.0.0.1:{real.port}/", "event_types": ["job.finished"]}
        pk = client.post(self.url, body).json()["id"]
        with tenant_context(tenant.pk):
            finish()
            events.drain(tenant.pk)
        assert client.delete(self.at(pk), HTTP_IF_MATCH="*").status_code == 204
        with tenant_context(tenant.pk):
            assert sending.send_due(tenant.pk) == 0
            assert bytes(WebhookEndpoint.all_objects.get().secret) == b""
            assert WebhookDelivery.objects.get().error == "deleted"
