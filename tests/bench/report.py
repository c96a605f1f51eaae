"""What a run's figures say: percentiles, the tables, the targets, the lines of the file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CONTESTANTS = ("murima", "app_queue", "bare")
FASTER_THAN_QUEUE = 50.0
"""Times that app_queue's p50 is to be of Murima's."""
SLOWER_THAN_BARE = 3.0
"""Times that Murima's p50 may be of the bare program's."""
_CPU = ("asterisk", "daemon", "bare", "web", "intake", "postgres", "redis", "load", "floor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One contestant in one scenario at one rate. Delays in ms, `cpu` in ms of each process per call."""

    contestant: str
    scenario: str
    rate: int
    calls: int
    seconds: float
    samples: int
    p50: float
    p99: float
    longest: float
    idle: float
    """Percent of all cores while calls ran."""
    cpu: dict[str, float]
    floor: dict[str, Any] = field(default_factory=dict)
    """Murima only: rows, frames, delays to the desk's socket."""
    problems: tuple[str, ...] = ()


def percentile(samples: list[float], share: float) -> float:
    """The smallest sample that at least `share` of all do not exceed; NaN of none."""
    ordered = sorted(samples)
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)] if ordered else float("nan")


def table(outcomes: list[Outcome]) -> str:
    """All outcomes for reading, in Markdown."""
    head = (
        "| scenario | rate/s | contestant | calls | p50 ms | p99 ms | max ms | app_queue's p50 is"
        " | of bare's p50 | CPU/call: Asterisk ms | daemon or program ms | CPU idle % |"
    )
    lines = [head, "|" + "---|" * head.count(" | ") + "---|"]
    for one in sorted(outcomes, key=lambda o: (o.scenario, o.rate, CONTESTANTS.index(o.contestant))):
        queue, bare = _other(outcomes, one, "app_queue"), _other(outcomes, one, "bare")
        program = one.cpu.get("daemon" if one.contestant == "murima" else "bare", 0.0)
        cells = [
            one.scenario, one.rate, one.contestant, one.calls, f"{one.p50:.1f}", f"{one.p99:.1f}",
            f"{one.longest:.0f}", f"{queue.p50 / one.p50:.1f} x" if queue and queue is not one else "",
            f"{one.p50 / bare.p50:.1f} x" if bare and bare is not one else "",
            f"{one.cpu.get('asterisk', 0):.1f}", f"{program:.1f}" if program else "-", f"{one.idle:.0f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def desk_table(outcomes: list[Outcome]) -> str:
    """Murima's way to the desk, and what its other processes used."""
    lines = [
        "| scenario | rate/s | daemon's step → offer.created at the socket, p50 / p99 ms"
        " | dialplan's first look → the same, p50 / p99 ms | offers told | rows complete after"
        " | CPU/call: web, intake, PostgreSQL, Redis, load ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in sorted(outcomes, key=lambda o: (o.scenario, o.rate)):
        if one.contestant != "murima":
            continue
        seen = one.floor
        others = ", ".join(f"{one.cpu.get(n, 0):.0f}" for n in ("web", "intake", "postgres", "redis", "load"))
        delays = [f"{seen[f'{n}_p50']:.1f} / {seen[f'{n}_p99']:.1f}" for n in ("decided", "arrived")]
        told = f"{seen['offers_at_desk']} of {seen['offers']}"
        cells = [one.scenario, one.rate, *delays, told, f"{seen['rows_after']:.1f} s", others]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def targets(outcomes: list[Outcome]) -> list[str]:
    """One line for each target that was missed; they are said, and do not fail the bench."""
    missed = []
    for one in outcomes:
        if one.contestant != "murima":
            continue
        queue, bare = _other(outcomes, one, "app_queue"), _other(outcomes, one, "bare")
        where = f"{one.scenario} at {one.rate}/s"
        if queue and not queue.p50 >= FASTER_THAN_QUEUE * one.p50:
            faster = queue.p50 / one.p50
            missed.append(f"{where}: {faster:.1f} times faster than app_queue, not {FASTER_THAN_QUEUE:.0f}")
        if bare and not one.p50 <= SLOWER_THAN_BARE * bare.p50:
            slower = one.p50 / bare.p50
            missed.append(f"{where}: {slower:.1f} times the bare program's, not {SLOWER_THAN_BARE:.0f}")
    return missed


def write(file: Path, common: dict[str, Any], outcomes: list[Outcome]) -> None:
    """One JSON object a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as out:
        for one in outcomes:
            out.write(json.dumps({**common, **asdict(one)}, ensure_ascii=False) + "\n")


def _other(outcomes: list[Outcome], one: Outcome, contestant: str) -> Outcome | None:
    wanted = (contestant, one.scenario, one.rate)
    return next((o for o in outcomes if (o.contestant, o.scenario, o.rate) == wanted), None)
