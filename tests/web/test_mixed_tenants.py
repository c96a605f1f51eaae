"""Two tenants' requests, sockets and tasks all at once, in real processes: nothing of one reaches the other.

Each tenant holds canaries: contacts whose name is found nowhere else. A server and a worker take 200
operations together; every answer, frame and file is searched for the other tenant's canary. Beside them,
scans that what is named in shared stores names its tenant: Redis keys, channel groups, files, tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import pickle
import re
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from django.conf import settings

from config.env import BASE
from tests.web.kit_events import in_thread
from web.shared.core.stores import redis_client
from web.shared.tenants.context import tenant_context, tenant_db
from web.shared.tenants.services import host_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.redis]
CSRF = "a" * 32
PEOPLE = 5
WITHIN = 90
TENANTS_OWN = re.compile(r"t_[a-z0-9]{12}")


class Side:
    """One tenant as a client sees it: host, people's cookies, its canary and the ids of its contacts."""

    def __init__(self, tenant: Any, slug: str) -> None:
        self.tenant, self.host = tenant, host_of(slug)
        self.canary = f"canary{uuid.uuid4().hex}"
        self.cookies: list[str] = []
        self.contacts: list[str] = []
        self.other: Side = self

    def headers(self, n: int, port: int) -> dict[str, str]:
        return {
            "Host": f"{self.host}:{port}",
            "Cookie": f"{self.cookies[n % PEOPLE]}; {settings.CSRF_COOKIE_NAME}={CSRF}",
            "X-CSRFToken": CSRF,
        }

    def clean(self, text: str) -> None:
        assert self.other.canary not in text, "the other tenant's canary"
        assert self.other.tenant.pk not in text, "the other tenant's id"


@pytest.fixture
def sides(tenants: list[Any], make_user: Any, api: Any, clean_redis: Any) -> list[Side]:
    from web.shared.core import keys
    from web.shared.core.actor import system
    from web.tenant.contacts import services

    found = [Side(tenants[0], "mto"), Side(tenants[1], "ziwa")]
    found[0].other, found[1].other = found[1], found[0]
    name = settings.SESSION_COOKIE_NAME
    for side in found:
        keys._rings.pop(side.tenant.pk, None)
        keys.ensure(side.tenant.pk)
        for _ in range(PEOPLE):
            user = make_user("admin", tenant=side.tenant)
            cookies = api(user, tenant=side.tenant).cookies
            side.cookies.append(f"{name}={cookies[name].value}")
        with tenant_context(side.tenant.pk):
            for n in range(8):
                values = {"first_name": side.canary, "last_name": str(n)}
                made = services.contact_create(actor=system("tests"), values=values, region="KE")
                side.contacts.append(str(made.pk))
    return found


@contextlib.contextmanager
def process(*command: str, connections: int = 8) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ, "MURIMA_METRICS_BIND": "", "PYTHONPATH": str(BASE),
        "MURIMA_DATABASE_POOL": str(connections),
    }  # fmt: skip
    made = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment,
        cwd=BASE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield made
    finally:
        made.terminate()
        try:
            made.wait(15)
        except subprocess.TimeoutExpired:
            made.kill()
            made.wait()


@pytest.fixture
async def port(sides: list[Side]) -> AsyncIterator[int]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = int(probe.getsockname()[1])
    # On a busy machine 200 at once may wait longer for the handshake than a lone visitor should.
    patience = ("--websocket_connect_timeout", "60")
    daphne = ("daphne", "-v", "0", *patience, "-b", "127.0.0.1", "-p", str(free))
    with process(*daphne, "config.asgi:application") as made:
        async with asyncio.timeout(60):
            while True:
                assert made.poll() is None, "the server ended at once"
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", free)
                    writer.close()
                    break
                await asyncio.sleep(0.1)
        yield free


@pytest.fixture
def worker() -> Iterator[Any]:
    """A real worker, as `make up` starts it; it answers a ping before the test goes on. It has half as many
    connections as threads: enough, since a thread holds none between two tasks."""
    from config.celery import app

    command = ("celery", "-A", "config.celery", "worker", "--pool", "threads", "-c", "6", "-l", "error")
    with process(*command, connections=3) as it:
        deadline = time.monotonic() + 60
        while not app.control.ping(timeout=1):
            assert it.poll() is None and time.monotonic() < deadline, "no worker"
        yield app


