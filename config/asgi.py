"""What daphne serves: HTTP to Django, WebSockets to realtime.

`realtime.routing.websocket_urlpatterns` lists the sockets; who may open one (tenant by host, exact Origin,
cookie or ticket) is decided in realtime. A path without a socket is refused.

Before it serves, a process loads what the first request would (the views of both URL maps) and lets the
garbage collector pass over all of it from then on. Every page of a list leaves cycles behind (a serializer
and its fields), so full collections come every few dozen requests; each would look at the 200,000 objects of
the loaded code, and stop every request and socket of the process for tenths of a second.
"""

from __future__ import annotations

import gc
import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_http = get_asgi_application()
import_module("web.shared.core.metrics").serve_metrics()


def _sockets() -> list[Any]:
    if find_spec("realtime.routing") is None:
        return []
    return list(import_module("realtime.routing").websocket_urlpatterns)


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4404})


class _Sockets:
    """URLRouter raises for an unknown path, which daphne would log as a crash; here it is a refusal."""

    def __init__(self, patterns: list[Any]) -> None:
        self._router = URLRouter(patterns)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        known = any(route.pattern.match(scope["path"].lstrip("/")) for route in self._router.routes)
        await (self._router if known else _refuse)(scope, receive, send)


application = ProtocolTypeRouter({"http": _http, "websocket": _Sockets(_sockets())})


def _settle() -> None:
    for urlconf in (settings.ROOT_URLCONF, settings.PUBLIC_SCHEMA_URLCONF):
        list(get_resolver(urlconf).url_patterns)
    gc.collect()
    gc.freeze()


_settle()
