"""Says once in the OpenAPI description what every operation repeats.

Each of some hundred operations answers with the same problems under the same headers. Written out each time
they were nine tenths of the document. The last of the hooks puts them into components and leaves references.
"""

from __future__ import annotations

import json
from typing import Any

_VERBS = ("get", "post", "put", "patch", "delete")


def share_repeated(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Move headers, and the answers of 400 and above, into components."""
    components = result.setdefault("components", {})
    headers, responses = components.setdefault("headers", {}), components.setdefault("responses", {})
    for item in result.get("paths", {}).values():
        for verb in _VERBS:
            answers = item.get(verb, {}).get("responses", {})
            for status, answer in answers.items():
                for name, header in answer.get("headers", {}).items():
                    answer["headers"][name] = _reference(headers, "headers", name, header)
                if status.isdecimal() and int(status) >= 400:
                    label = f"Answer{status}"
                    answers[status] = _reference(responses, "responses", label, answer)
    return result


def _reference(shared: dict[str, Any], kind: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    """A reference to `value` under `name`, or under name2, name3 ... where another thing has that name."""
    text, place, number = json.dumps(value, sort_keys=True), name, 1
    while place in shared and json.dumps(shared[place], sort_keys=True) != text:
        number += 1
        place = f"{name}{number}"
    shared[place] = value
    return {"$ref": f"#/components/{kind}/{place}"}
