"""Rows of the permission registry for what only sockets know; the desk's asks are in web.shared.accounts."""

from __future__ import annotations

from web.shared.accounts.permissions import DESK_USE
from web.shared.accounts.registry import ANYONE, MEMBER, message, route

message("ping", MEMBER)
message("media.claim", DESK_USE)
route("asyncapi", GET=ANYONE)
