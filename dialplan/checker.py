"""What must never stand in a dialplan, found before Asterisk reads it.

Checked is the text of extensions files: no application or function that runs a program, reads a file or
calls out; nothing that an outsider sends (dialled number, caller id) used without FILTER; no open-ended
pattern where outsiders enter; every Goto leads somewhere, and one whose target is worked out in the call asks
first whether it is there; a clock is read in a zone that is known. A finding says line, rule and why.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from dialplan.hours import plain_zone

FORBIDDEN_APPLICATIONS = frozenset(
    {
        "system", "trysystem", "agi", "eagi", "deadagi", "fastagi", "asyncagi", "externalivr",
        "exec", "tryexec", "execiftime", "originate", "sendurl", "readfile", "mysql",
        "minivmrecord", "record", "mixmonitor", "monitor", "dictate", "jack", "festival", "chanspy",
        "extenspy", "ices", "mp3player", "nbscat", "stasisbroadcast", "sendtext",
    }
)  # fmt: skip
FORBIDDEN_FUNCTIONS = frozenset(
    {
        "shell", "curl", "file", "file_format", "file_count_line", "env", "stat", "eval",
        "realtime", "realtime_store", "realtime_hash", "odbc_sql", "db", "db_delete", "db_exists",
        "lock", "trylock", "import", "master_channel",
    }
)  # fmt: skip
PUBLIC_CONTEXTS = frozenset({"murima-trunk"})
_OUTSIDE = re.compile(
    r"\$\{(EXTEN|CALLERID\(|CALLINGANI|RDNIS|DNID|PJSIP_HEADER\(|SIP_HEADER\()", re.IGNORECASE
)
_FILTERED = re.compile(r"\$\{FILTER\([^,(){}]*,\$\{[^{}]*\}\)\}", re.IGNORECASE)
_GENERATED = re.compile(r"fb-[0-9a-f]{16}|murima-fallback")
_EXTEN = re.compile(r"exten\s*=>?\s*([^,]+),([^,]+),(.*)", re.IGNORECASE)
_SAME = re.compile(r"same\s*=>?\s*([^,]+),(.*)", re.IGNORECASE)
_GOTO = re.compile(r"(?:Goto\(|\?|:)([A-Za-z0-9_-]+),s,1", re.IGNORECASE)
_NEAR = re.compile(r"(?:Goto\(|\?|:)([A-Za-z0-9]+),1(?![0-9])", re.IGNORECASE)
_COMPUTED = re.compile(r"(?:Goto\(|\?)([A-Za-z0-9_,-]*\$\{[^?]*),1\)\s*$", re.IGNORECASE)
_ASKED = re.compile(r"GotoIf\(\$\{DIALPLAN_EXISTS\(([^()]*),1\)\}\?", re.IGNORECASE)
_ZONE = re.compile(r"STRFTIME\([^,()]*,([^,()]*),", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    line: int
    rule: str
    text: str


def check(
    text: str, *, public: Iterable[str] = PUBLIC_CONTEXTS, generated: bool = False, known: Iterable[str] = ()
) -> list[Finding]:
    """Everything wrong with the text of an extensions file.

    `known` are contexts defined elsewhere; with `generated`, only the compiler's names may be defined.
    """
    found: list[Finding] = []
    contexts, targets, current = set(known), [], ""
    extensions: set[tuple[str, str]] = set()
    near: list[tuple[int, str, str]] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split(";")[0].strip()
        if section := re.fullmatch(r"\[([^\]]+)\](?:\(.*\))?", line):
            current = section.group(1)
            contexts.add(current)
            if generated and not _GENERATED.fullmatch(current):
                found.append(
                    Finding(line=number, rule="name", text="a generated file defines only generated names")
                )
        elif line.startswith("#exec"):
            found.append(Finding(line=number, rule="exec", text="#exec runs a program"))
        elif line:
            found += _check_line(number, line, current, set(public))
            extensions.add((current, _parts(line)[0]))
            targets += [(number, target) for target in _GOTO.findall(line)]
            near += [(number, current, target) for target in _NEAR.findall(line)]
    return [
        *found,
        *(
            Finding(line=number, rule="goto", text=f"there is no context {target}")
            for number, target in targets
            if target not in contexts
        ),
        *(
            Finding(line=number, rule="goto", text=f"there is no extension {target} here")
            for number, context, target in near
            if (context, target) not in extensions
        ),
    ]


def _check_line(number: int, line: str, context: str, public: set[str]) -> list[Finding]:
    found: list[Finding] = []

    def wrong(rule: str, text: str) -> None:
        found.append(Finding(line=number, rule=rule, text=text))

    pattern, step = _parts(line)
    if pattern.startswith("_") and context in public and re.search(r"[.!]", pattern):
        wrong("pattern", "an open-ended pattern where outsiders enter")
    for application in _applications(step):
        if application in FORBIDDEN_APPLICATIONS:
            wrong("application", f"{application} is not allowed")
    for function in re.findall(r"([A-Za-z_]+)\(", step):
        if function.lower() in FORBIDDEN_FUNCTIONS:
            wrong("function", f"{function} is not allowed")
    if _OUTSIDE.search(_FILTERED.sub("", step)):
        wrong("unfiltered", "what an outsider sends is used without FILTER")
    if not _leads_somewhere(step, context):
        wrong("goto", "a target that is worked out in the call, and DIALPLAN_EXISTS was not asked for it")
    for zone in _ZONE.findall(step):
        if not plain_zone(zone):
            wrong("zone", "a clock is read in a zone that is not known here")
    return found


def _leads_somewhere(step: str, context: str) -> bool:
    """Whether the target of a Goto is written down, or was asked for in the same step."""
    computed, asked = _COMPUTED.search(step), _ASKED.search(step)
    if computed is None:
        return True
    return asked is not None and asked.group(1) in (computed.group(1), f"{context},{computed.group(1)}")


def _parts(line: str) -> tuple[str, str]:
    """(pattern, application with arguments) of an exten or same line."""
    if whole := _EXTEN.match(line):
        return whole.group(1).strip(), whole.group(3)
    if again := _SAME.match(line):
        return "", again.group(2)
    return "", ""


def _applications(step: str) -> list[str]:
    """The application of a step, and those that ExecIf and the like would run."""
    names = re.findall(r"^\s*([A-Za-z_]+)", step)
    if names and names[0].lower().startswith("execif"):
        names += re.findall(r"[?:]\s*([A-Za-z_]+)\(", step)
    return [name.lower() for name in names]
