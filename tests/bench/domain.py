"""The REST API on a large tenant: 1,000,000 contacts, 1,000,000 calls, 200,000 cases.

    python -m tests.bench.domain                 the whole (about ten minutes, most of it filling)
    python -m tests.bench.domain --rows 50000    smaller: cases are a fifth of that
    python -m tests.bench.domain --home DIR      keep the filled stack there, and use it again the next time

A stack of its own, durable; one web process, asked by one client, one request after another, over HTTP. One
contact, call and case are made through the API; SQL multiplies their rows with names, numbers and times of
their own, so the rows are what the application writes. Prints a table, writes a JSON line for each row to
.murima/bench/, and says which targets were missed: they are the product's promise, and fail nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from deployment.dev.say import say
from deployment.dev.stack import Stack
from tests.bench import case_rows, processes
from tests.bench.child import CHECKOUT
from tests.bench.client import Client, psql
from tests.bench.every_list import lists
from tests.bench.report import percentile

SLUG = "amani"
FIRST = ("Achieng", "Baraka", "Chebet", "Daudi", "Esther", "Faraja", "Grace", "Hamisi", "Imani", "Juma")
LAST = ("Abdi", "Barasa", "Cherono", "Dida", "Ekai", "Fundi", "Gitau", "Hassan", "Irungu", "Jeptoo", "Kamau")
WORDS = ("school", "violence", "hunger", "custody", "bullying", "exploitation", "health", "shelter", "online")
RARE = "(n % 5000 = 7)"
LIST_MS, SEARCH_MS, PHONE_MS = 60.0, 120.0, 5.0
ASKED = 200


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--only", default="", metavar="TEXT", help="only what has this in its name")
    parser.add_argument("--home", type=Path, help="where the filled stack is kept; without it, nowhere")
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="murima-bench-"))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)
    stack = Stack(home, {"postgres", "redis", "asterisk", "murima"}, durable=True)
    # The limits protect a deployment from its clients; here the client is the measure.
    os.environ["MURIMA_RATE_LIMIT_SCALE"] = "100000"
    try:
        stack.start()
        rows = asyncio.run(_measure(stack, options, random.Random(options.seed)))
    finally:
        stack.stop()
        if options.home is None:
            shutil.rmtree(home, ignore_errors=True)
    _report(rows, options.rows)
    return 0


async def _measure(stack: Stack, options: argparse.Namespace, draw: random.Random) -> list[dict[str, Any]]:
    count, only = options.rows, options.only
    run = stack.run()
    tenant = next(one for one in run["tenants"] if one["slug"] == SLUG)
    boss = next(user for user in tenant["users"] if user["role"] == "admin")
    async with aiohttp.ClientSession() as web:
        client = Client(web, run["web"], tenant)
        await client.sign_in(boss)
        filler = _Filler(stack, tenant["id"], client)
        await filler.fill(count)
        found = [_phone_in_database(stack, tenant["id"], count, draw)]
        parents = {"contacts": await filler.newest("contacts"), "cases": await filler.newest("cases")}
        every: list[tuple[str, float, Ask]] = [
            (path.partition("?")[0], LIST_MS, partial(client.get, path)) for path in lists(parents)
        ]
        for name, target, ask in (*_asks(client, count, draw), *every):
            if only in name:
                found.append(await _time(name, target, ask))
    return found


class _Filler:
    """Multiplies rows that the application wrote."""

    def __init__(self, stack: Stack, tenant: str, client: Client) -> None:
        self._stack, self._tenant, self._client = stack, tenant, client

    async def fill(self, count: int) -> None:
        if self._sql("SELECT 1 FROM cases_case WHERE case_number LIKE '1999-%' LIMIT 1"):
            say("filled already")
            return
        contact = await self._client.post(
            "contacts/", {"first_name": "Zawadi", "last_name": "Zuri", "phone": "+254700999999"}
        )
        categories = await self._client.get("reference-data/case-categories/?limit=1")
        case = await self._client.post(
            "cases/",
            {"title": "A case", "description": "x", "case_type": categories["data"][0]["id"]},
        )
        call = self._sql("SELECT id FROM calls_call ORDER BY started_at LIMIT 1").strip() or self._call()
        name = f"({_pick(FIRST)})[1 + n % {len(FIRST)}]", f"({_pick(LAST)})[1 + (n / 7) % {len(LAST)}]"
        number = "'+2547' || lpad((n * 7919::bigint % 100000000)::text, 8, '0')"
        ago = f"now() - ({count} - n) * interval '7 seconds'"
        say(f"filling {count:,} contacts")
        plain = f"lower({name[0]} || ' ' || {name[1]} || ' ' || n)"
        self._multiply("contacts_contact", contact["id"], count, {
            "id": _id("c0"), "first_name": name[0], "last_name": f"{name[1]} || ' ' || n",
            "email": "'p' || n || '@example.org'", "created_at": ago, "updated_at": ago,
            "name_key": plain,
            "search_text": f"' ' || {plain} || ' p' || n || '@example.org ' || substr({number}, 2)",
            "legal_hold": RARE, "is_active": f"NOT {RARE}",
            "preferred_language": f"CASE WHEN {RARE} THEN 'fr' ELSE 'sw' END",
        })  # fmt: skip
        phone = self._sql(
            f"SELECT id FROM contacts_contactphone WHERE contact_id = '{contact['id']}'"
        ).strip()
        self._multiply(
            "contacts_contactphone",
            phone,
            count,
            {"id": _id("b0"), "contact_id": _id("c0"), "number": number},
        )
        say(f"filling {count:,} calls")
        self._multiply("calls_call", call, count, {
            "id": _id("a0"), "party": "NULL", "caller_number": number, "contact_id": _id("c0"),
            "started_at": ago, "created_at": ago, "updated_at": ago,
            "answered_at": f"{ago} + interval '5 seconds'", "ended_at": f"{ago} + interval '95 seconds'",
            "status": f"CASE WHEN {RARE} THEN 'failed' WHEN n % 5 = 0 THEN 'abandoned' ELSE 'completed' END",
            "outcome": f"CASE WHEN {RARE} THEN 'failed' WHEN n % 5 = 0 THEN 'abandoned' ELSE 'completed' END",
            "direction": f"CASE WHEN {RARE} THEN 'outbound' ELSE 'inbound' END",
        })  # fmt: skip
        say(f"filling {count // 5:,} cases")
        words = (
            f"({_pick(WORDS)})[1 + n % {len(WORDS)}] || ' ' || ({_pick(WORDS)})[1 + (n / 11) % {len(WORDS)}]"
        )
        self._multiply("cases_case", case["id"], count // 5, {
            "id": _id("d0"), "case_number": "'1999-' || lpad(n::text, 6, '0')",
            "title": f"{words} || ' ' || n",
            # The oldest twentieth shares a word that no newer case has.
            "description": f"{words} || CASE WHEN n < {count // 100} THEN ' typewriter' ELSE '' END",
            "due_date": f"CASE WHEN n % 2 = 0 THEN {ago} + interval '30 days' END",
            "channel": f"CASE WHEN {RARE} THEN 'email' ELSE 'voice' END",
            "confidentiality": f"CASE WHEN {RARE} THEN 'restricted' ELSE 'normal' END",
            "status": "(ARRAY['open','pending','resolved','closed'])[1 + n % 4]",
            "priority": "(ARRAY['low','medium','high'])[1 + n % 3]", "created_at": ago, "updated_at": ago,
        })  # fmt: skip
        say("filling what hangs on the cases")
        await case_rows.fill(self._client, self._multiply, case["id"], count // 5, _id)
        self._sql("VACUUM ANALYZE")

    async def newest(self, path: str) -> str:
        return str((await self._client.get(f"{path}/?limit=1"))["data"][0]["id"])

    def _call(self) -> str:
        """A call, when the demo has none yet: the columns that the intake would have filled."""
        self._sql(
            "INSERT INTO calls_call (id, created_at, updated_at, is_deleted, revision, direction, status,"
            " outcome, caller_number, caller_name, started_at, wait, talk, hold, wrap_up, note, asterisk_ids,"
            " last_seq) VALUES (gen_random_uuid(), now(), now(), false, 1, 'inbound', 'completed',"
            " 'completed', '', '', now(), '5 s', '90 s', '0', '20 s', '', '{}', 0)"
        )
        return self._sql("SELECT id FROM calls_call LIMIT 1").strip()

    def _multiply(self, table: str, template: str, count: int, changed: dict[str, str]) -> None:
        """`count` copies of one row, with SQL expressions over `n` for the columns that differ."""
        columns = self._sql(
            "SELECT attname FROM pg_attribute WHERE attrelid = "
            f"'{table}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
        ).split()
        chosen = ", ".join(f'"{column}"' for column in columns)
        values = ", ".join(changed.get(column, f't."{column}"') for column in columns)
        self._sql(
            f"INSERT INTO {table} ({chosen}) SELECT {values} FROM {table} t, "
            f"generate_series(1, {count}) n WHERE t.id = '{template}'"
        )

    def _sql(self, text: str) -> str:
        prefix = f"SET search_path = {self._tenant}, public, extensions;\n"
        return psql(self._stack, prefix + text)


def _pick(words: tuple[str, ...]) -> str:
    return "ARRAY[" + ", ".join(f"'{word}'" for word in words) + "]"


def _id(prefix: str) -> str:
    """A UUID of its own for each n, in the order of n."""
    return f"('01900000-{prefix}00-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"


def _phone_in_database(stack: Stack, tenant: str, count: int, draw: random.Random) -> dict[str, Any]:
    """The pop's query, timed by the database, plans warm."""
    samples = []
    script = [f"SET search_path = {tenant}, public, extensions;", "\\timing on"]
    for _ in range(ASKED + 20):
        number = "+2547" + f"{draw.randrange(1, count) * 7919 % 100_000_000:08d}"
        script.append(
            "SELECT c.id FROM contacts_contact c JOIN contacts_contactphone p ON p.contact_id = c.id"
            f" WHERE p.number = '{number}' AND NOT c.is_deleted ORDER BY c.is_active DESC, c.updated_at DESC"
            " LIMIT 20;"
        )
    for line in psql(stack, "\n".join(script)).splitlines():
        if line.startswith("Time:"):
            samples.append(float(line.split()[1]))
    return _row("contact by phone, in the database", samples[20:], 0.99, PHONE_MS)


