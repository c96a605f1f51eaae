"""Jobs: done once, taken up again when a worker died, stopped when asked, seen by whom they belong to."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from web.shared.core import files, job_tasks, jobs
from web.shared.core.actor import Actor, ActorKind, system
from web.shared.records.models import AuditEvent, DomainEvent, Job
from web.shared.tenants.context import public_context, tenant_context

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture(autouse=True)
def own_kinds(monkeypatch):
    monkeypatch.setattr(jobs, "kinds", {})
    monkeypatch.setattr(job_tasks, "send", lambda *_: None)


def start(name="test.work", source=b"in", user=None, **params):
    actor = system("tests") if user is None else Actor(ActorKind.USER, id=user.pk)
    return jobs.start(name, actor=actor, params=params, source=source)


def lapse(job):
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_job_reads_its_input_tells_its_progress_and_leaves_its_output(tenant):
    def work(handle):
        handle.progress(1, 2)
        assert Job.objects.get().done == 1
        handle.output.write_bytes(handle.input.read_bytes().upper())
        handle.progress(2)
        return {"rows": 2}

    jobs.kind("test.work", work)
    job = start(answer=42)
    path = files.tenant_path(tenant.pk, "jobs", job.pk, "input")
    assert path.read_bytes() == b"in" and path.parent.stat().st_mode & 0o077 == 0
    assert jobs.run(job.pk) == "done"
    job.refresh_from_db()
    assert (job.state, job.done, job.total, job.result) == ("done", 2, 2, {"rows": 2})
    assert files.tenant_path(tenant.pk, "jobs", job.pk, "output").read_bytes() == b"IN"
    assert jobs.run(job.pk) == "busy", "a finished job is not done again"
    event = DomainEvent.objects.get(type="job.finished")
    assert event.object_id == job.pk and event.data == {"kind": "test.work", "state": "done"}
    assert AuditEvent.objects.get(action="job.start").object_id == str(job.pk)


def test_a_killed_workers_job_is_taken_up_where_it_was_and_the_dead_one_writes_no_more(tenant):
    turns = []

    def work(handle):
        turns.append((handle.turn, dict(handle.place)))
        if handle.turn == 1:
            handle.progress(1, 3, {"at": 1})
            lapse(job)
            assert job.pk in jobs.waiting()
            assert jobs.run(job.pk) == "done", "somebody else takes it up"
            handle.progress(2, place={"at": 2})
        handle.progress(3, place={"at": 3})

    jobs.kind("test.work", work)
    job = start()
    assert jobs.run(job.pk) == "busy"
    assert turns == [(1, {}), (2, {"at": 1})]
    job.refresh_from_db()
    assert (job.state, job.done, job.place, job.turn) == ("done", 3, {"at": 3}, 2)


def test_while_a_lease_runs_nobody_else_takes_the_job(tenant):
    seen = []
    jobs.kind("test.work", lambda handle: seen.append(jobs.run(handle.id)))
    job = start()
    assert jobs.waiting() == [] and jobs.run(job.pk) == "done"
    assert seen == ["busy"]


def test_a_job_that_never_gets_on_is_given_up_and_one_that_does_is_not(tenant):
    def stuck(handle):
        raise OperationalError

    jobs.kind("test.work", stuck)
    job = start()
    for _ in range(jobs.IDLE_TURNS):
        assert jobs.run(job.pk) == "busy"
        lapse(job)
    assert jobs.run(job.pk) == "failed"
    job.refresh_from_db()
    assert job.result == {"error": "gave_up"}

    def slow(handle):
        handle.progress(handle.turn)
        if handle.turn < 12:
            raise OperationalError

    jobs.kind("test.slow", slow)
    job = start("test.slow")
    for _ in range(11):
        assert jobs.run(job.pk) == "busy"
        lapse(job)
    assert jobs.run(job.pk) == "done"


def test_failures_are_told_by_a_code_and_never_by_their_text(tenant):
    def known(handle):
        raise jobs.JobFailed("not_csv")

    def unknown(handle):
        raise RuntimeError("0712 345 678")

    jobs.kind("test.known", known)
    jobs.kind("test.unknown", unknown)
    for name, code in (("test.known", "not_csv"), ("test.unknown", "internal_error")):
        job = start(name)
        assert jobs.run(job.pk) == "failed"
        job.refresh_from_db()
        assert job.result == {"error": code}


def test_a_cancelled_job_stops_at_its_next_progress_or_never_begins(tenant):
    def work(handle):
        handle.progress(1)
        jobs.cancel(Job.objects.get(pk=handle.id), actor=system("tests"))
        handle.progress(2)
        raise AssertionError("it went on")

    jobs.kind("test.work", work)
    running, waiting = start(), start()
    assert jobs.run(running.pk) == "cancelled"
    jobs.cancel(waiting, actor=system("tests"))
    waiting.refresh_from_db()
    assert waiting.state == "cancelled" and jobs.run(waiting.pk) == "busy"
    assert Job.objects.get(pk=running.pk).done == 1


def test_files_go_after_a_day_and_with_an_erasure(tenant, django_capture_on_commit_callbacks):
    def work(handle):
        handle.output.write_bytes(b"0712 345 678")

    jobs.kind("test.work", work)
    first, second = start(), start()
    with django_capture_on_commit_callbacks(execute=True):
        jobs.run(first.pk)
        jobs.run(second.pk)
    home = files.tenant_path(tenant.pk, "jobs", first.pk)
    assert (home / "output").exists() and not (home / "input").exists()
    Job.objects.filter(pk=first.pk).update(expires_at=timezone.now())
    jobs.forget_old()
    assert not home.exists() and Job.objects.filter(pk=first.pk).exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.erase_files(uuid.uuid4(), system("tests")) == 1
    assert not files.tenant_path(tenant.pk, "jobs", second.pk).exists()


def test_an_upload_that_nobody_took_up_goes_after_an_hour(tenant):
    old, new = (files.make_room(files.tenant_path(tenant.pk, files.UPLOADS, uuid.uuid4())) for _ in range(2))
    old.write_bytes(b"0712 345 678")
    new.write_bytes(b"on its way")
    os.utime(old, (0, time.time() - 3601))
    jobs.forget_old()
    assert not old.exists() and new.exists()
    new.unlink()


def test_what_nobody_sent_or_whose_worker_died_is_swept_up(tenants, monkeypatch):
    sent = []
    jobs.kind("test.work", lambda handle: None)
    with tenant_context(tenants[1].pk):
        job = start()
        assert job_tasks.sweep() == 0
        lapse(job)
    monkeypatch.setattr(job_tasks, "send", lambda *names: sent.append(names))
    assert job_tasks.sweep() == 1 and sent == [(tenants[1].pk, str(job.pk))]


class TestApi:
    url = "/api/v1/jobs/"

    @pytest.fixture(autouse=True)
    def parts(self, tenants, make_user, api, monkeypatch):
        self.tenants, self.make_user, self.api = tenants, make_user, api

        def work(handle):
            handle.output.write_bytes(b"a,b\r\n")
            return {"rows": 1}

        jobs.kind("test.work", work)

    def done(self, user, tenant=None):
        owner = tenant or self.tenants[0]
        with tenant_context(owner.pk):
            job = start(user=user)
            assert jobs.run(job.pk) == "done"
        return job

    def test_whoever_started_it_sees_it_an_admin_sees_all_and_others_nothing(self):
        agent, other, admin = (self.make_user(role) for role in ("agent", "agent", "admin"))
        job = self.done(agent)
        theirs = self.done(self.make_user("admin", tenant=self.tenants[1]), self.tenants[1])
        for user, status in ((agent, 200), (admin, 200), (other, 404)):
            client = self.api(user)
            assert client.get(f"{self.url}{job.pk}/").status_code == status
            assert client.get(f"{self.url}{job.pk}/result/").status_code == status
            assert len(client.get(self.url).json()["data"]) == (status == 200)
            for path in ("", "result/", "errors/"):
                assert client.get(f"{self.url}{theirs.pk}/{path}").status_code == 404
            assert client.delete(f"{self.url}{theirs.pk}/").status_code == 404
        body = self.api(agent).get(f"{self.url}{job.pk}/").json()
        assert body["state"] == "done" and body["result"] == {"rows": 1} and body["has_result"]
        assert not body["has_errors"]
        assert self.api(agent).get(f"{self.url}{job.pk}/errors/").status_code == 404
        assert self.api(agent).get(f"{self.url}?state=failed").json()["data"] == []

    def test_the_result_is_fetched_at_a_url_for_a_while_by_anybody_who_was_handed_it(self):
        user = self.make_user("agent")
        job = self.done(user)
        link = self.api(user).get(f"{self.url}{job.pk}/result/").json()
        assert link["size"] == 5 and link["media_type"] == "text/csv"
        answer = self.api().get(link["url"])
        assert answer.status_code == 200 and b"".join(answer.streaming_content) == b"a,b\r\n"
        assert answer["Content-Disposition"] == f'attachment; filename="test.work-{job.pk}.csv"'
        assert answer["X-Content-Type-Options"] == "nosniff" and "no-store" in answer["Cache-Control"]
        assert self.api(tenant=self.tenants[1]).get(link["url"]).status_code == 404
        assert self.api().get(link["url"][:-2] + "x/").status_code == 404

    def test_the_url_dies_with_its_time_with_its_user_and_with_the_file(self, monkeypatch):
        from web.shared.accounts.models import TenantMembership

        user = self.make_user("agent")
        job = self.done(user)
        url = self.api(user).get(f"{self.url}{job.pk}/result/").json()["url"]
        now = time.time()
        with monkeypatch.context() as later:
            later.setattr(time, "time", lambda: now + 15 * 60 + 1)
            assert self.api().get(url).status_code == 404
        for active in (False, True):
            with public_context():
                TenantMembership.objects.filter(user=user).update(is_active=active)
            assert self.api().get(url).status_code == (200 if active else 404)
        with tenant_context(self.tenants[0].pk):
            Job.objects.update(expires_at=timezone.now())
        assert self.api().get(url).status_code == 404

    def test_delete_cancels_and_refuses_what_has_ended(self):
        user = self.make_user("agent")
        with tenant_context(self.tenants[0].pk):
            job = start(user=user)
        client = self.api(user)
        assert client.get(f"{self.url}{job.pk}/result/").status_code == 409
        assert client.delete(f"{self.url}{job.pk}/").status_code == 204
        assert client.get(f"{self.url}{job.pk}/").json()["state"] == "cancelled"
        assert client.delete(f"{self.url}{job.pk}/").status_code == 409


def test_paths_are_made_of_ids_and_plain_words_only(tenants):
    good = uuid.uuid4()
    path = files.tenant_path(tenants[0].pk, "jobs", good)
    assert path.parts[-4:] == ("tenants", tenants[0].pk, "jobs", str(good))
    for tenant_id, area, pk, part in (
        ("public", "jobs", good, ""),
        ("../../etc", "jobs", good, ""),
        (tenants[0].pk, "../jobs", good, ""),
        (tenants[0].pk, "jobs/x", good, ""),
        (tenants[0].pk, "", good, ""),
        (tenants[0].pk, "jobs", "../../x", ""),
        (tenants[0].pk, "jobs", "{" + str(good) + "}", ""),
        (tenants[0].pk, "jobs", str(good).upper() if str(good).upper() != str(good) else "X", ""),
        (tenants[0].pk, "jobs", good, "../x"),
        (tenants[0].pk, "jobs", good, "invoice.pdf"),
        (tenants[0].pk, "jobs", good, "a\x00"),
    ):
        with pytest.raises(ValueError):
            files.tenant_path(tenant_id, area, pk, part)


def test_a_signed_url_is_good_for_one_file_of_one_tenant(tenants):
    pk, user = uuid.uuid4(), uuid.uuid4()
    token = files.signed_url(tenants[0].pk, "jobs", pk, user, 60, part="output").split("/")[-2]
    signed = files.verify(token, tenants[0].pk, "jobs")
    assert (signed.id, signed.user_id, signed.part) == (pk, user, "output")
    for tenant_id, area, text in (
        (tenants[1].pk, "jobs", token),
        (tenants[0].pk, "documents", token),
        (tenants[0].pk, "jobs", token[:-1]),
        (tenants[0].pk, "jobs", "nonsense"),
    ):
        with pytest.raises(files.BadToken):
            files.verify(text, tenant_id, area)
