"""Tells journals again: `python -m telephony.replay FILE… [--facts] [--json] [--log] [--shard NAME]`.

For each file: steps, facts and a digest, which is the same for the same facts and the same last view. With
--facts every fact is printed as the log would hold it. With --log the facts are compared with those of
PostgreSQL (MURIMA_DATABASE_DAEMON_URL, read only), and the first that differs is named.
Exit codes: 0 ok, 1 told differently than it should be, 2 usage, 3 no such file, 5 PostgreSQL is away.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from telephony import codec, journal
from telephony.adapters.log.postgres import connected
from telephony.contract.frames import Entry
from telephony.contract.ids import TenantId

EXIT_OK, EXIT_FAILURE, EXIT_NOT_FOUND, EXIT_DEPENDENCY = 0, 1, 3, 5


def main(arguments: Sequence[str]) -> int:
    """The exit code: the worst of all files."""
    options = _parser().parse_args(arguments)
    return max(_one(Path(name), options) for name in options.files)


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="manage.py replay", description="Tell journals again.")
    made.add_argument("files", nargs="+", metavar="FILE")
    made.add_argument("--facts", action="store_true", help="print every fact")
    made.add_argument("--json", action="store_true", help="one object per file and line")
    made.add_argument("--log", action="store_true", help="compare with the facts in PostgreSQL")
    made.add_argument("--shard", default=os.environ.get("MURIMA_SHARD", "0"))
    return made


def _one(path: Path, options: argparse.Namespace) -> int:
    try:
        told = journal.replay(journal.read(path))
        differs = asyncio.run(_difference(told.entries, options.shard)) if options.log else None
    except FileNotFoundError:
        return _fail(path, "there is no such file", "ls $MURIMA_HOME/data/journal", EXIT_NOT_FOUND)
    except (journal.BadJournal, journal.Differs, OSError) as error:
        return _fail(path, str(error) or type(error).__name__, "look at the journal's build", EXIT_FAILURE)
    except (psycopg.Error, TimeoutError) as error:
        return _fail(path, f"PostgreSQL: {type(error).__name__}", "manage.py doctor", EXIT_DEPENDENCY)
    if options.facts:
        for entry in told.entries:
            print(codec.encode_entry(entry).decode())
    _say(path, told, differs, options.json)
    return EXIT_OK if differs is None else EXIT_FAILURE


def _say(path: Path, told: journal.Replay, differs: str | None, as_json: bool) -> None:
    found: dict[str, Any] = {
        "file": path.name,
        "steps": told.steps,
        "facts": len(told.entries),
        "digest": told.digest(),
    }
    if differs is not None:
        found["differs"] = differs
    if as_json:
        print(json.dumps(found))
        return
    print(f"{path.name}: {told.steps} steps, {len(told.entries)} facts, {found['digest']}")
    if differs is not None:
        print(f"{path.name}: the log differs: {differs}")


def _fail(path: Path, why: str, following: str, code: int) -> int:
    sys.stderr.write(f"Error: {path.name} was not told.\nWhy:   {why}\nNext:  {following}\n")
    return code


async def _difference(entries: Sequence[Entry], shard: str) -> str | None:
    """The first fact that the log has not, or has otherwise; None when all are there."""
    if not entries:
        return None
    url = os.environ.get("MURIMA_DATABASE_DAEMON_URL") or os.environ.get("MURIMA_DATABASE_URL", "")
    told = {entry.seq: entry for entry in entries}
    async with connected(url, shard) as database:
        tenant = TenantId(entries[0].tenant)
        async for kept in database.entries(tenant, entries[0].seq - 1):
            wanted = told.pop(kept.seq, None)
            if wanted is None:
                break
            if codec.encode_entry(wanted) != codec.encode_entry(kept):
                return f"fact {kept.seq} is {_name(kept)} there, {_name(wanted)} here"
    return f"fact {next(iter(told))} is not there" if told else None


def _name(entry: Entry) -> str:
    return type(entry.fact).__name__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
