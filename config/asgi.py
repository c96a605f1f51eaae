"""What daphne serves: HTTP to Django, WebSockets to realtime.

`realtime.routing.websocket_urlpatterns` lists the sockets; who may open one (tenant by host, exact Origin,
cookie or ticket) is decided in realtime. A path without a socket is refused.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

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