class Client:
    """The operations. Each checks its own answer, and returns what kind it was."""

    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self.http, self.port = http, port
        self.root = f"http://127.0.0.1:{port}"
        self.exports: list[tuple[Side, int, str]] = []

    async def _ask(self, side: Side, n: int, method: str, path: str, **more: Any) -> tuple[int, str]:
        headers = side.headers(n, self.port) | {"Connection": "close"}
        async with self.http.request(method, self.root + path, headers=headers, **more) as answer:
            text = await answer.text()
            side.clean(text)
            assert answer.status < 500, text
            return answer.status, text

    async def listing(self, side: Side, n: int) -> str:
        status, text = await self._ask(side, n, "GET", "/api/v1/contacts/?limit=100")
        assert status == 200 and text.count(side.canary) >= len(side.contacts)
        return "list"

    async def reading(self, side: Side, n: int) -> str:
        status, text = await self._ask(side, n, "GET", f"/api/v1/contacts/{side.contacts[n % 8]}/")
        assert status == 200 and side.canary in text
        return "read"

    async def foreign(self, side: Side, n: int) -> str:
        path = f"/api/v1/contacts/{side.other.contacts[n % 8]}/"
        status, _ = await self._ask(side, n, "GET", path)
        assert status == 404
        status, _ = await self._ask(side, n, "PATCH", path, json={"title": "x"})
        assert status == 404
        return "foreign"

    async def creating(self, side: Side, n: int) -> str:
        body = {"first_name": side.canary, "last_name": f"made {n}"}
        status, text = await self._ask(side, n, "POST", "/api/v1/contacts/", json=body)
        assert status == 201 and side.canary in text
        return "create"

    async def socket(self, side: Side, n: int) -> str:
        headers = side.headers(n, self.port) | {"Origin": f"http://{side.host}:{self.port}"}
        url = f"{self.root}/ws/v1/desk"
        async with self.http.ws_connect(url, headers=headers, protocols=("murima.v1",)) as ws:
            async with asyncio.timeout(60):
                message = await ws.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, (message, ws.close_code)
            frame = json.loads(message.data)
            side.clean(message.data)
            assert frame["type"] == "hello" and side.tenant.pk in message.data
        return "socket"

    async def export(self, side: Side, n: int) -> str:
        status, text = await self._ask(side, n, "POST", "/api/v1/contacts/exports/", json={"format": "csv"})
        assert status == 202, text
        self.exports.append((side, n, json.loads(text)["id"]))
        return "task"

    async def fetch(self, side: Side, n: int, job: str) -> None:
        """Wait for the job that a worker does, and look at its file."""
        async with asyncio.timeout(WITHIN):
            while True:
                status, text = await self._ask(side, n, "GET", f"/api/v1/jobs/{job}/")
                state = json.loads(text)["state"]
                assert status == 200 and state in ("queued", "running", "done"), text
                if state == "done":
                    break
                await asyncio.sleep(0.2)
        _, text = await self._ask(side, n, "GET", f"/api/v1/jobs/{job}/result/")
        status, text = await self._ask(side, n, "GET", json.loads(text)["url"])
        assert status == 200 and text.count(side.canary) >= len(side.contacts)
        status, _ = await self._ask(side.other, n, "GET", f"/api/v1/jobs/{job}/")
        assert status == 404


@pytest.mark.timeout(300)
async def test_two_hundred_operations_of_two_tenants_at_once_leak_nothing(sides, port, worker):
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=120)
    ) as http:
        client = Client(http, port)
        plan = [client.listing] * 30 + [client.reading] * 20 + [client.foreign] * 15
        plan += [client.creating] * 15 + [client.socket] * 10 + [client.export] * 10
        work = [do(side, n) for n, do in enumerate(plan) for side in sides]
        assert len(work) == 200
        done = await asyncio.gather(*work)
        assert {kind: done.count(kind) for kind in set(done)} == {
            "list": 60, "read": 40, "foreign": 30, "create": 30, "socket": 20, "task": 20,
        }  # fmt: skip
        await asyncio.gather(*(client.fetch(*one) for one in client.exports))
    for side in sides:
        counted = await tenant_db(side.tenant.pk, _canaries, side)
        assert counted == (8 + 15, 0)
    _scan_redis()
    _scan_files()


def _canaries(side: Side) -> tuple[int, int]:
    """(own, foreign) contacts in this tenant's schema."""
    from web.tenant.contacts.models import Contact

    rows = Contact.objects
    return (
        rows.filter(first_name=side.canary).count(),
        rows.filter(first_name=side.other.canary).count(),
    )


def _scan_redis() -> None:
    """Every key names its tenant, or is the broker's own or of the platform as a whole."""
    ours = re.compile(rf"murima:({TENANTS_OWN.pattern}|public):")
    strange = [
        key
        for key in redis_client().scan_iter(count=1000)
        if not ours.match(key) and not key.startswith("murima:celery:")
    ]
    assert strange == []


