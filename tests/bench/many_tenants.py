"""Two hundred tenants: how long they take to make and to migrate, what they cost each request, and at rest.

`python -m tests.bench.many_tenants [--tenants 200] [--requests 600]`

One durable PostgreSQL holds two databases: `few` has two tenants, `many` has them and all the others. Both
are served by the same code in a process each, which answers requests in turn, so that whatever else the
machine does falls on both alike. Every request goes through Django's whole middleware. Both are asked by the
same number of signed-in browsers in turn, as many as there are tenants, so that only the number of
organisations differs (a browser seen again after a pause costs a write, wherever it belongs). Both processes
are warm: each has been asked by every browser before the first request that counts. A ratio comes with the
interval that holds 95 % of what drawing whole rounds (one of each process) again would have given.

At rest: the processor time of intake, worker, beat and PostgreSQL while nobody does anything, for both
databases one after the other. Figures are printed, and one JSON object is appended to
.murima/bench/many_tenants.jsonl. Ends with 1 when a median is more than a fifth slower.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from deployment.dev.stack import Stack
from tests.bench.processes import sample
from tests.bench.report import percentile

ROOT = Path(__file__).resolve().parents[2]
ROUND = 20
TARGET = 1.2
DRAWS = 400
SETTLE_SECONDS = 20.0
"""Until what the requests left behind (events, seals) has been taken up."""
URLS = ("MURIMA_DATABASE_URL", "MURIMA_DATABASE_OWNER_URL", "MURIMA_DATABASE_DAEMON_URL")


def main() -> int:
    options = _options()
    if options.child:
        return _child()
    # Importing it chooses ports and puts them into the environment, which a child must not do.
    from tests.stack_plugin import private_stack

    with private_stack({"postgres", "redis"}, durable=not options.not_durable) as stack:
        environment = {**os.environ, **stack.environment, "MURIMA_ENV": "test", "MURIMA_LOG_LEVEL": "ERROR"}
        said = _run(stack, environment, options)
    print(json.dumps(said, indent=1))
    file = ROOT / ".murima" / "bench" / "many_tenants.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(said) + "\n")
    return 0 if max(said["ratio_p50"].values()) <= TARGET else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--requests", type=int, default=600, help="per route and database")
    parser.add_argument("--set-back", type=int, default=0, help="schemas to migrate; default: all")
    parser.add_argument("--rest", type=float, default=30.0, help="seconds to look at processes at rest")
    parser.add_argument(
        "--not-durable", action="store_true", help="PostgreSQL without fsync, for a slow disk; it is said"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(stack: Stack, environment: dict[str, str], options: argparse.Namespace) -> dict[str, Any]:
    count, requests = options.tenants, options.requests
    manage(environment, "migrate_schemas", "--shared", "--verbosity", "0")
    _tell("the first tenants")
    first = _timed(lambda: _for_tenants(environment, _CREATE, 0, 1))
    second = _timed(lambda: _for_tenants(environment, _CREATE, 1, 2))
    _for_tenants(environment, _POPULATE, 0, 2)
    few = _copy_database(stack, environment)
    _tell("all the others")
    made = _timed(lambda: _for_tenants(environment, _CREATE, 2, count))
    _tell("migrating")
    migrated = _migrate_all(environment, options.set_back or count)
    _tell("requests")
    _for_tenants(environment, _POPULATE, 2, count)
    samples = _requests({"few": few, "many": environment}, count, requests)
    _tell("at rest")
    rest = {
        name: _at_rest(stack, where, options.rest)
        for name, where in (("few", few), ("many", environment))
        if options.rest
    }
    routes = sorted(samples["few"])
    flat = {
        name: {route: [ms for one in found[route] for ms in one] for route in routes}
        for name, found in samples.items()
    }
    return {
        "tenants": count,
        "durable": not options.not_durable,
        "seconds_first_tenant": round(first, 2),
        "seconds_second_tenant": round(second, 2),
        "seconds_each_of_the_others": round(made / max(1, count - 2), 3),
        **migrated,
        "requests_each": len(flat["few"][routes[0]]),
        **{
            f"p{round(share * 100)}_ms": {
                f"{route} {name}": round(percentile(flat[name][route], share), 2)
                for route in routes
                for name in flat
            }
            for share in (0.5, 0.95)
        },
        "ratio_p50": {route: _ratio(flat, route, 0.5) for route in routes},
        "ratio_p50_interval": {route: _interval(samples, route, 0.5) for route in routes},
        "ratio_p95": {route: _ratio(flat, route, 0.95) for route in routes},
        "ratio_p95_interval": {route: _interval(samples, route, 0.95) for route in routes},
        "cpu_percent_of_a_core_at_rest": rest,
    }


def _tell(what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")
    sys.stderr.flush()


def _ratio(samples: dict[str, dict[str, list[float]]], route: str, share: float) -> float:
    return round(percentile(samples["many"][route], share) / percentile(samples["few"][route], share), 3)


def _interval(samples: dict[str, dict[str, list[list[float]]]], route: str, share: float) -> list[float]:
    """[2.5 %, 97.5 %] of the ratio when rounds are drawn again; a round is drawn for both processes."""
    few, many = samples["few"][route], samples["many"][route]
    draw = random.Random(1)
    found = []
    for _ in range(DRAWS):
        rounds = draw.choices(range(len(few)), k=len(few))
        drawn = [percentile([ms for one in rounds for ms in side[one]], share) for side in (few, many)]
        found.append(drawn[1] / drawn[0])
    return [round(percentile(found, end), 3) for end in (0.025, 0.975)]


def _timed(work: Any) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


# --- making and migrating -----------------------------------------------------------------------------------


def manage(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


_CREATE = """
import django; django.setup()
from web.shared.accounts.onboarding import person_add, tenant_create
from web.shared.core.actor import system
for number in range({first}, {last}, {step}):
    tenant = tenant_create(actor=system("bench"), slug=f"one{{number}}", name=f"One {{number}}")
    person_add(actor=system("bench"), tenant=tenant, email=f"a@one{{number}}.example", role="admin",
               password="a long enough password")
