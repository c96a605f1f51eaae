"""Close codes under daphne.

A server may close with 1001, 1009, 1012 and 1013 (RFC 6455, IANA's registry), but autobahn, which daphne
stands on, lets an application send 1000 and 3000 to 4999 only and raises for the rest; the socket would then
stay open. These few codes go out through its own close frame instead, with the same handshake and time-out.
"""

from __future__ import annotations

from typing import Any

from daphne.ws_protocol import WebSocketProtocol

STANDARD = frozenset({1001, 1009, 1011, 1012, 1013})


def allow_standard_codes() -> None:
    """Teach daphne's protocol; safe to call again."""
    usual = WebSocketProtocol.serverClose
    if getattr(usual, "knows_standard_codes", False):
        return

    def server_close(self: Any, code: int | None = None) -> None:
        if code in STANDARD:
            self.sendCloseFrame(code=code, isReply=False)
        else:
            usual(self, code)

    server_close.knows_standard_codes = True  # type: ignore[attr-defined]
    WebSocketProtocol.serverClose = server_close
