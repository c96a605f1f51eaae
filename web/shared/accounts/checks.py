"""A route without a row in the permission registry does not start.

Walks both URL maps. Each endpoint needs a name, a row under it, and in the row a code for every method its
view answers; a code must be declared, or be ANYONE or MEMBER.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.urls import URLPattern, URLResolver

from web.shared.accounts import registry

METHODS = ("get", "post", "put", "patch", "delete")
# Django's own admin guards itself; it exists on the platform's host only.
OUTSIDE = ("admin",)


def endpoints(patterns: list[Any], namespace: str = "") -> Iterator[tuple[str, str, Any]]:
    """(name with namespace, pattern text, view) of every endpoint below `patterns`."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            if entry.namespace in OUTSIDE:
                continue
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from endpoints(entry.url_patterns, inner)
        elif isinstance(entry, URLPattern):
            yield (f"{namespace}{entry.name}" if entry.name else ""), str(entry.pattern), entry.callback


def methods_of(view: Any) -> set[str]:
    """HTTP methods a view answers, OPTIONS and HEAD apart; a plain function counts as GET."""
    actions = getattr(view, "actions", None)
    if actions:
        return {method.upper() for method in actions if method in METHODS}
    cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if cls is None:
        return {"GET"}
    return {method.upper() for method in METHODS if hasattr(cls, method)}


def missing_rows(urlconf: str) -> Iterator[str]:
    """A sentence for every endpoint of `urlconf` that the registry does not cover."""
    for name, pattern, view in endpoints(import_module(urlconf).urlpatterns):
        if not name:
            yield f"{urlconf}: the route {pattern!r} has no name"
            continue
        for method in sorted(methods_of(view)):
            code = registry.code_for_route(name, method)
            if code is None:
                yield f"{urlconf}: {method} {name} has no row in the permission registry"
            elif code not in (registry.ANYONE, registry.MEMBER) and not registry.is_declared(code):
                yield f"{urlconf}: {method} {name} asks for {code}, which nobody declared"


@register(Tags.security)
def every_route_has_a_permission(app_configs: Any, **_: Any) -> list[CheckMessage]:
    return [
        Error(sentence + ".", hint="Add it to the app's permissions.py.", id="murima.E020")
        for urlconf in (settings.ROOT_URLCONF, settings.PUBLIC_SCHEMA_URLCONF)
        for sentence in missing_rows(urlconf)
    ]


@register(Tags.security)
def every_message_asks_for_a_known_code(app_configs: Any, **_: Any) -> list[CheckMessage]:
    return [
        Error(f"Socket message {kind} asks for {code}, which nobody declared.", id="murima.E021")
        for kind, code in sorted(registry.messages.items())
        if code != registry.MEMBER and code not in registry.permissions
    ]