"""


# So that a list has a page to show in every tenant.
_POPULATE = """
import django; django.setup()
from web.shared.core.actor import system
from web.shared.tenants.context import tenant_context
from web.shared.tenants.queries import tenant_by_slug
from web.tenant.contacts.services import contact_create
for number in range({first}, {last}, {step}):
    with tenant_context(tenant_by_slug(f"one{{number}}").pk):
        for _ in range(10):
            contact_create(actor=system("bench"), values={{"first_name": "Amina"}}, region="KE")
"""


def _for_tenants(environment: dict[str, str], program: str, first: int, last: int) -> None:
    """Run the program for these numbers, in two processes when there are many."""
    step = 2 if last - first > 1 else 1
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program.format(first=first + part, last=last, step=step)], cwd=ROOT,
            env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        )
        for part in range(step)
    ]  # fmt: skip
    for process in processes:
        assert process.wait() == 0


def _copy_database(stack: Stack, environment: dict[str, str]) -> dict[str, str]:
    """The same two tenants in a database of their own; returns its environment."""
    superuser = f"postgresql://postgres:{stack.keys['postgres']}@127.0.0.1:{stack.ports['postgres']}/postgres"
    with psycopg.connect(superuser, autocommit=True) as link:
        link.execute("CREATE DATABASE few TEMPLATE murima OWNER murima_owner")
    return environment | {
        name: urlunsplit(urlsplit(environment[name])._replace(path="/few")) for name in URLS
    }


def _migrate_all(environment: dict[str, str], count: int) -> dict[str, float]:
    """Set `count` schemas back by one app, kill -9 the migration in the middle, and let it be resumed."""
    with psycopg.connect(environment["MURIMA_DATABASE_OWNER_URL"], autocommit=True) as link:
        rows = link.execute(
            "SELECT schema_name FROM public.tenants_tenant ORDER BY created_at LIMIT %s", [count]
        ).fetchall()
        for (schema,) in rows:
            tables = link.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename LIKE 'notifications%%'",
                [schema],
            ).fetchall()
            names = ", ".join(f'{schema}."{table}"' for (table,) in tables)
            link.execute(f"DROP TABLE {names} CASCADE".encode())
            link.execute(f"DELETE FROM {schema}.django_migrations WHERE app = 'notifications'".encode())
    _tell("migrating, killed half-way")
    started = time.monotonic()
    process = _migrating(environment)
    assert process.stdout is not None
    before = 0
    for line in process.stdout:
        before += json.loads(line)["state"] == "migrated"
        if before >= len(rows) // 2:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed = time.monotonic()
    _tell("resumed")
    states: list[str] = []
    while not states:  # until the dead one's lock is given back
        process = _migrating(environment)
        said, _ = process.communicate()
        states = [json.loads(line)["state"] for line in said.splitlines()]
    assert process.returncode == 0
    resumed = time.monotonic()
    behind = [json.loads(line)["behind"] for line in _status(environment).splitlines()]
    assert len(behind) > count and not any(behind), "a schema was left behind"
    done = _timed(lambda: manage(environment, "tenant_migrate", "--json"))
    return {
        "schemas_set_back": len(rows),
        "migrated_before_the_kill": before,
        "migrated_after_it": states.count("migrated"),
        "seconds_until_the_kill": round(killed - started, 1),
        "seconds_after_it": round(resumed - killed, 1),
        "seconds_when_nothing_is_to_do": round(done, 1),
    }


def _status(environment: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", "tenant_migrate", "--status", "--json"], cwd=ROOT, check=True,
        env=environment, capture_output=True, text=True,
    ).stdout  # fmt: skip


def _migrating(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "tenant_migrate", "--json"], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env={**environment, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


# --- at rest ------------------------------------------------------------------------------------------------


def _at_rest(stack: Stack, environment: dict[str, str], seconds: float) -> dict[str, float]:
    """Percent of a core that each process takes while nothing happens."""
    schedule = str(stack.home / f"beat-{time.monotonic_ns()}")
    celery = [sys.executable, "-m", "celery", "-A", "config.celery"]
    commands = {
        "intake": [sys.executable, "manage.py", "intake"],
        "worker": [*celery, "worker", "--pool", "threads", "-c", "4", "-l", "error"],
        "beat": [*celery, "beat", "-l", "error", "-s", schedule, "--pidfile="],
    }
    ours = environment | {"MURIMA_METRICS_BIND": ""}
    with contextlib.ExitStack() as ended:
        pids: dict[str, Any] = {"postgres": stack.keeper.status()["postgres"]["pid"]}
        for name, command in commands.items():
            process = subprocess.Popen(
                command, cwd=ROOT, env=ours, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            ended.callback(process.wait)
            ended.callback(process.kill)
            pids[name] = process.pid
        time.sleep(SETTLE_SECONDS)
        first = sample(pids)
        time.sleep(seconds)
        last = sample(pids)
    took = last.at - first.at
    return {name: round(100 * (last.used[name] - first.used[name]) / took, 1) for name in pids}


# --- requests -----------------------------------------------------------------------------------------------


def _requests(
    environments: dict[str, dict[str, str]], count: int, requests: int
) -> dict[str, dict[str, list[list[float]]]]:
    """Milliseconds of each request, by database, route and round."""
    children = {name: _start_child(environment) for name, environment in environments.items()}
    samples: dict[str, dict[str, list[list[float]]]] = {name: {} for name in children}
    tenants = {"few": 2, "many": count}
    try:
        for turn in range(-max(1, 2 * count // ROUND), requests // ROUND):
            for name in sorted(children, reverse=bool(turn % 2)):
                found = _ask(children[name], {"tenants": tenants[name], "browsers": count})
                for route, milliseconds in found.items() if turn >= 0 else ():
                    samples[name].setdefault(route, []).append(milliseconds)
    finally:
        for child in children.values():
            child.kill()
            child.communicate()
    return samples


def _start_child(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.many_tenants", "--child"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
    )  # fmt: skip


def _ask(child: subprocess.Popen[str], what: dict[str, int]) -> dict[str, list[float]]:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(json.dumps(what) + "\n")
    child.stdin.flush()
    found: dict[str, list[float]] = json.loads(child.stdout.readline())
    return found


def _child() -> int:
    """Answer each line of standard input with the milliseconds of ROUND requests of each route."""
    import django

    django.setup()
    clients: dict[int, Any] = {}
    place = 0
    for line in sys.stdin:
        asked = json.loads(line)
        found: dict[str, list[float]] = {"me": [], "contacts": [], "contact_create": []}
        for _ in range(ROUND):
            browser = place % asked["browsers"]
            place += 1
            if browser not in clients:
                clients[browser] = _signed_in(browser % asked["tenants"])
            client = clients[browser]
            for route, samples in found.items():
                started = time.perf_counter()
                answer = _request(client, route)
                samples.append((time.perf_counter() - started) * 1000)
                assert answer.status_code in (200, 201), (route, answer.status_code, answer.content[:300])
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    return 0


def _signed_in(number: int) -> Any:
    from tests.web.fixtures import ApiClient
    from web.shared.accounts.models import User
    from web.shared.tenants.context import public_context
    from web.shared.tenants.queries import tenant_by_slug

    tenant = tenant_by_slug(f"one{number}")
    assert tenant is not None
    with public_context():
        user = User.objects.get(email=f"a@one{number}.example")
    return ApiClient(f"one{number}.localhost").sign_in(user, tenant.pk)


def _request(client: Any, route: str) -> Any:
    if route == "me":
        return client.get("/api/v1/auth/me/")
    if route == "contacts":
        return client.get("/api/v1/contacts/?limit=20")
    return client.post("/api/v1/contacts/", {"first_name": "Amina", "last_name": "Otieno"})


if __name__ == "__main__":
    sys.exit(main())