Ask = Callable[[], Awaitable[Any]]


def _asks(client: Client, count: int, draw: random.Random) -> list[tuple[str, float, Ask]]:
    def day() -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - draw.randrange(count) * 7))

    def phone() -> str:
        return f"07{draw.randrange(1, count) * 7919 % 100_000_000:08d}"

    def number() -> int:
        return draw.randrange(count)

    return [
        ("contacts, newest first", LIST_MS, lambda: client.get("contacts/?limit=50")),
        ("contacts, by last name", LIST_MS, lambda: client.get("contacts/?limit=50&sort=last_name")),
        ("contacts on legal hold, which few are", LIST_MS,
         lambda: client.get("contacts/?limit=50&legal_hold=true")),
        ("contacts, inactive, which few are", LIST_MS,
         lambda: client.get("contacts/?limit=50&is_active=false")),
        ("contacts of a rare language", LIST_MS,
         lambda: client.get("contacts/?limit=50&preferred_language=fr")),
        ("contacts of a number", LIST_MS, lambda: client.get(f"contacts/?phone={phone()}")),
        ("contacts, search a name", SEARCH_MS,
         lambda: client.get(f"contacts/?q={draw.choice(FIRST)}%20{draw.choice(LAST)}%20{number()}")),
        ("contacts, search a common name", SEARCH_MS,
         lambda: client.get(f"contacts/?q={draw.choice(FIRST)}")),
        ("contacts, search a number", SEARCH_MS, lambda: client.get(f"contacts/?q={phone()}")),
        ("contacts, search for nobody", SEARCH_MS,
         lambda: client.get(f"contacts/?q=xyzzy{draw.randrange(1000)}")),
        ("calls, newest first", LIST_MS, lambda: client.get("calls/?limit=50")),
        ("calls, abandoned", LIST_MS, lambda: client.get("calls/?limit=50&status=abandoned")),
        ("calls, failed, which few are", LIST_MS, lambda: client.get("calls/?limit=50&status=failed")),
        ("calls, outbound, which few are", LIST_MS, lambda: client.get("calls/?limit=50&direction=outbound")),
        ("calls, last ended first", LIST_MS, lambda: client.get("calls/?limit=50&sort=-ended_at")),
        ("calls, from a moment on", LIST_MS,
         lambda: client.get(f"calls/?limit=50&started_at[lt]={day()}")),
        ("calls, search a number", SEARCH_MS, lambda: client.get(f"calls/?q={phone()}")),
        ("calls, search a name", SEARCH_MS,
         lambda: client.get(f"calls/?q={draw.choice(FIRST)}%20{draw.choice(LAST)}%20{number()}")),
        ("calls, search a common name", SEARCH_MS, lambda: client.get(f"calls/?q={draw.choice(FIRST)}")),
        ("cases, newest first", LIST_MS, lambda: client.get("cases/?limit=50")),
        ("cases, open and high", LIST_MS, lambda: client.get("cases/?limit=50&status=open&priority=high")),
        ("cases, restricted, which few are", LIST_MS,
         lambda: client.get("cases/?limit=50&confidentiality=restricted")),
        ("cases of a rare channel", LIST_MS, lambda: client.get("cases/?limit=50&channel=email")),
        ("cases, last due first", LIST_MS, lambda: client.get("cases/?limit=50&sort=-due_date")),
        ("cases, late by their clocks", LIST_MS, lambda: client.get("cases/?limit=50&sla_state=breached")),
        ("cases, search a word of old ones", SEARCH_MS, lambda: client.get("cases/?q=typewriter")),
        ("cases, search a misspelt word", SEARCH_MS,
         lambda: client.get(f"cases/?q={draw.choice(WORDS)[:-2]}xs")),
        ("cases, search two words", SEARCH_MS,
         lambda: client.get(f"cases/?q={draw.choice(WORDS)}%20{draw.choice(WORDS)}")),
        ("cases, search a number", SEARCH_MS,
         lambda: client.get(f"cases/?q=1999-{draw.randrange(1, count // 5):06d}")),
    ]  # fmt: skip


