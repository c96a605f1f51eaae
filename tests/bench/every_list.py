"""Every list of the OpenAPI description, for the bench of the large tenant.

A list is a GET that takes `limit`. Those that lie below one row are asked for one contact and one case; the
lists below other rows hold what belongs to that row alone and do not grow with the tenant. The answer must
be 200: a list that the description promises and the server refuses fails the bench.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.bench.child import CHECKOUT

_DESCRIPTION = CHECKOUT / "web/ui/src/api/openapi.json"
_PREFIX = "/api/v1/"
_PARENT = re.compile(r"^(contacts|cases)/\{\w+\}/")


def lists(parents: dict[str, str]) -> Iterator[str]:
    """Paths below /api/v1/ with `limit`, in order; `parents` names one row each of contacts and cases."""
    described = json.loads(_DESCRIPTION.read_text(encoding="utf-8"))["paths"]
    for path in sorted(described):
        parameters = described[path].get("get", {}).get("parameters", ())
        if not any(one["name"] == "limit" for one in parameters):
            continue
        below = path.removeprefix(_PREFIX)
        if found := _PARENT.match(below):
            below = f"{found[1]}/{parents[found[1]]}/{below[found.end() :]}"
        if "{" not in below:
            yield f"{below}?limit=50"
