"""What must be there for Murima to work, looked at one by one.

Each check answers with a Finding: what was seen, and when it is not good, why it matters and what is next.
`dependency` findings are about other servers (exit code 5), the rest about us (1). Every look outside has a
deadline of a few seconds; nothing is changed.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.core.checks import ERROR, run_checks

from config.env import KIND
from web.shared.core.stores import redis_client
from web.shared.tenants.versions import public_version, tenant_versions

ASTERISK_FLOOR = (22, 10, 1)
SECONDS = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """`state`: ok, warning or failure."""

    check: str
    state: str
    what: str
    why: str = ""
    next_step: str = ""
    dependency: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def good(check: str, what: str) -> Finding:
    return Finding(check, "ok", what)


def bad(check: str, what: str, why: str, next_step: str, *, dependency: bool = False) -> Finding:
    return Finding(check, "failure", what, why, next_step, dependency)


def examine() -> Iterator[Finding]:
    """Every finding, in an order in which a later one may rest on an earlier one."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as problem:
            name = check.__name__.strip("_")
            yield bad(
                name,
                f"{type(problem).__name__} while looking.",
                "See the findings above.",
                "mend those first",
            )


def _configuration() -> Iterator[Finding]:
    problems = [one for one in run_checks() if one.level >= ERROR]
    for one in problems:
        yield bad(
            "configuration", f"{one.id}: {one.msg}", "The product does not start like this.", one.hint or ""
        )
    if KIND != "production" and "development-only" in settings.SECRET_KEY:
        said = "MURIMA_SECRET_KEY is the development default."
        yield Finding("configuration", "warning", said, "Sessions could be forged.", "set MURIMA_SECRET_KEY")
    if not problems:
        yield good("configuration", f"{KIND}, no error")


def _databases() -> Iterator[Finding]:
    for role, config in (
        ("application", settings.DATABASES["default"]),
        ("owner", settings.DATABASE_OWNER),
        ("daemon", settings.DATABASE_DAEMON),
    ):
        yield from _database(role, config)


