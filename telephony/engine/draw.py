"""The state diagrams of the README, drawn from the tables that the engine runs.

`python -m telephony.engine.draw` writes them, `--check` only compares and exits with 1 when they differ.
"""

import sys
from pathlib import Path
from typing import Any

from . import agent, call, wrapup
from .machine import Ignore, Machine

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- drawn: begin -->", "<!-- drawn: end -->"


def diagram(machine: Machine[Any, Any]) -> str:
    """One Mermaid diagram: an arrow per pair of states, with its triggers; staying rows are a list."""
    arrows: dict[tuple[str, str], list[str]] = {}
    stays: dict[str, list[str]] = {}
    for state in machine.states:
        for trigger in machine.triggers:
            row = machine.table[state, trigger]
            if isinstance(row, Ignore):
                continue
            for to in row.to:
                if to is state:
                    stays.setdefault(state.value, []).append(trigger.value)
                else:
                    arrows.setdefault((state.value, to.value), []).append(trigger.value)
    lines = [f"### {machine.name}", "", "```mermaid", "stateDiagram-v2"]
    lines += [
        f"    state {state.value!r} as {_name(state.value)}".replace("'", '"') for state in machine.states
    ]
    for (start, to), triggers in arrows.items():
        lines.append(f"    {_name(start)} --> {_name(to)}: {', '.join(triggers)}")
    lines += ["```", ""]
    lines += [f"- *{state}* stays at: {', '.join(triggers)}" for state, triggers in stays.items()]
    return "\n".join([*lines, "", *_ignored(machine)])


def _ignored(machine: Machine[Any, Any]) -> list[str]:
    """How many pairs are ignored for which reason."""
    reasons: dict[str, int] = {}
    for row in machine.table.values():
        if isinstance(row, Ignore):
            reasons[row.reason] = reasons.get(row.reason, 0) + 1
    lines = [f"- {reason} ({n})" for reason, n in reasons.items()]
    return [f"Ignored or refused, of {len(machine.table)} pairs:", "", *lines, ""] if lines else []


def _name(state: str) -> str:
    return state.replace(" ", "_").replace("-", "_")


def text() -> str:
    drawn = [diagram(machine) for machine in (call.MACHINE, agent.MACHINE, wrapup.MACHINE)]
    return "\n".join([BEGIN, "", *drawn, END])


def main(arguments: list[str]) -> int:
    before = README.read_text()
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    after = head + text() + tail
    if "--check" in arguments:
        return int(before != after)
    README.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
