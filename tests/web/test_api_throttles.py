"""Limits: who is counted, what it costs, what the answer says, and what happens without Redis."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from web.shared.api import throttles
from web.shared.api.models import APIKey
from web.shared.api.problems import Throttled, Unavailable
from web.shared.api.throttles import Limit
from web.shared.core.stores import redis_client
from web.tenant.contacts.api.views import ContactViewSet

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.redis]
URL = "/api/v1/contacts/"


@pytest.fixture(autouse=True)
def _fresh(clean_redis, monkeypatch):
    monkeypatch.setattr(throttles, "_away_until", 0.0)


def limits(monkeypatch: Any, **subjects: int) -> None:
    """In the default bucket, per hour, so that nothing flows back while a test runs."""
    made = {name: Limit(units, 3600) for name, units in subjects.items()}
    whole = {name: dict(of) for name, of in throttles.LIMITS.items()}
    whole["default"] |= made
    monkeypatch.setattr(throttles, "LIMITS", whole)


@pytest.fixture(autouse=True)
def _unscaled(settings):
    settings.RATE_LIMIT_SCALE = 1.0


def test_every_answer_says_what_is_left_and_the_last_says_when_to_come_back(
    tenant, make_user, api, monkeypatch
):
    limits(monkeypatch, user=4)
    client = api(make_user("agent"))
    left = []
    for _ in range(4):
        answer = client.get(URL)
        assert answer.status_code == 200 and answer["RateLimit-Limit"] == "4"
        assert 0 < int(answer["RateLimit-Reset"]) <= 3600
        left.append(int(answer["RateLimit-Remaining"]))
    assert left == [3, 2, 1, 0]
    refused = client.get(URL)
    assert refused.status_code == 429 and refused["Content-Type"] == "application/problem+json"
    body = refused.json()
    assert body["code"] == "throttled" and 890 <= int(refused["Retry-After"]) <= 900
    assert refused["RateLimit-Remaining"] == "0" and refused["RateLimit-Reset"] == refused["Retry-After"]


def test_writes_cost_more_and_a_refused_one_costs_nothing_and_changes_nothing(
    tenant, make_user, api, monkeypatch
):
    limits(monkeypatch, user=3)
    client = api(make_user("agent"))
    assert client.post(URL, {"first_name": "A"})["RateLimit-Remaining"] == "1"
    assert client.post(URL, {"first_name": "B"}).status_code == 429
    answer = client.get(URL)
    assert answer.status_code == 200 and [one["first_name"] for one in answer.json()["data"]] == ["A"]


def test_people_do_not_use_up_each_others_allowance_but_an_organisations_is_one(
    tenants, make_user, api, monkeypatch
):
    limits(monkeypatch, user=2, tenant=3)
    one, other = api(make_user("agent")), api(make_user("agent"))
    assert [one.get(URL).status_code for _ in range(3)] == [200, 200, 429]
    assert [other.get(URL).status_code for _ in range(2)] == [200, 429]
    stranger = api(make_user("agent", tenant=tenants[1]), tenant=tenants[1])
    assert stranger.get(URL).status_code == 200


def test_a_key_has_the_limit_it_was_given(tenant, make_user, api):
    boss = api(make_user("admin"))
    made = boss.post("/api/v1/api-keys/", {"name": "A", "scopes": ["contacts.view"], "rate_limit": 2}).json()
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made['key']}")
    answers = [client.get(URL) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0]["RateLimit-Limit"] == "2" and int(answers[2]["Retry-After"]) <= 30
    assert APIKey.objects.get().rate_limit == 2


def test_who_is_not_signed_in_is_counted_by_address_and_a_forged_header_changes_nothing(
    tenant, api, monkeypatch
):
    limits(monkeypatch, address=2)
    me = "/api/v1/auth/session/"
    seen = [api().get(me, HTTP_X_FORWARDED_FOR=f"192.0.2.{n}").status_code for n in range(3)]
    assert seen == [200, 200, 429]
    assert api().get(me, REMOTE_ADDR="2001:db8::1").status_code == 200


def test_one_request_is_one_call_to_redis(tenant, make_user, api, monkeypatch):
    client = api(make_user("agent"))
    client.get(URL)
    asked: list[str] = []
    send = redis.Redis.execute_command

    def counting(self: Any, *args: Any, **options: Any) -> Any:
        asked.append(str(args[0]))
        return send(self, *args, **options)

    monkeypatch.setattr(redis.Redis, "execute_command", counting)
    assert client.get(URL).status_code == 200
    assert asked == ["EVALSHA"]


def request_of(tenant: Any, who: str = "somebody") -> Any:
    inner = SimpleNamespace(tenant=tenant, META={"REMOTE_ADDR": "127.0.0.1"})
    return SimpleNamespace(_request=inner, auth=None, user=SimpleNamespace(is_authenticated=True, pk=who))


def test_requests_at_once_do_not_lose_each_others_counts(tenant, monkeypatch):
    limits(monkeypatch, user=50)
    together = threading.Barrier(16)

    def hundred(_: int) -> int:
        together.wait(10)
        passed = 0
        for _turn in range(20):
            try:
                throttles.charge(request_of(tenant), "default", 1)
                passed += 1
            except Throttled:
                pass
        return passed

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(hundred, range(16))) == 50


def test_an_allowance_flows_back_evenly(tenant, monkeypatch):
    """Told by the stored number: half an hour of an hour's allowance is half of it."""
    limits(monkeypatch, user=10)
    for _ in range(10):
        throttles.charge(request_of(tenant), "default", 1)
    client: Any = redis_client()
    (key,) = client.keys("*:rate:default:user:*")
    client.set(key, int(client.get(key)) - 1800 * 1_000_000)
    rate = throttles.charge(request_of(tenant), "default", 1)
    assert rate is not None and rate.remaining == 4
    assert client.pttl(key) > 0