def _database(role: str, config: dict[str, Any]) -> Iterator[Finding]:
    name = f"postgresql {role}"
    try:
        with psycopg.connect(
            host=config["HOST"], port=config["PORT"] or 5432, user=config["USER"],
            password=config["PASSWORD"], dbname=config["NAME"], connect_timeout=SECONDS,
        ) as link:  # fmt: skip
            version = link.info.server_version // 10000
            row = link.execute(
                "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            found = link.execute("SELECT extname FROM pg_extension").fetchall()
    except psycopg.OperationalError:
        yield bad(
            name, "It does not answer, or refuses us.", "Nothing works without it.",
            "check the server and MURIMA_DATABASE_URL", dependency=True,
        )  # fmt: skip
        return
    if version < 15:
        yield bad(name, f"PostgreSQL {version}.", "15 or newer is needed.", "upgrade it", dependency=True)
    if row is not None and any(row) and role != "owner":
        why = "Row security and append-only tables do not hold for it."
        yield bad(name, "The role is a superuser or bypasses row security.", why, "use a plain role")
    missing = {"pg_trgm", "unaccent"} - {extension for (extension,) in found}
    if missing and role == "owner":
        yield bad(
            name,
            f"Extensions missing: {', '.join(sorted(missing))}.",
            "Search needs them.",
            "manage.py migrate",
        )
    yield good(name, f"PostgreSQL {version} answers")


def _migrations() -> Iterator[Finding]:
    behind = [one for one in [public_version(), *tenant_versions()] if one.behind]
    for one in behind[:10]:
        what = f"{one.id} {one.slug} lacks {len(one.behind)} migrations"
        yield bad("migrations", what, "Its pages will fail.", "manage.py tenant_migrate")
    if not behind:
        yield good("migrations", "every schema is current")


def _tenant_tables() -> Iterator[Finding]:
    problems = run_checks(tags=["database"], databases=["default"])
    for one in problems:
        yield bad("tenancy", one.msg, "It would be read in place of a tenant's.", "drop it as the owner")
    if not problems:
        yield good("tenancy", "no tenant's table is in public")


def _redis() -> Iterator[Finding]:
    try:
        info: Any = redis_client().info()
    except redis.RedisError:
        yield bad(
            "redis", "It does not answer.", "Screens go stale and nobody can sign in.",
            "check the server and MURIMA_REDIS_URL", dependency=True,
        )  # fmt: skip
        return
    version = str(info["redis_version"])
    if int(version.split(".")[0]) < 7:
        yield bad("redis", f"Redis {version}.", "7 or newer is needed.", "upgrade it", dependency=True)
    if info.get("maxmemory_policy", "noeviction") != "noeviction":
        why = "Under pressure it would drop parts of streams."
        yield Finding("redis", "warning", "It may evict keys.", why, "set maxmemory-policy noeviction")
    yield good("redis", f"Redis {version} answers")


def asterisk_version() -> str:
    """What ARI says Asterisk's version is. HTTPError, OSError, ValueError or KeyError when it does not."""
    secret = base64.b64encode(f"{settings.ARI_USER}:{settings.ARI_PASSWORD}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's own setting
        f"{settings.ARI_URL}/ari/asterisk/info?only=system", headers={"Authorization": f"Basic {secret}"}
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        return str(json.load(answer)["system"]["version"])


def _asterisk() -> Iterator[Finding]:
    try:
        version = asterisk_version()
    except urllib.error.HTTPError as problem:
        why = "The daemon cannot steer calls."
        yield bad(
            "asterisk",
            f"ARI answers {problem.code}.",
            why,
            "check MURIMA_ARI_USER and _PASSWORD",
            dependency=True,
        )
        return
    except (OSError, ValueError, KeyError):
        why = "No call can be handled."
        yield bad(
            "asterisk", "ARI does not answer.", why, "check the server and MURIMA_ARI_URL", dependency=True
        )
        return
    numbers = tuple(int(part) for part in version.split("-")[0].split(".") if part.isdigit())
    if numbers < ASTERISK_FLOOR:
        why = "Older ones let a read-only ARI user write."
        yield bad("asterisk", f"Asterisk {version}.", why, "upgrade to 22.10.1 or newer", dependency=True)
    yield good("asterisk", f"Asterisk {version} answers")


def _ports() -> Iterator[Finding]:
    host, _, port = os.environ.get("MURIMA_WEB_BIND", "").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host or "127.0.0.1", int(port)), timeout=SECONDS).close()
    except OSError:
        yield good("ports", f"{port} is free for the web process")
        return
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/livez", timeout=SECONDS) as answer:
            ours = json.load(answer) == {"status": "live"}
    except (OSError, ValueError):
        ours = False
    if ours:
        yield good("ports", f"the web process answers at {port}")
    else:
        yield bad(
            "ports", f"Port {port} is taken by something else.", "The web process cannot start.", "free it"
        )


def _browser_application() -> Iterator[Finding]:
    if (settings.UI_ROOT / "index.html").is_file():
        yield good("browser application", "built")
    else:
        why = "People would see an error page."
        yield Finding("browser application", "warning", "It is not built.", why, "make ui")


# What the probes see and no check above does; "why" and "next" for when it is not well.
_ADVICE = {
    "daemon": ("Calls are answered by the fallback only.", "start the daemon, or read its log"),
    "intake": (
        "Calls are handled, but their rows come late.",
        "start the intake; intake --retry for parked calls",
    ),
    "queue": ("Mails, webhooks and reminders come late.", "start a worker, or more of them"),
    "disk": ("When it is full, PostgreSQL and the log stop.", "free space, or enlarge the disk"),
}


def _components() -> Iterator[Finding]:
    from web.shared.platform_admin import health

    for component, (why, next_step) in _ADVICE.items():
        status, metrics = health.PROBES[component]()
        said = ", ".join(f"{key} {value}" for key, value in metrics.items())
        if status == "healthy":
            yield good(component, said)
        else:
            state = "warning" if status == "warning" or component == "daemon" else "failure"
            yield Finding(component, state, said, why, next_step)


CHECKS: list[Callable[[], Iterator[Finding]]] = [
    _configuration, _databases, _migrations, _tenant_tables, _redis, _asterisk, _ports, _browser_application,
    _components,
]  # fmt: skip
