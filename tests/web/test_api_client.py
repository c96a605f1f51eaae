"""The Python client and the documentation's examples, against the real application behind a real socket."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.web.fixtures import PASSWORD
from web.shared.accounts.registry import routes
from web.shared.api.schema import FIRST_STEPS
from web.shared.core.webhooks import signatures

CLIENTS = Path(__file__).resolve().parents[2] / "clients" / "python"
sys.path.insert(0, str(CLIENTS))

from murima_client import Client, MurimaError, NotSigned, Unreachable, verified  # noqa: E402

pytestmark = [pytest.mark.database, pytest.mark.redis, pytest.mark.timeout(600)]


@pytest.fixture
def address(live_server, tenants) -> str:
    """The first organisation's address: its host, at the port of the test's server."""
    return f"http://mto.localhost:{live_server.url.rpartition(':')[2]}"


def examples(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", FIRST_STEPS, re.DOTALL)
    assert found
    return "\n".join(found)


def run(arguments: list[str], script: str, folder: Path, **extra: str) -> str:
    environment = {**os.environ, **extra}
    done = subprocess.run(
        arguments,
        input=script,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.django_db(transaction=True)
def test_the_documented_commands_do_what_they_say(address, make_user, tmp_path, clean_redis):
    boss = make_user("admin")
    said = {"MURIMA": address, "EMAIL": boss.email, "PASSWORD": PASSWORD}
    out = run(["bash", "-euo", "pipefail", "-s"], examples("sh"), tmp_path, **said)
    assert '"Call Amina back"' in out and "Dear Amina" in out and "hooks.example.com" in out
    assert '"name":"Amina Otieno"' in out
    client = Client.sign_in(address, boss.email, PASSWORD)
    (case,) = client.cases_list()
    assert case["title"] == "Parcel is late" and [one["case"] for one in client.tasks_list()]


@pytest.mark.django_db(transaction=True)
def test_the_documented_python_does_what_it_says(address, make_user, tmp_path, clean_redis):
    boss = make_user("admin")
    values = f"MURIMA, EMAIL, PASSWORD = {address!r}, {boss.email!r}, {PASSWORD!r}\n"
    out = run([sys.executable, "-"], values + examples("python"), tmp_path, PYTHONPATH=str(CLIENTS))
    assert "['Radio is silent']" in out and "invalid /first_name" in out and "b'Dear Juma'" in out


@pytest.mark.django_db(transaction=True)
def test_the_client_pages_changes_and_tells_problems(address, make_user, clean_redis):
    boss = Client.sign_in(address, make_user("admin").email, PASSWORD)
    made = [boss.contacts_create({"first_name": f"Amina {n}"})["id"] for n in range(5)]
    assert {one["id"] for one in boss.contacts_list(limit=2, sort="created_at")} == set(made)
    whole = boss.read("contacts_retrieve", made[0])
    changed = boss.contacts_partial_update(made[0], {"first_name": "Asha"}, if_match=whole.etag)
    assert changed["first_name"] == "Asha"
    with pytest.raises(MurimaError) as late:
        boss.contacts_partial_update(made[0], {"first_name": "Late"}, if_match=whole.etag)
    assert late.value.status == 412 and late.value.code == "precondition_failed" and late.value.request_id
    key = boss.api_keys_create({"name": "Robot", "scopes": ["contacts.view"]})
    machine = Client(address, key=key["key"])
    me: Any = machine.auth_me()
    assert me["key"]["prefix"] == key["prefix"]
    with pytest.raises(MurimaError) as refused:
        machine.contacts_create({"first_name": "X"})
    assert refused.value.permission == "contacts.edit"
    with pytest.raises(MurimaError) as unknown:
        machine.contacts_retrieve("../../auth/me")
    assert unknown.value.status == 404


@pytest.mark.django_db(transaction=True)
def test_a_refusal_says_in_one_line_what_and_why_and_where(address, make_user, clean_redis):
    with pytest.raises(MurimaError, match="E-mail or password is wrong"):
        Client.sign_in(address, make_user("admin").email, "wrong").auth_me()
    nobody = Client("http://127.0.0.1:9", key="k", attempts=1)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9.*refused"):
        nobody.auth_me()


def test_the_client_takes_what_the_server_signs_and_nothing_else():
    body, secrets = b'{"type": "case.created"}', [signatures.new(), signatures.new()]
    headers = {
        "Webhook-Id": "m1",
        "Webhook-Timestamp": "1000",
        "Webhook-Signature": signatures.signatures(secrets, "m1", 1000, body),
    }
    for secret in secrets:
        assert verified(secret, headers, body, now=1000.0 + 299)["type"] == "case.created"
    refused = [
        (signatures.new(), headers, body, 1000.0),
        (secrets[0], headers, body + b" ", 1000.0),
        (secrets[0], headers | {"Webhook-Id": "m2"}, body, 1000.0),
        (secrets[0], headers, body, 1301.0),
        (secrets[0], headers, body, 699.0),
        (secrets[0], {}, body, 1000.0),
        (secrets[0], headers | {"Webhook-Timestamp": "soon"}, body, 1000.0),
        (secrets[0], headers | {"Webhook-Signature": ""}, body, 1000.0),
    ]
    for secret, sent, said, now in refused:
        with pytest.raises(NotSigned):
            verified(secret, sent, said, now=now)


class Moody(BaseHTTPRequestHandler):
    """Answers 503, 429, then nothing at all, then 201; remembers what came."""

    seen: list[dict[str, str]] = []
    moods: list[int] = []

    def do_POST(self) -> None:
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mood = self.moods.pop(0)
        if mood == 0:
            self.connection.close()
            return
        self.send_response(mood)
        self.send_header("Content-Type", "application/json")
        if mood != 201:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(b'{"id": "x"}')

    do_PATCH = do_POST

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def moody() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Moody)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Moody.seen.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_post_is_sent_again_with_the_same_key_after_what_the_server_says(moody):
    Moody.moods[:] = [503, 429, 0, 201]
    waits: list[float] = []
    client = Client(moody, key="k", sleep=waits.append)
    made: Any = client.contacts_create({"first_name": "A"})
    assert made == {"id": "x"}
    assert len({one["idempotency-key"] for one in Moody.seen}) == 1 and len(Moody.seen) == 4
    assert all(7 <= one <= 7.25 for one in waits[:2]) and waits[2] <= 2


def test_what_could_happen_twice_is_not_sent_twice_and_attempts_end(moody):
    client = Client(moody, key="k", sleep=lambda _: None)
    Moody.moods[:] = [0, 201]
    with pytest.raises(Unreachable):
        client.contacts_partial_update("x", {"first_name": "A"}, if_match='"1"')
    assert len(Moody.seen) == 1
    Moody.moods[:] = [503] * 9
    with pytest.raises(MurimaError):
        client.contacts_create({"first_name": "A"})
    assert len(Moody.seen) == 5


def test_the_client_is_what_the_committed_description_says():
    done = subprocess.run(
        [sys.executable, str(CLIENTS / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert routes
