"""The permission that the present request needs: how far it reaches is how far this person may change."""

from __future__ import annotations

from typing import Any

from web.shared.accounts.registry import code_for_route


def code_of_route(request: Any) -> str:
    return code_for_route(request.resolver_match.view_name, str(request.method)) or ""
