"""Journals: the events that reached one tenant's floor, one JSON object a line, to be told again.

The first line says under what: {"build", "tenant", "epoch", "view", "policies"}, where `view` is the
checkpoint that the journal starts from and `policies` every policy its calls name. Every other line is
{"at", "type", "data"} with a class of `telephony.engine.events` and its fields, or {"at", "type": "wake"}.
An ask's envelope holds its body as {"type", "data"}. Journals hold what events hold: no number, no name;
digits of SendDigits are replaced before they are written.

    python -m tests.replay.journal FILE…       replays, prints steps, facts and digest of each
"""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from telephony import codec
from telephony.contract.asks import ASKS, Envelope, SendDigits
from telephony.contract.frames import Entry
from telephony.contract.policy import Policy
from telephony.contract.view import View, apply
from telephony.engine import events as e
from telephony.engine.floor import Floor

EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(e.Event)}

Line = tuple[int, e.Event | None]
"""(at, event), None for a wake."""


@dataclass(frozen=True)
class Journal:
    build: str
    epoch: int
    view: View
    policies: tuple[Policy, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Replay:
    floor: Floor
    entries: tuple[Entry, ...]

    def digest(self) -> str:
        """The same for the same facts and the same last view."""
        sha = hashlib.sha256()
        for entry in self.entries:
            sha.update(codec.encode_entry(entry))
        sha.update(codec.encode_view(self.floor.view))
        return sha.hexdigest()


def write(path: Path, journal: Journal) -> None:
    head = {
        "build": journal.build,
        "tenant": journal.view.tenant,
        "epoch": journal.epoch,
        "view": json.loads(codec.encode_view(journal.view)),
        "policies": [json.loads(codec.canonical(each)) for each in journal.policies],
    }
    lines = [json.dumps(head), *(_line(at, event) for at, event in journal.lines)]
    path.write_text("\n".join(lines) + "\n")


def _line(at: int, event: e.Event | None) -> str:
    if event is None:
        return json.dumps({"at": at, "type": "wake"})
    if isinstance(event, e.Asked):
        return json.dumps({"at": at, "type": "Asked", "data": _ask(event.envelope)})
    return json.dumps({"at": at, "type": type(event).__name__, "data": json.loads(codec.canonical(event))})


def _ask(envelope: Envelope) -> dict[str, Any]:
    body = envelope.body
    if isinstance(body, SendDigits):
        body = dataclasses.replace(body, digits="0" * len(body.digits))
    data = {"type": type(body).__name__, "data": json.loads(codec.canonical(body))}
    fields = {name: getattr(envelope, name) for name in ("id", "tenant", "actor", "at", "expires")}
    return {**fields, "body": data}


def read(path: Path) -> Journal:
    """Raises ValueError for a line that is no event."""
    head, *lines = path.read_text().splitlines()
    given = json.loads(head)
    return Journal(
        build=given["build"],
        epoch=given["epoch"],
        view=codec.decode_view(json.dumps(given["view"]).encode()),
        policies=tuple(msgspec.convert(each, Policy) for each in given["policies"]),
        lines=tuple(_event(json.loads(line)) for line in lines),
    )


def _event(line: dict[str, Any]) -> Line:
    if line["type"] == "wake":
        return line["at"], None
    if line["type"] not in EVENTS:
        raise ValueError(f"{line['type']} is no event")
    data = line["data"]
    if line["type"] != "Asked":
        return line["at"], msgspec.convert(data, EVENTS[line["type"]])
    body = msgspec.convert(data["body"]["data"], ASKS[data["body"]["type"]])
    return line["at"], e.Asked(envelope=Envelope(**{**data, "body": body}))


def replay(journal: Journal) -> Replay:
    """Tell it again. Raises AssertionError when facts and live view differ, or an index left the view."""
    twin = codec.decode_view(codec.encode_view(journal.view))
    floor = Floor(codec.decode_view(codec.encode_view(journal.view)), journal.policies)
    floor.epoch = journal.epoch
    entries: list[Entry] = []
    for at, event in journal.lines:
        step = floor.wake(at) if event is None else floor.step(event, at)
        for entry in step.entries:
            apply(twin, codec.decode_entry(codec.encode_entry(entry)))
        entries.extend(step.entries)
        assert floor.indexes_agree(), f"an index left the view at {at}"
    assert codec.encode_view(twin) == codec.encode_view(floor.view), "fold and live view differ"
    return Replay(floor, tuple(entries))


def main(paths: Iterable[str]) -> int:
    for path in paths:
        told = replay(read(Path(path)))
        print(path, len(told.entries), "facts", told.digest())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