def _scan_files() -> None:
    """Every file is below its tenant's directory, under names that we generated."""
    uid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    good = re.compile(
        rf"(tenants/{TENANTS_OWN.pattern}/[a-z_-]+/{uid}(/[a-z0-9_-]+)?"
        rf"|anchors/({TENANTS_OWN.pattern}|public)\.jsonl|erasures\.jsonl)"
    )
    root = Path(settings.HOME) / "data"
    names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    assert [name for name in names if not good.fullmatch(name)] == []
    assert any(name.startswith("tenants/") for name in names)


async def test_while_sockets_are_open_every_channel_group_names_its_tenant(sides, port):
    """A socket's own channel, and what is true of a person everywhere, belong to no tenant."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        contextlib.AsyncExitStack() as stack,
    ):
        for n in range(3):
            for side in sides:
                headers = side.headers(n, port) | {"Origin": f"http://{side.host}:{port}"}
                ws = await stack.enter_async_context(
                    http.ws_connect(
                        f"http://127.0.0.1:{port}/ws/v1/desk", headers=headers, protocols=("murima.v1",)
                    )
                )
                assert (await ws.receive()).type is aiohttp.WSMsgType.TEXT
        channels = [str(one) for one in redis_client().pubsub_channels("*")]
    groups = [one for one in channels if "group" in one]
    assert len([one for one in groups if TENANTS_OWN.search(one)]) >= 6
    strange = [
        one for one in groups if not TENANTS_OWN.search(one) and not re.search(r"person\.[0-9a-f-]{36}$", one)
    ]
    assert strange == []


def test_every_task_with_an_argument_takes_its_tenant_first():
    """Tasks without arguments are beat's: they look at everybody and send each tenant's own."""
    from config.celery import app

    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    assert {"events.drain", "jobs.run", "webhooks.deliver", "housekeeping.tenant"} <= set(ours)
    for name, task in ours.items():
        parameters = list(inspect.signature(task.run).parameters)
        assert not parameters or parameters[0] == "tenant_id", name
    for name, entry in app.conf.beat_schedule.items():
        assert entry["task"] in ours and not entry.get("args"), name


@pytest.mark.parametrize(
    "tenant_id", ["", "public", "mto", "../x", "t_MTO000000000", 'x"; DROP SCHEMA y', None, 7]
)
def test_a_task_that_names_no_tenant_refuses(tenants, tenant_id):
    from web.shared.core.event_tasks import drain_tenant

    with pytest.raises((ValueError, TypeError)):
        drain_tenant(tenant_id)
    with pytest.raises(TypeError):
        drain_tenant()


def test_a_thousand_tasks_of_two_tenants_on_the_same_threads_stay_apart(sides):
    """As a worker's threads run them: one after the other on a connection that another tenant just used."""
    from concurrent.futures import ThreadPoolExecutor

    from web.shared.core.tasks import tenant_task

    @tenant_task(name="tests.canaries")
    def look(tenant_id: str, n: int) -> tuple[int, int]:
        side = next(one for one in sides if one.tenant.pk == tenant_id)
        return _canaries(side)

    def run(n: int) -> tuple[int, int]:
        found: tuple[int, int] = look(sides[n % 2].tenant.pk, n)
        return found

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(run, range(1000))) == {(8, 0)}
    from config.celery import app

    app.tasks.unregister("tests.canaries")
    with in_thread(sides[0].tenant.pk, lambda: None):
        pass


class Bomb:
    """Creates the file of its path when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (Path(self.path),)


@pytest.mark.timeout(200)
def test_a_pickled_message_is_refused_and_the_worker_goes_on(sides, worker, tmp_path):
    """Whoever reaches the broker cannot make the worker run code: JSON only."""
    import base64

    from web.shared.core import jobs
    from web.shared.core.actor import system

    marker = tmp_path / "exploded"
    pickle.loads(pickle.dumps(Bomb(str(marker))))
    assert marker.exists(), "the bomb is a real one"
    marker.unlink()
    body = pickle.dumps(((Bomb(str(marker)),), {}, {}))
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "binary",
        "content-type": "application/x-python-serialize",
        "headers": {"task": "events.drain", "id": uuid.uuid4().hex, "lang": "py"},
        "properties": {
            "correlation_id": uuid.uuid4().hex,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": uuid.uuid4().hex,
        },
    }
    redis_client().lpush("murima:celery:celery", json.dumps(message))
    side = sides[0]
    with tenant_context(side.tenant.pk):
        job = jobs.start("contacts.export", actor=system("tests"), params={"format": "csv"}, source=b"{}")
    deadline = time.monotonic() + WITHIN
    with tenant_context(side.tenant.pk):
        while job.state in jobs.OPEN:
            assert time.monotonic() < deadline, "the worker took nothing after the pickled message"
            time.sleep(0.1)
            job.refresh_from_db()
    assert redis_client().llen("murima:celery:celery") == 0
    assert not marker.exists() and worker.control.ping(timeout=5)
