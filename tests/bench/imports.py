"""Imports of contacts: rows a second, through the API and the worker, as a client sees it.

    python -m tests.bench.imports                 100,000 rows a file (about five minutes)
    python -m tests.bench.imports --rows 20000    smaller

A stack of its own, durable, with all of Murima's processes at their usual priorities: beside the import the
worker hands its events to every consumer. One client uploads a file over HTTP and asks for the job's progress
until it ends. In order: a file of new people; the same file again with `on_conflict=update`, which changes
nothing; again with another organisation in each row; and a file of other people with 5 % bad rows. The clock
runs from the moment at which the upload begins to the answer that says `done`.

Prints a table, writes a JSON line for each run to .murima/bench/, and says which targets were missed: they
are the product's promise, and fail nothing. It fails when progress goes backwards or jumps to the end, or
when what the job says, the tables, the audit rows or the events differ from what is in the file.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from deployment.dev.say import say
from deployment.dev.stack import Stack
from tests.bench import processes
from tests.bench.child import CHECKOUT, Failed
from tests.bench.client import Client, psql
from tests.bench.domain import SLUG
from tests.bench.import_files import Run, runs

ROWS_A_SECOND = 2000.0
POLL_SECONDS = 0.25
DEADLINE = 1800


@dataclass(slots=True)
class Timed:
    """What was seen: seconds from upload to `done`, of which `upload`; each progress once."""

    seconds: float
    upload: float
    steps: list[int] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=22)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="murima-bench-"))
    home.chmod(0o755)
    stack = Stack(home, {"postgres", "redis", "asterisk", "murima"}, durable=True)
    # The limits protect a deployment from its clients; here the client is the measure.
    os.environ["MURIMA_RATE_LIMIT_SCALE"] = "100000"
    load = list(os.getloadavg())
    try:
        stack.start()
        rows = asyncio.run(_measure(stack, runs(options.rows, random.Random(options.seed))))
    except Failed as error:
        say(f"the bench failed: {error}")
        return 1
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)
    _report(rows, options.rows, load)
    return 0


# --- measuring ----------------------------------------------------------------------------------------------


async def _measure(stack: Stack, runs: list[Run]) -> list[dict[str, Any]]:
    told = stack.run()
    tenant = next(one for one in told["tenants"] if one["slug"] == SLUG)
    boss = next(user for user in tenant["users"] if user["role"] == "admin")
    found = []
    async with aiohttp.ClientSession() as web:
        client = Client(web, told["web"], tenant)
        await client.sign_in(boss)
        for run in runs:
            before = _counts(stack, tenant["id"])
            rows = sum(run.result.values())
            timed = await _import(client, run, rows)
            _compare(run, before, _counts(stack, tenant["id"]))
            found.append(_row(run, rows, timed))
            say(f"{run.what}: {found[-1]['rows_a_second']:.0f} rows/s")
            found[-1]["handed_on"] = await _handed_on(stack, tenant["id"])
    return found


async def _import(client: Client, run: Run, rows: int) -> Timed:
    begun = time.perf_counter()
    job = await client.upload(f"contacts/imports/{run.query}", run.text, "text/csv")
    timed = Timed(0.0, time.perf_counter() - begun)
    while job["state"] in ("queued", "running"):
        if time.perf_counter() - begun > DEADLINE:
            raise Failed(f"{run.what}: no end after {DEADLINE} s")
        await asyncio.sleep(POLL_SECONDS)
        job = await client.get(f"jobs/{job['id']}/")
        if timed.steps and job["done"] < timed.steps[-1]:
            raise Failed(f"{run.what}: progress went from {timed.steps[-1]} back to {job['done']}")
        if job["done"] != (timed.steps or [0])[-1]:
            timed.steps.append(job["done"])
    timed.seconds = time.perf_counter() - begun
    _check_end(run, job, rows, timed)
    return timed


def _check_end(run: Run, job: dict[str, Any], rows: int, timed: Timed) -> None:
    told = {name: job["result"].get(name) for name in run.result}
    if job["state"] != "done" or told != run.result:
        raise Failed(f"{run.what}: {job['state']}, {told}, not {run.result}")
    if (job["done"], job["total"]) != (rows, rows):
        raise Failed(f"{run.what}: done {job['done']} of {job['total']}, not {rows}")
    if rows >= 10_000 and len(timed.steps) < 4:
        raise Failed(f"{run.what}: progress was seen only at {timed.steps}")


_COUNTED = {
    "contacts": "contacts_contact",
    "changed": "contacts_contact WHERE organization LIKE '%, moved' AND revision = 2",
    "numbers": "contacts_contactphone",
    "audit create": "records_auditevent WHERE object_type = 'contacts.contact' AND action = 'create'",
    "audit update": "records_auditevent WHERE object_type = 'contacts.contact' AND action = 'update'",
    "event create": "records_domainevent WHERE type = 'contact.created'",
    "event update": "records_domainevent WHERE type = 'contact.updated'",
}


def _counts(stack: Stack, tenant: str) -> dict[str, int]:
    """How many rows each table has; "changed" are the contacts that an update changed, once."""
    asked = "".join(f"SELECT count(*) FROM {what};\n" for what in _COUNTED.values())
    said = psql(stack, f"SET search_path = {tenant}, public, extensions;\n{asked}")
    return dict(zip(_COUNTED, map(int, said.split()), strict=True))


def _compare(run: Run, before: dict[str, int], after: dict[str, int]) -> None:
    made = run.result["created"]
    wanted = {
        "contacts": made, "changed": run.changed, "numbers": run.numbers, "audit create": made,
        "audit update": run.changed, "event create": made, "event update": run.changed,
    }  # fmt: skip
    grown = {name: after[name] - before[name] for name in after}
    if grown != wanted:
        raise Failed(f"{run.what}: the tables grew by {grown}, not {wanted}")


async def _handed_on(stack: Stack, tenant: str) -> float:
    """Seconds until every consumer of events has had all of them: the next run begins on a quiet machine."""
    begun = time.perf_counter()
    sql = (
        f"SET search_path = {tenant}, public, extensions; SELECT count(*) FROM records_eventposition p"
        " WHERE (p.transaction_id, p.sequence) < (SELECT transaction_id, sequence FROM records_domainevent"
        " ORDER BY transaction_id DESC, sequence DESC LIMIT 1)"
    )
    while int(await asyncio.to_thread(psql, stack, sql)):
        if time.perf_counter() - begun > DEADLINE:
            raise Failed(f"events were not handed on within {DEADLINE} s")
        await asyncio.sleep(1)
    return time.perf_counter() - begun


# --- telling ------------------------------------------------------------------------------------------------


def _row(run: Run, rows: int, timed: Timed) -> dict[str, Any]:
    return {
        "what": run.what,
        "rows_a_second": rows / timed.seconds,
        "seconds": timed.seconds,
        "upload_seconds": timed.upload,
        "progress_seen": len(timed.steps),
        "megabytes": len(run.text) / 1e6,
        "target": ROWS_A_SECOND,
    }


def _report(rows: list[dict[str, Any]], count: int, load: list[float]) -> None:
    print("| import | rows/s | seconds | of which upload | progress seen | events handed on after | target |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['what']} | {row['rows_a_second']:.0f} | {row['seconds']:.1f}"
            f" | {row['upload_seconds']:.1f} | {row['progress_seen']} times | {row['handed_on']:.1f} s"
            f" | ≥ {row['target']:.0f} |"
        )
    at = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    file = CHECKOUT / ".murima/bench" / f"{at}-imports.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    common = {"at": at, "rows": count, "machine": processes.model(), "load_average_before": load}
    file.write_text("".join(json.dumps({**common, **row}) + "\n" for row in rows))
    for row in rows:
        if not row["rows_a_second"] >= row["target"]:
            print(f"target missed: {row['what']}: {row['rows_a_second']:.0f} rows/s, not {row['target']:.0f}")


if __name__ == "__main__":
    sys.exit(main())
