"""The intake's process against the real log: one at a time, killed at any moment, rows once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from telephony import codec, sealing
from telephony.adapters.log import statements
from telephony.contract.clock import to_datetime
from telephony.contract.frames import Entry, Party
from telephony.contract.ids import PartyId
from tests.web.kit_calls import Script, whole_call
from web.shared.core import keys
from web.shared.tenants.context import tenant_context
from web.tenant.calls import intake
from web.tenant.calls.follow import Follower
from web.tenant.calls.models import Call, CallEvent, CallQueue, OutboxAsk, QueueVisit, Segment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def commit(entries: list[Entry], parties: list[Party] = []) -> None:  # noqa: B006 - never changed
    """Write to the log as the daemon does: one commit, with the notice."""
    if not entries:
        return
    facts = [
        (e.tenant, e.seq, to_datetime(e.at).date(), e.epoch, e.at, type(e.fact).__name__,
         codec.encode_fact(e.fact).decode(), e.ask)
        for e in entries
    ]  # fmt: skip
    with psycopg.connect(os.environ["MURIMA_DATABASE_DAEMON_URL"]) as connection:
        connection.execute("SELECT set_config('murima.tenant', '*', false)")
        for day in {fact[2] for fact in facts}:
            connection.execute(statements.MAKE_PARTITION, (day,))
        last = entries[-1]
        moved = [[last.tenant], [last.seq], [last.at], "0"]
        connection.execute(
            statements.WRITE_FACTS, [*(list(column) for column in zip(*facts, strict=True)), *moved]
        )
        if parties:
            rows = [(p.tenant, p.party, p.key, p.sealed, p.digest) for p in parties]
            connection.execute(
                statements.INSERT_PARTIES, [list(column) for column in zip(*rows, strict=True)]
            )


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "intake"], env={**os.environ, "MURIMA_METRICS_BIND": ""},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def says(process: subprocess.Popen[str], event: str) -> None:
    """Wait until the process logs this event."""
    assert process.stderr is not None
    for line in process.stderr:
        if f'"{event}"' in line:
            return
    raise AssertionError(f"the process ended without {event}")


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def make_world(tenant: Any, make_user: Callable[..., Any]) -> dict[str, Any]:
    with tenant_context(tenant.pk):
        queue = CallQueue.objects.create(name="Help")
    return {"queue": str(queue.pk), "agent": str(make_user("agent").pk)}


def test_committed_facts_become_rows_with_the_callers_name(tenants, make_user, processes):
    who = make_world(tenants[0], make_user)
    ring = keys.ring(tenants[0].pk)
    script = Script(tenants[0].pk)
    call = whole_call(script, **who)
    party = sealing.seal_party(ring, PartyId(call.party), "+254712345678", "Amina")
    processes.append(start())
    says(processes[0], "intake_started")
    commit(script.entries[:4], [party])

    def state() -> tuple[str, str] | None:
        with tenant_context(tenants[0].pk):
            return Call.objects.values_list("status", "caller_name").filter(pk=call.id).first()

    until(lambda: state() == ("ringing", "Amina"))
    commit(script.entries[4:])
    until(lambda: state() == ("completed", "Amina"))
    with tenant_context(tenants[0].pk):
        row = Call.objects.get()
        assert row.caller_number == "+254712345678" and row.last_seq >= script.seq - 2


def test_a_second_process_waits_until_the_first_is_gone(tenants, make_user, processes):
    processes.append(start())
    says(processes[0], "intake_started")
    processes.append(start())
    says(processes[1], "intake_waits_for_another")
    processes[0].send_signal(signal.SIGTERM)
    assert processes[0].wait(10) == 0
    says(processes[1], "intake_started")


def test_killed_at_any_moment_every_call_is_there_once(tenants, make_user, processes):
    who = make_world(tenants[0], make_user)
    script = Script(tenants[0].pk)
    calls = [whole_call(script, 50 * n, **who).id for n in range(30)]
    chance = random.Random(7)
    position = 0
    while position < len(script.entries):
        if not processes or processes[-1].poll() is not None:
            processes.append(start())
            says(processes[-1], "intake_started")
        size = chance.randint(80, 200)
        commit(script.entries[position : position + size])
        position += size
        until(lambda: at(tenants[0].pk) > 0)
        processes[-1].kill()
        processes[-1].wait(10)
    processes.append(start())
    until(lambda: at(tenants[0].pk) == script.seq)
    with tenant_context(tenants[0].pk):
        assert {str(pk) for pk in Call.objects.values_list("pk", flat=True)} == set(calls)
        assert CallEvent.objects.count() == script.seq
        assert (QueueVisit.objects.count(), Segment.objects.count()) == (30, 60)
        assert {row.talk.total_seconds() for row in Call.objects.all()} == {20.0}


def test_a_notice_is_a_turn_for_its_tenant_and_a_lost_one_is_found(tenants, make_user, monkeypatch):
    """Two hundred tenants are not asked because one of them has a call."""
    who = make_world(tenants[0], make_user)
    script = Script(tenants[0].pk)
    whole_call(script, **who)
    turned: list[str] = []
    real = intake.turn

    def turn(tenant: str) -> intake.Turn:
        turned.append(tenant)
        return real(tenant)

    monkeypatch.setattr(intake, "turn", turn)
    monkeypatch.setattr("web.tenant.calls.follow.POLL_SECONDS", 1e6)
    follower = Follower(threading.Event())
    assert follower.round() == 0 and turned == []
    commit(script.entries[:5])
    assert follower.round() == 0 and turned == []  # not asked again so soon
    assert follower.round([tenants[0].pk]) == 5 and turned == [tenants[0].pk]
    commit(script.entries[5:])
    monkeypatch.setattr("web.tenant.calls.follow.POLL_SECONDS", 0.0)
    assert follower.round() == len(script.entries) - 5 and turned == [tenants[0].pk] * 2
    assert follower.round() == 0 and len(turned) == 2


def test_an_ask_that_is_due_again_is_sent_in_its_tenant_alone(tenants, monkeypatch):
    with tenant_context(tenants[1].pk):
        OutboxAsk.objects.create(
            id="again", kind="FinishWrapUp", body={}, actor="a", tries=1, next_at=timezone.now()
        )
    swept: list[str] = []
    monkeypatch.setattr("web.tenant.calls.outbox.sweep", swept.append)
    Follower(threading.Event()).round()
    assert swept == [tenants[1].pk]


def at(tenant: str) -> int:
    with tenant_context(tenant):
        return intake.position()


def test_one_tenants_trouble_is_not_the_others(tenants, make_user, processes):
    """A gap in the first tenant's log stops only that tenant, until the entry is there."""
    who = [make_world(tenant, lambda role, t=tenant: make_user(role, tenant=t)) for tenant in tenants]
    scripts = [Script(tenant.pk) for tenant in tenants]
    calls = [whole_call(script, **one) for script, one in zip(scripts, who, strict=True)]
    processes.append(start())
    says(processes[0], "intake_started")
    commit(scripts[0].entries[1:])
    commit(scripts[1].entries)
    until(lambda: at(tenants[1].pk) == scripts[1].seq)
    says(processes[0], "intake_turn_failed")
    assert at(tenants[0].pk) == 0
    commit(scripts[0].entries[:1])
    until(lambda: at(tenants[0].pk) == scripts[0].seq)
    with tenant_context(tenants[0].pk):
        assert [str(pk) for pk in Call.objects.values_list("pk", flat=True)] == [calls[0].id]
