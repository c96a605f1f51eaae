"""The intake where no other test goes: two turns at once, and a log that is read again from its beginning."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from tests.web.kit_calls import Script, whole_call
from tests.web.test_intake import everything
from web.shared.core import parties
from web.shared.tenants.context import tenant_context
from web.tenant.calls import intake
from web.tenant.calls.models import CallQueue, IntakePosition

pytestmark = pytest.mark.database


@pytest.fixture
def script(tenants: Any, make_user: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Script:
    """A whole call, whose caller nobody knows."""
    monkeypatch.setattr(parties, "read_many", lambda tenant, wanted: {})
    made = Script(tenants[0].pk)
    with tenant_context(made.tenant):
        queue = CallQueue.objects.create(name="Help")
    whole_call(made, queue=str(queue.pk), agent=str(make_user("agent").pk))
    return made


@pytest.mark.django_db
def test_the_whole_log_again_changes_nothing(script: Script) -> None:
    intake.take(script.tenant, script.entries)
    with tenant_context(script.tenant):
        before = everything()
        IntakePosition.objects.update(seq=0)
        again = intake.take(script.tenant, script.entries)
        assert (again.taken, again.parked) == (script.seq, 0)
        assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_a_turn_waits_for_the_one_under_way(script: Script) -> None:
    """As when a second process works in the moment in which the first one's lost lock goes unnoticed."""
    intake.take(script.tenant, script.entries[:1])
    wrote, goes_on = threading.Event(), threading.Event()
    taken: dict[str, int] = {}

    def first() -> None:
        with tenant_context(script.tenant), transaction.atomic():
            taken["first"] = intake.take(script.tenant, script.entries).taken
            wrote.set()
            goes_on.wait(20)
        connection.close()

    def second() -> None:
        wrote.wait(20)
        taken["second"] = intake.take(script.tenant, script.entries).taken
        connection.close()

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    try:
        wait_until_somebody_waits(script.tenant)
    finally:
        goes_on.set()
        for thread in threads:
            thread.join(20)
    assert taken == {"first": script.seq - 1, "second": 0}


def wait_until_somebody_waits(tenant: str) -> None:
    """Returns when a statement in this database waits for a lock."""
    with tenant_context(tenant), connection.cursor() as cursor:
        for _ in range(1000):
            cursor.execute(
                "SELECT count(*), pg_sleep(0.01) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waited")
