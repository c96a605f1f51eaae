"""Limits of an organisation: contacts and requests. What they stop, what they never stop, and at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone

from telephony.sealing import Caller
from tests.web.kit_calls import Script, whole_call
from web.shared.accounts import registry
from web.shared.api import request_log, throttles
from web.shared.api.models import APIRequestLog
from web.shared.api.throttles import Limit
from web.shared.core import jobs, parties
from web.shared.core.actor import system
from web.shared.core.stores import redis_client
from web.shared.tenants import quotas, request_quota
from web.shared.tenants import services as tenants_services
from web.shared.tenants.context import public_context, tenant_context
from web.shared.tenants.models import QuotaKind, TenantQuota
from web.shared.tenants.quotas import QuotaExceeded
from web.shared.tenants.request_quota import RequestQuotaExceeded
from web.shared.tenants.usage import UNCOUNTED
from web.tenant.calls import intake
from web.tenant.calls.models import Call, CallQueue
from web.tenant.contacts import services as contacts
from web.tenant.contacts.models import Contact

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
CONTACTS = "/api/v1/contacts/"


def limit(tenant: Any, kind: str, number: int | None) -> None:
    tenants_services.quota_set(actor=ACTOR, tenant=tenant, limits={kind: number})


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """`work(n)` in so many threads, begun together; what each returned or raised."""
    together = threading.Barrier(count)

    def run(n: int) -> Any:
        together.wait(30)
        try:
            return work(n)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# --- contacts -----------------------------------------------------------------------------------------------


def test_the_contact_after_the_last_is_refused_and_says_how_many_there_may_be(tenant, make_user, api):
    client = api(make_user("agent"))
    kept = client.post(CONTACTS, {"first_name": "A", "phone": "0712345678"})
    limit(tenant, "contacts", 2)
    assert client.post(f"{CONTACTS}anonymous/", {"number": "0733000111"}).status_code == 201
    for url, body in ((CONTACTS, {"first_name": "B"}), (f"{CONTACTS}anonymous/", {"number": "0733000222"})):
        refused = client.post(url, body)
        assert refused.status_code == 409, refused.content
        assert refused["Content-Type"] == "application/problem+json"
        said = refused.json()
        assert said["code"] == "quota_exceeded"
        assert (said["quota"], said["limit"], said["used"]) == ("contacts", 2, 2)
    assert Contact.objects.count() == 2
    # Whoever is there is found, changed, and makes room when they go.
    assert client.post(f"{CONTACTS}anonymous/", {"number": "0733000111"}).status_code == 200
    at, etag = f"{CONTACTS}{kept.json()['id']}/", {"HTTP_IF_MATCH": kept["ETag"]}
    changed = client.patch(at, {"last_name": "B"}, **etag)
    assert changed.status_code == 200
    contacts.contact_delete(actor=ACTOR, contact=Contact.objects.get(first_name="A"))
    assert client.post(CONTACTS, {"first_name": "C"}).status_code == 201
    limit(tenant, "contacts", None)
    assert client.post(CONTACTS, {"first_name": "D"}).status_code == 201


def test_one_organisations_limit_is_no_others(tenant, other_tenant, make_user, api):
    limit(tenant, "contacts", 0)
    theirs = api(make_user("agent", tenant=other_tenant), tenant=other_tenant)
    assert theirs.post(CONTACTS, {"first_name": "A"}).status_code == 201
    assert api(make_user("agent")).post(CONTACTS, {"first_name": "A"}).status_code == 409


def test_an_import_writes_what_fits_and_names_the_rows_that_do_not(tenant, make_user, api):
    client = api(make_user("supervisor"))
    contacts.contact_create(
        actor=ACTOR, values={"first_name": "Old"}, phones=[{"number": "0712000001"}], region="KE"
    )
    limit(tenant, "contacts", 3)
    rows = ["first_name,phone", "Known,0712000001", "New,0712000002", "Next,0712000003", "Over,0712000004",
            "Wrong,12", "Over too,0712000005"]  # fmt: skip
    sent = client.generic(
        "POST", f"{CONTACTS}imports/?on_conflict=update", "\n".join(rows), content_type="text/csv"
    )
    assert sent.status_code == 202, sent.content
    pk = sent.json()["id"]
    assert jobs.run(pk) == "done"
    result = client.get(f"/api/v1/jobs/{pk}/").json()["result"]
    assert {name: result[name] for name in ("created", "updated", "refused")} == {
        "created": 2, "updated": 1, "refused": 3
    }  # fmt: skip
    errors = [line for line in _errors(client, pk) if line["code"] == "quota_exceeded"]
    assert [line["row"] for line in errors] == [4, 6]
    assert sorted(Contact.objects.values_list("first_name", flat=True)) == ["Known", "New", "Next"]


def _errors(client: Any, pk: str) -> list[dict[str, Any]]:
    link = client.get(f"/api/v1/jobs/{pk}/errors/").json()
    answer = client.get(link["url"])
    assert answer.status_code == 200, answer
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_a_call_becomes_rows_however_many_contacts_there_may_be(tenant, make_user, monkeypatch):
    monkeypatch.setattr(
        parties,
        "read_many",
        lambda tenant, wanted: dict.fromkeys(wanted, Caller(number="0712345678", name="")),
    )
    limit(tenant, "contacts", 0)
    limit(tenant, "api_requests_per_day", 0)
    limit(tenant, "storage_bytes", 0)
    script = Script(tenant.pk)
    call = whole_call(script, queue=str(CallQueue.objects.create(name="Help").pk), agent=str(make_user().pk))
    assert intake.take(tenant.pk, script.entries).parked == 0
    row = Call.objects.get(pk=call.id)
    assert row.outcome == "completed" and row.caller_number == "+254712345678" and row.contact is None


@pytest.mark.django_db(transaction=True)
def test_two_at_once_cannot_both_take_the_last_place(tenants):
    tenant = tenants[0]
    limit(tenant, "contacts", 3)

    def make(n: int) -> Any:
        with tenant_context(tenant.pk):
            return contacts.contact_create(actor=ACTOR, values={"first_name": f"C{n}"}, region="KE").pk

    found = at_once(8, make)
    refused = [one for one in found if isinstance(one, QuotaExceeded)]
    assert len(refused) == 5, found
    with tenant_context(tenant.pk):
        assert Contact.objects.count() == 3
        assert quotas.room(tenant.pk, "contacts") == 0


def test_an_organisation_sees_what_it_may_have_and_what_it_has(tenant, make_user, api):
    admin, agent = api(make_user("admin")), api(make_user("agent"))
    contacts.contact_create(actor=ACTOR, values={"first_name": "A"}, region="KE")
    limit(tenant, "contacts", 5)
    answer = admin.get("/api/v1/organization/quotas/")
    assert answer.status_code == 200, answer.content
    shown = {one["kind"]: (one["limit"], one["used"]) for one in answer.json()["data"]}
    assert shown["contacts"] == (5, 1) and shown["users"] == (None, 2)
    assert shown.keys() == set(QuotaKind.values)
    assert admin.get("/api/v1/organization/quotas/?x=1").status_code == 400
    assert agent.get("/api/v1/organization/quotas/").status_code == 403


# --- requests -----------------------------------------------------------------------------------------------


@pytest.fixture
def keyed(tenant, make_user, api, clean_redis, monkeypatch, settings) -> Any:
    """A client with an API key of the first tenant."""
    monkeypatch.setattr(throttles, "_away_until", 0.0)
    settings.RATE_LIMIT_SCALE = 1.0
    request_log._waiting.clear()
    scopes = ["contacts.view", "contacts.edit", "calls.view", "calls.edit"]
    made = api(make_user("admin")).post("/api/v1/api-keys/", {"name": "A", "scopes": scopes})
    assert made.status_code == 201, made.content
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made.json()['key']}")
    return client


def test_a_day_has_so_many_requests_and_each_answer_says_how_many_are_left(tenant, keyed):
    limit(tenant, "api_requests_per_day", 3)
    answers = [keyed.get(CONTACTS) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 200]
    assert [one["RateLimit-Remaining"] for one in answers] == ["2", "1", "0"]
    assert {one["RateLimit-Limit"] for one in answers} == {"3"}
    refused = keyed.post(CONTACTS, {"first_name": "A"})
    assert refused.status_code == 429 and refused["Content-Type"] == "application/problem+json"
    said = refused.json()
    assert said["code"] == "request_quota_exceeded"
    assert (said["quota"], said["limit"], said["used"]) == ("api_requests_per_day", 3, 3)
    assert refused["RateLimit-Remaining"] == "0" and refused["RateLimit-Limit"] == "3"
    assert refused["RateLimit-Reset"] == refused["Retry-After"]
    midnight = datetime.combine(timezone.now().date() + timedelta(days=1), datetime.min.time(), tzinfo=UTC)
    assert 0 <= int(refused["Retry-After"]) - (midnight - timezone.now()).total_seconds() <= 5
    assert not Contact.objects.exists()
    # Being refused costs nothing, and is no request of the day when it is counted anew.
    assert keyed.get(CONTACTS).json()["used"] == 3
    request_log.flush()
    assert quotas.used(tenant.pk, "api_requests_per_day") == 3


def test_the_tightest_of_all_limits_is_the_one_that_is_told(tenant, keyed, monkeypatch):
    whole = {name: dict(of) for name, of in throttles.LIMITS.items()}
    whole["default"]["tenant"] = Limit(2, 3600)
    monkeypatch.setattr(throttles, "LIMITS", whole)
    limit(tenant, "api_requests_per_day", 100)
    assert keyed.get(CONTACTS)["RateLimit-Limit"] == "2"
    assert keyed.get(CONTACTS).status_code == 200
    refused = keyed.get(CONTACTS)
    assert refused.json()["code"] == "throttled"
    client: Any = redis_client()
    assert client.get(request_quota.Day(tenant.pk, timezone.now()).count_key) == "2"


def test_people_in_the_application_and_signing_in_are_never_stopped(tenant, make_user, api, keyed):
    limit(tenant, "api_requests_per_day", 1)
    assert [keyed.get(CONTACTS).status_code for _ in range(2)] == [200, 429]
    person = make_user("agent")
    desk = api(person)
    assert desk.get(CONTACTS).status_code == 200
    assert desk.post(CONTACTS, {"first_name": "A"}).status_code == 201
    assert desk.post("/api/v1/auth/tickets/").status_code == 201
    # With a token, too: its ticket, itself, and not the rest.
    signed = api().post("/api/v1/auth/token/", {"email": person.email, "password": "a long enough password"})
    assert signed.status_code in (200, 201), signed.content
    program = api()
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {signed.json()['access_token']}")
    assert program.post("/api/v1/auth/tickets/").status_code == 201
    assert program.get("/api/v1/auth/me/").status_code == 200
    assert program.get(CONTACTS).status_code == 429


def test_a_call_that_is_under_way_is_counted_and_never_refused(tenant, keyed):
    limit(tenant, "api_requests_per_day", 1)
    none = dict.fromkeys(("wait", "talk", "hold", "wrap_up"), timedelta(0))
    call = Call.objects.create(started_at=timezone.now(), last_seq=0, **none)
    assert [keyed.get(CONTACTS).status_code for _ in range(2)] == [200, 429]
    shown = keyed.get(f"/api/v1/calls/{call.pk}/")
    assert shown.status_code == 200 and shown["RateLimit-Remaining"] == "0"
    written = keyed.patch(f"/api/v1/calls/{call.pk}/", {"note": "Rang again."}, HTTP_IF_MATCH=shown["ETag"])
    assert written.status_code != 429
    assert keyed.get("/api/v1/calls/").status_code == 429
    assert keyed.get(CONTACTS).json()["used"] == 3


def test_the_routes_that_are_spared_are_routes():
    assert registry.routes.keys() >= request_quota.NEVER_REFUSED
    assert registry.routes.keys() >= UNCOUNTED


def test_without_a_limit_nothing_is_counted_and_nothing_is_asked_of_the_database(tenant, keyed, monkeypatch):
    asked: list[str] = []
    known = quotas.limit_of

    def limit_of(tenant_id: str, kind: str) -> int | None:
        asked.append(kind)
        return known(tenant_id, kind)

    monkeypatch.setattr(quotas, "limit_of", limit_of)
    for _ in range(3):
        assert keyed.get(CONTACTS)["RateLimit-Limit"] != "0"
    assert asked == ["api_requests_per_day"]
    client: Any = redis_client()
    day = request_quota.Day(tenant.pk, timezone.now())
    assert client.get(day.count_key) is None and 0 < client.ttl(day.limit_key) <= request_quota.COPY_SECONDS


def test_a_new_limit_holds_from_its_commit_on(tenant, keyed, django_capture_on_commit_callbacks):
    assert keyed.get(CONTACTS).status_code == 200
    request_log.flush()
    with django_capture_on_commit_callbacks(execute=True):
        limit(tenant, "api_requests_per_day", 2)
    # What was asked before there was a limit counts: the log has it.
    assert [keyed.get(CONTACTS).status_code for _ in range(2)] == [200, 429]
    with django_capture_on_commit_callbacks(execute=True):
        limit(tenant, "api_requests_per_day", None)
    assert keyed.get(CONTACTS).status_code == 200


def test_what_redis_lost_is_counted_from_the_log(tenant, keyed, clean_redis):
    limit(tenant, "api_requests_per_day", 3)
    assert [keyed.get(CONTACTS).status_code for _ in range(2)] == [200, 200]
    request_log.flush()
    clean_redis.flushdb()
    assert [keyed.get(CONTACTS).status_code for _ in range(2)] == [200, 429]


def test_yesterday_counts_for_nothing_today(tenant, keyed):
    limit(tenant, "api_requests_per_day", 1)
    with public_context():
        row = APIRequestLog.objects.create(
            tenant_id=tenant.pk, endpoint="contacts:contact-list", method="GET", status_code=200,
            response_time=timedelta(0), created_at=timezone.now() - timedelta(days=1),
        )  # fmt: skip
    assert row.pk and [keyed.get(CONTACTS).status_code for _ in range(2)] == [200, 429]
    now = timezone.now()
    days = [request_quota.Day(tenant.pk, now + timedelta(days=n)) for n in (0, 1)]
    assert days[0].count_key != days[1].count_key
    client: Any = redis_client()
    assert 0 < client.ttl(days[0].count_key) <= days[0].seconds_left + request_quota.COPY_SECONDS


def test_without_redis_requests_pass_uncounted(tenant, keyed, monkeypatch):
    limit(tenant, "api_requests_per_day", 0)

    def refuse(**_: Any) -> Any:
        raise redis.ConnectionError

    monkeypatch.setattr(throttles, "_script", lambda: refuse)
    assert keyed.get(CONTACTS).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_the_days_number_passes(tenants, clean_redis, monkeypatch, settings):
    monkeypatch.setattr(throttles, "_away_until", 0.0)
    settings.RATE_LIMIT_SCALE = 1.0
    tenant = tenants[0]
    with public_context():
        TenantQuota.objects.create(tenant=tenant, kind="api_requests_per_day", limit=40)
    inner = SimpleNamespace(tenant=tenant, META={"REMOTE_ADDR": "127.0.0.1"})
    user = SimpleNamespace(is_authenticated=True, pk="somebody")
    request = SimpleNamespace(_request=inner, auth=object(), user=user)

    def ask(_: int) -> int:
        passed = 0
        for _turn in range(10):
            try:
                with tenant_context(tenant.pk):
                    throttles.charge(request, "default", 1)
                passed += 1
            except RequestQuotaExceeded:
                pass
        return passed

    assert sum(at_once(12, ask)) == 40
