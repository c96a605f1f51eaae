"""Journals: the events that reached one tenant's floor, one JSON object a line, to be told again.

The first line says under what: {"build", "tenant", "epoch", "paused", "view", "policies"}, where `view` is
the floor that the journal starts from and `policies` every policy that its calls name. Every other line is
{"at", "type", "data"} with a class of `telephony.engine.events` and its fields, or {"at", "type": "wake"}.
An ask's envelope holds its body as {"type", "data"}.

A journal is a diagnostic and a test's input; no recovery reads it. It holds no number, no name, no digits
and no device's digest: a decision needs none of them, so they are left empty on the way in.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import msgspec

from telephony import codec
from telephony.contract.asks import ASKS, Envelope, SendDigits
from telephony.contract.frames import Entry
from telephony.contract.policy import Policy
from telephony.contract.view import View, apply
from telephony.engine import events as e
from telephony.engine.floor import Floor, Step

EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(e.Event)}
WAKE = "wake"

Line = tuple[int, e.Event | None]
"""(at, event), None for a wake."""


class BadJournal(ValueError):
    """A file that is no journal, or a line that is no event."""


class Differs(Exception):
    """What was told again does not agree with itself."""


@dataclass(frozen=True)
class Journal:
    build: str
    epoch: int
    view: View
    policies: tuple[Policy, ...]
    lines: tuple[Line, ...]
    paused: bool = True
    """Whether the floor made no offers when the journal began."""


@dataclass(frozen=True)
class Replay:
    floor: Floor
    steps: int
    entries: tuple[Entry, ...]

    def digest(self) -> str:
        """The same for the same facts and the same last view."""
        sha = hashlib.sha256()
        for entry in self.entries:
            sha.update(codec.encode_entry(entry))
        sha.update(codec.encode_view(self.floor.view))
        return sha.hexdigest()


# --- writing --------------------------------------------------------------------------------------------


def head(build: str, epoch: int, view: View, policies: Sequence[Policy], paused: bool) -> bytes:
    """The first line, without a newline."""
    return codec.canonical(
        {
            "build": build,
            "tenant": view.tenant,
            "epoch": epoch,
            "paused": paused,
            "view": msgspec.Raw(codec.encode_view(view)),
            "policies": [_bare_policy(each) for each in policies],
        }
    )


def line(at: int, event: e.Event | None) -> bytes:
    """One event, without a newline."""
    if event is None:
        return codec.canonical({"at": at, "type": WAKE})
    return codec.canonical({"at": at, "type": type(event).__name__, "data": _bare(event)})


def write(path: Path, journal: Journal) -> None:
    """A whole journal at once."""
    first = head(journal.build, journal.epoch, journal.view, journal.policies, journal.paused)
    path.write_bytes(b"\n".join([first, *(line(at, event) for at, event in journal.lines), b""]))


def _bare(event: e.Event) -> Any:
    match event:
        case e.Asked(envelope=envelope):
            return _bare_ask(envelope)
        case e.PolicyPublished(policy=policy):
            return e.PolicyPublished(policy=_bare_policy(policy))
        case e.RosterPublished(row=row):
            devices = tuple(replace(device, digest="") for device in row.devices)
            return e.RosterPublished(row=replace(row, devices=devices))
        case _:
            return event


def _bare_ask(envelope: Envelope) -> dict[str, Any]:
    body = envelope.body
    if isinstance(body, SendDigits):
        body = replace(body, digits="0" * len(body.digits))
    given = {each.name: getattr(envelope, each.name) for each in fields(envelope)}
    return {**given, "body": {"type": type(body).__name__, "data": body}}


def _bare_policy(policy: Policy) -> Policy:
    """Without the numbers that callers dial and the names that people read."""
    numbers = tuple(replace(each, dialled="") for each in policy.manifest.numbers)
    queues = {queue: replace(blob, name="") for queue, blob in policy.queues.items()}
    return replace(policy, manifest=replace(policy.manifest, numbers=numbers), queues=queues)


# --- reading --------------------------------------------------------------------------------------------


def read(path: Path) -> Journal:
    """A last line without its end, which a killed daemon leaves, is left out. Raises BadJournal, OSError."""
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        given = json.loads(lines[0])
        return Journal(
            build=given["build"],
            epoch=given["epoch"],
            view=codec.decode_view(json.dumps(given["view"]).encode()),
            policies=tuple(msgspec.convert(each, Policy) for each in given["policies"]),
            lines=tuple(_event(json.loads(each)) for each in lines[1:]),
            paused=given.get("paused", True),
        )
    except BadJournal:
        raise
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise BadJournal(f"not a journal: {type(error).__name__}") from error


def _event(given: dict[str, Any]) -> Line:
    kind = given["type"]
    if kind == WAKE:
        return given["at"], None
    if kind not in EVENTS:
        raise BadJournal(f"{kind} is no event")
    data = given["data"]
    if kind != "Asked":
        return given["at"], msgspec.convert(data, EVENTS[kind])
    body = msgspec.convert(data["body"]["data"], ASKS[data["body"]["type"]])
    return given["at"], e.Asked(envelope=Envelope(**{**data, "body": body}))


# --- telling again --------------------------------------------------------------------------------------


def replay(journal: Journal) -> Replay:
    """Raises Differs when the floor breaks, its facts do not fold to the live view, or an index left it."""
    twin = codec.decode_view(codec.encode_view(journal.view))
    floor = Floor(codec.decode_view(codec.encode_view(journal.view)), journal.policies)
    floor.epoch, floor.paused = journal.epoch, journal.paused
    entries: list[Entry] = []
    for number, (at, event) in enumerate(journal.lines, 2):
        step = _step(floor, event, at, number)
        for entry in step.entries:
            apply(twin, codec.decode_entry(codec.encode_entry(entry)))
        entries.extend(step.entries)
        if not floor.indexes_agree():
            raise Differs(f"an index left the view at line {number}")
    if codec.encode_view(twin) != codec.encode_view(floor.view):
        raise Differs("the facts do not fold to the live view")
    return Replay(floor, len(journal.lines), tuple(entries))


def _step(floor: Floor, event: e.Event | None, at: int, number: int) -> Step:
    """The daemon writes an event down before it is decided: the one that broke a floor is there too."""
    try:
        return floor.wake(at) if event is None else floor.step(event, at)
    except Exception as error:
        raise Differs(f"the floor breaks at line {number} with {type(error).__name__}: {error}") from error
