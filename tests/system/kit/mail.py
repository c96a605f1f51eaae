"""Where the product's mail arrives: a real SMTP server that keeps what it takes."""

from __future__ import annotations

import email
import re
import socket
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller


class Mailbox:
    """Takes every mail; `url` is what MURIMA_EMAIL_URL says."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._taken: list[EmailMessage] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=port)
        self.url = f"smtp://127.0.0.1:{port}"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        found = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        self._taken.append(found)
        return "250 OK"

    def links(self, address: str, page: str) -> list[str]:
        """The links to `/invitation` or `/password-reset` that were mailed to somebody, oldest first."""
        texts = [one.get_content() for one in list(self._taken) if one["To"] == address]
        return [link for text in texts for link in re.findall(rf"http\S+{page}#\S+", text)]