async def _time(name: str, target: float, ask: Ask) -> dict[str, Any]:
    samples = []
    for number in range(ASKED + 10):
        begun = time.perf_counter()
        await ask()
        if number >= 10:
            samples.append((time.perf_counter() - begun) * 1000)
    row = _row(name, samples, 0.95, target)
    say(f"{name}: p50 {row['p50']:.1f} ms, p95 {row['p95']:.1f} ms")
    return row


def _row(name: str, samples: list[float], share: float, target: float) -> dict[str, Any]:
    return {
        "what": name,
        "p50": percentile(samples, 0.5),
        "p95": percentile(samples, 0.95),
        "p99": percentile(samples, 0.99),
        "judged": percentile(samples, share),
        "target": target,
        "share": share,
        "samples": len(samples),
    }


def _report(rows: list[dict[str, Any]], count: int) -> None:
    print("| what | p50 ms | p95 ms | p99 ms | target |\n|---|---|---|---|---|")
    for row in rows:
        target = f"p{row['share'] * 100:.0f} ≤ {row['target']:.0f}"
        print(f"| {row['what']} | {row['p50']:.1f} | {row['p95']:.1f} | {row['p99']:.1f} | {target} |")
    at = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    file = CHECKOUT / ".murima/bench" / f"{at}-domain.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    common = {"at": at, "rows": count, "machine": processes.model(), "load": list(os.getloadavg())}
    file.write_text("".join(json.dumps({**common, **row}) + "\n" for row in rows))
    for row in rows:
        if not row["judged"] <= row["target"]:
            print(f"target missed: {row['what']}: {row['judged']:.1f} ms, not {row['target']:.0f}")


if __name__ == "__main__":
    sys.exit(main())
