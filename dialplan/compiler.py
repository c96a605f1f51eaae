"""From published policy and roster to the fallback that Asterisk runs alone.

`compile_fallback` is pure: the same input gives the same text. Every name in it is made here from a
hash, never from what a person typed; dialled numbers and phones are checked against their alphabet and
left out (and listed) when they do not fit, because one bad row must not take the others' fallback away.

A diverted caller of a queue enters app_queue. The queue has no members of its own: the agents' phones
are added when a caller is diverted and taken out when the last one has left, so that app_queue follows
no phone's state in ordinary times. Callers are counted with GROUP, which ends with the channel.

A queue that keeps hours begins with them (hours.py): whoever comes outside of them hears the announcement.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable

from dialplan import hours
from telephony.contract.ids import QueueId, TenantId
from telephony.contract.policy import FallbackKind, InboundNumber, Policy, QueuePolicy
from telephony.contract.roster import RosterRow

_DIALLED = re.compile(r"\+?[0-9]{3,15}")
_ENDPOINT = re.compile(r"d[0-9a-f]{12}")
_LIMITS = {"ring": (5, 120), "wait": (10, 3600), "wrap": (0, 3600)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Text for extensions-fallback.conf and queues-fallback.conf, and how many inputs were left out."""

    extensions: str
    queues: str
    left_out: tuple[str, ...] = ()


def name_of(tenant: TenantId, queue: QueueId) -> str:
    """The generated name of a queue and of its context."""
    return "fb-" + hashlib.sha256(f"{tenant}/{queue}".encode()).hexdigest()[:16]


def compile_fallback(policies: Iterable[Policy], roster: Iterable[RosterRow]) -> Fallback:
    """The fallback of every tenant on one Asterisk.

    `left_out` says why something is missing, by kind and position and never by its text.
    """
    members = _members(roster)
    left_out: list[str] = []
    entries: dict[str, str] = {}
    contexts: dict[str, str] = {}
    queues: dict[str, str] = {}
    for policy in sorted(policies, key=lambda p: p.manifest.tenant):
        tenant = policy.manifest.tenant
        for place, (queue_id, queue) in enumerate(sorted(policy.queues.items())):
            name = name_of(tenant, queue_id)
            phones = members.get((tenant, queue_id), ())
            if queue.fallback is FallbackKind.QUEUE and phones:
                queues[name] = _queue_section(name, queue)
                contexts[name] = _queue_context(name, queue, phones)
                if wrong := _problem_of_hours(queue):
                    left_out.append(f"{tenant} hours of queue {place}: the calendar {wrong}")
            else:
                contexts[name] = _announcement_context(name)
        for position, number in enumerate(policy.manifest.numbers):
            problem = _problem(number, policy, entries)
            if problem:
                left_out.append(f"{tenant} number {position}: {problem}")
            else:
                entries[number.dialled] = name_of(tenant, number.queue)
    return Fallback(
        extensions=_extensions(entries, contexts),
        queues="; Generated; do not edit.\n" + "".join(text for _, text in sorted(queues.items())),
        left_out=tuple(left_out),
    )


def _problem_of_hours(queue: QueuePolicy) -> str:
    return "" if queue.hours is None else hours.problem(queue.hours)


def _problem(number: InboundNumber, policy: Policy, entries: dict[str, str]) -> str:
    if not _DIALLED.fullmatch(number.dialled):
        return "is not 3 to 15 digits with or without a plus"
    if number.queue not in policy.queues:
        return "leads to a queue that is not published"
    if number.dialled in entries:
        return "is taken already"
    return ""


def _members(roster: Iterable[RosterRow]) -> dict[tuple[TenantId, QueueId], tuple[tuple[int, str], ...]]:
    """(penalty, endpoint) of every phone that may answer for a queue, the lower penalty first."""
    found: dict[tuple[TenantId, QueueId], list[tuple[int, str]]] = {}
    for row in roster:
        if not row.active:
            continue
        for queue, penalty in row.memberships:
            for device in row.devices:
                if _ENDPOINT.fullmatch(device.endpoint):
                    found.setdefault((row.tenant, queue), []).append((max(0, penalty), device.endpoint))
    return {key: tuple(sorted(set(phones))) for key, phones in found.items()}


def _extensions(entries: dict[str, str], contexts: dict[str, str]) -> str:
    lines = ["; Generated; do not edit.", "", "[murima-fallback]"]
    lines += [f"exten => {dialled},1,Goto({name},s,1)" for dialled, name in sorted(entries.items())]
    return "\n".join(lines) + "\n" + "".join(text for _, text in sorted(contexts.items()))


def _announcement_context(name: str) -> str:
    return f"\n[{name}]\nexten => s,1,Goto(murima-announce,s,1)\n"


def _queue_context(name: str, queue: QueuePolicy, phones: tuple[tuple[int, str], ...]) -> str:
    wait = _between("wait", queue.max_wait_seconds)
    lines, start = ["", f"[{name}]"], "s"
    if queue.hours is not None and not hours.problem(queue.hours):
        lines += hours.steps(name, queue.hours)
        start = hours.OPEN
    lines += [f"exten => {start},1,Answer()", f" same => n,Set(GROUP(fallback)={name})"]
    lines += [f" same => n,AddQueueMember({name},PJSIP/{phone},{penalty})" for penalty, phone in phones]
    lines += [
        f" same => n,Queue({name},,,,{wait})",
        " same => n,Goto(murima-announce,s,1)",
        # Who hung up before they were counted must not take the phones from those who wait.
        f'exten => h,1,GotoIf($["${{GROUP(fallback)}}" != "{name}"]?done)',
        f" same => n,GotoIf($[${{GROUP_COUNT({name}@fallback)}} > 1]?done)",
        *(f" same => n,RemoveQueueMember({name},PJSIP/{phone})" for _, phone in phones),
        " same => n(done),NoOp()",
    ]
    return "\n".join(lines) + "\n"


def _queue_section(name: str, queue: QueuePolicy) -> str:
    """Both of our strategies become the nearest that app_queue has."""
    settings = {
        "strategy": "leastrecent",
        "timeout": _between("ring", queue.ring_seconds),
        "retry": 1,
        "wrapuptime": _between("wrap", queue.wrap_up_seconds),
        "autofill": "yes",
        "ringinuse": "no",
        "joinempty": "yes",
        "leavewhenempty": "no",
        "musicclass": "default",
        "announce-frequency": 0,
        "reportholdtime": "no",
        "timeoutpriority": "conf",
        "timeoutrestart": "no",
    }
    return f"\n[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())


def _between(kind: str, seconds: int) -> int:
    low, high = _LIMITS[kind]
    return max(low, min(high, int(seconds)))