def test_every_key_in_redis_names_its_tenant_and_ends(tenant, make_user, api):
    api(make_user("agent")).get(URL)
    client: Any = redis_client()
    keys = client.keys("*")
    assert keys and all(name.startswith(f"murima:{tenant.pk}:rate:") for name in keys)
    assert all(0 < client.pttl(name) <= 60_000 for name in keys)


@pytest.fixture
def no_redis(monkeypatch):
    """A Redis that refuses, and how often it was asked."""
    asked: list[int] = []

    def refuse(**_: Any) -> Any:
        asked.append(1)
        raise redis.ConnectionError

    monkeypatch.setattr(throttles, "_script", lambda: refuse)
    return asked


def test_without_redis_ordinary_requests_pass_and_do_not_ask_again_for_a_while(
    tenant, make_user, api, no_redis
):
    client = api(make_user("agent"))
    assert client.get(URL).status_code == 200
    assert client.post(URL, {"first_name": "A"}).status_code == 201
    assert "RateLimit-Limit" not in client.get(URL) and len(no_redis) == 1


def test_without_redis_nothing_is_originated(tenant, make_user, api, no_redis, monkeypatch):
    with pytest.raises(Unavailable):
        throttles.charge(request_of(tenant), "originate", 1)
    monkeypatch.setattr(ContactViewSet, "throttle_bucket", "originate")
    answer = api(make_user("agent")).get(URL)
    assert answer.status_code == 503 and answer["Retry-After"]


def test_each_bucket_counts_by_itself(tenant, monkeypatch):
    limits(monkeypatch, user=1)
    throttles.charge(request_of(tenant), "default", 1)
    with pytest.raises(Throttled):
        throttles.charge(request_of(tenant), "default", 1)
    for bucket in ("export", "import", "originate"):
        assert throttles.charge(request_of(tenant), bucket, 1) is not None
    for bucket in throttles.LIMITS:
        assert {"user", "tenant"} <= throttles.LIMITS[bucket].keys()
