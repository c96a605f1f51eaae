"""A small model of Asterisk walking the hours of a compiled queue: Set, Goto and GotoIf, nothing else.

It knows the few expressions that the compiler writes and raises on every other, so that a change of the
compiler cannot pass by. tests/adapters/test_dialplan_hours.py holds it against a real Asterisk.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from telephony.contract.clock import Instant, to_datetime

_SET = re.compile(r"Set\((\w+)=\$\{STRFTIME\(,([^,]+),%Y%m%d%u%H%M\)\}\)")
_GOTO = re.compile(r"Goto\(([\w-]+),(?:s,)?1\)")
_EXISTS = re.compile(r"GotoIf\(\$\{DIALPLAN_EXISTS\(([\w-]+),(\d*),1\)\}\?(\d*),1\)")
_WITHIN = re.compile(r"GotoIf\(\$\[(\d+) >= (\d+) & (\d+) < (\d+)\]\?(\w+),1\)")
_PART = re.compile(r"\$\{(\w+):(\d+):(\d+)\}")


def contexts_of(text: str) -> dict[str, dict[str, list[str]]]:
    """Context → extension → its steps."""
    found: dict[str, dict[str, list[str]]] = {}
    context, extension = "", ""
    for line in filter(None, (raw.split(";")[0].strip() for raw in text.splitlines())):
        if line.startswith("["):
            context = line.strip("[]")
            found[context] = {}
        elif line.startswith("exten"):
            extension, _, step = line.partition("=>")[2].strip().split(",", 2)
            found[context][extension] = [step]
        else:
            found[context][extension].append(line.partition("=>")[2].partition(",")[2])
    return found


def is_open(extensions: dict[str, list[str]], name: str, at: Instant) -> bool:
    """Whether a caller of the queue `name` comes to `open` rather than to the announcement."""
    variables: dict[str, str] = {}
    extension, place = "s", 0
    while extension != "open":
        step = extensions[extension][place]
        target = _target(step, extensions, name, at, variables)
        if target == "murima-announce":
            return False
        extension, place = (extension, place + 1) if target is None else (target, 0)
    return True


def _target(
    step: str, extensions: dict[str, list[str]], name: str, at: Instant, variables: dict[str, str]
) -> str | None:
    """Where a step leads; None: to the next one."""
    if clock := _SET.fullmatch(step):
        shown: datetime = to_datetime(at).astimezone(ZoneInfo(clock.group(2)))
        variables[clock.group(1)] = f"{shown:%Y%m%d%u%H%M}"
        return None
    step = _PART.sub(lambda part: variables[part[1]][int(part[2]) :][: int(part[3])], step)
    if asked := _EXISTS.fullmatch(step):
        assert asked.group(1) == name and asked.group(2) == asked.group(3)
        return asked.group(3) if asked.group(2) in extensions else None
    if within := _WITHIN.fullmatch(step):
        low, high = int(within[1]) >= int(within[2]), int(within[3]) < int(within[4])
        return within.group(5) if low and high else None
    if goto := _GOTO.fullmatch(step):
        return goto.group(1)
    raise AssertionError(f"a step that the model does not know: {step}")
