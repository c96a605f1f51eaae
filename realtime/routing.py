"""Socket addresses. A message without a row in the permission registry stops the import, so the server."""

from __future__ import annotations

from typing import Any

from django.urls import re_path

from realtime import permissions
from realtime.consumers.base import Socket
from realtime.consumers.desk import DeskSocket
from realtime.consumers.floor import FloorSocket
from realtime.consumers.wallboard import WallboardSocket
from web.shared.accounts.registry import require_messages

__all__ = ["permissions", "websocket_urlpatterns"]

SOCKETS: tuple[type[Socket], ...] = (DeskSocket, FloorSocket, WallboardSocket)

require_messages(message.name for socket in SOCKETS for message in socket.channel.takes)

websocket_urlpatterns: list[Any] = [
    re_path(rf"^{socket.channel.address.lstrip('/')}\Z", socket.as_asgi()) for socket in SOCKETS
]
