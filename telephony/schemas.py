"""JSON Schemas of the contract, generated from its dataclasses and committed under contract/schemas.

    python -m telephony.schemas            writes them
    python -m telephony.schemas --check    fails when what is committed is not what the contract says

Publishing validates against the committed files, other languages read them, and a change of the contract
shows in review as a change of these files. Each has one definition per type.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from telephony.contract.asks import ASKS
from telephony.contract.facts import FACTS
from telephony.contract.frames import Ack, Beat
from telephony.contract.policy import Manifest, QueuePolicy
from telephony.contract.roster import RosterRow

DIRECTORY = Path(__file__).parent / "contract" / "schemas"
FILES: dict[str, list[type[Any]]] = {
    "facts": [FACTS[name] for name in sorted(FACTS)],
    "asks": [ASKS[name] for name in sorted(ASKS)],
    "frames": [Ack, Beat],
    "policy": [Manifest, QueuePolicy],
    "roster": [RosterRow],
}


def schema(types: Iterable[type[Any]]) -> dict[str, Any]:
    """One document whose `$defs` has each type and what it is made of."""
    _, definitions = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {name: _without_doc_noise(definitions[name]) for name in sorted(definitions)},
    }


def text(types: Iterable[type[Any]]) -> str:
    return json.dumps(schema(types), indent=2, sort_keys=True) + "\n"


def committed(name: str) -> dict[str, Any]:
    """The committed document `name` (a key of FILES)."""
    found: dict[str, Any] = json.loads((DIRECTORY / f"{name}.json").read_text())
    return found


def definition(name: str, kind: str) -> dict[str, Any]:
    """A schema for one type (by its class's name) of the committed document, to validate with."""
    return {**committed(name), "$ref": f"#/$defs/{kind}"}


def _without_doc_noise(found: dict[str, Any]) -> dict[str, Any]:
    """A dataclass without a docstring gets its signature as one, which says nothing new."""
    if str(found.get("description", "")).startswith(f"{found.get('title')}("):
        return {key: value for key, value in found.items() if key != "description"}
    return found


def main(arguments: list[str]) -> int:
    """0 when all is written, or as committed; 1 when --check finds a difference; 2 for other arguments."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m telephony.schemas [--check]\n")
        return 2
    stale = []
    for name, types in FILES.items():
        path, wanted = DIRECTORY / f"{name}.json", text(types)
        if path.exists() and path.read_text() == wanted:
            continue
        stale.append(path.name)
        if not arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted)
    if arguments and stale:
        sys.stderr.write(f"not as the contract says: {', '.join(stale)}; run python -m telephony.schemas\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
