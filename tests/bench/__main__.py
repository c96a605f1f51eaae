"""`make bench`: Murima, app_queue and a bare ARI program side by side on one Asterisk, in one run.

Prints a table and writes one JSON object a line to .murima/bench/. Exit code 1 when calls placed, rows and
frames differ anywhere; a target that was missed is said. `--quick` takes fewer calls (under three minutes),
`--full` adds callers in line and callers who send no sound at 5 calls a second (about ten minutes more).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import time
from typing import Any

from deployment.dev.say import say
from tests.bench import processes
from tests.bench.child import CHECKOUT, Failed
from tests.bench.contest import Contest, Heat
from tests.bench.report import CONTESTANTS, desk_table, table, targets, write

RATES = (5, 20, 50)
SCENARIOS = ("free", "silent", "waiting")
CALLS = 500


def main() -> int:
    """0 when every heat counts."""
    options = _options()
    begun = time.monotonic()
    loaded = os.getloadavg()
    try:
        outcomes, versions = asyncio.run(_contest(options))
    except Failed as error:
        say(f"the bench failed: {error}")
        return 1
    common = _common(options, versions, loaded)
    file = CHECKOUT / ".murima/bench" / f"{common['at'].replace(':', '')}-{common['commit'][:10]}.jsonl"
    write(file, common, outcomes)
    print(f"\n{table(outcomes)}\n\n{desk_table(outcomes)}\n")
    changed = "+changes" if common["changed"] else ""
    print(
        f"commit {common['commit'][:10]}{changed}, Asterisk {versions['asterisk']}, {common['machine']}, "
        f"load average before: {loaded[0]:.1f}, seed {options.seed}, {time.monotonic() - begun:.0f} s; "
        f"{file.relative_to(CHECKOUT)}"
    )
    for missed in targets(outcomes):
        print(f"target missed: {missed}")
    failed = [f"{o.contestant}, {o.scenario} at {o.rate}/s: {p}" for o in outcomes for p in o.problems]
    for problem in failed:
        print(f"FAILED: {problem}")
    return int(bool(failed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls, under three minutes")
    parser.add_argument("--full", action="store_true", help="every scenario at 5 calls a second, too")
    parser.add_argument("--seed", type=int, default=22, help="the same moments and talks again")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=CONTESTANTS, metavar="CONTESTANT")
    parser.add_argument("--scenario", choices=SCENARIOS, help="only this one")
    parser.add_argument("--rate", type=int, nargs="+", default=RATES)
    return parser.parse_args()


def _heats(options: argparse.Namespace) -> list[Heat]:
    heats = []
    for scenario in SCENARIOS:
        for rate in options.rate:
            if scenario != "free" and rate < 20 and not options.full:
                continue
            heats.append(Heat(scenario, rate, min(CALLS, 4 * rate + 20) if options.quick else CALLS))
    return [heat for heat in heats if options.scenario in (None, heat.scenario)]


async def _contest(options: argparse.Namespace) -> tuple[list[Any], dict[str, str]]:
    async with Contest(options.seed) as contest:
        outcomes = await contest.run(_heats(options), tuple(options.only))
        versions = {
            "asterisk": contest.stack.asterisk.version,
            "postgres": contest.stack.postgres.sql("SHOW server_version").strip(),
            "python": platform.python_version(),
            "kernel": platform.release(),
        }
    return outcomes, versions


def _common(
    options: argparse.Namespace, versions: dict[str, str], loaded: tuple[float, ...]
) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _git("rev-parse", "HEAD") or "unknown",
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "versions": versions,
        "machine": processes.model(),
        "load_average_before": list(loaded),
        "seed": options.seed,
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
