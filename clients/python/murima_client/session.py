"""What every operation of the client stands on: the transport, signing in, and reading with the ETag."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

from murima_client.transport import Answer, MurimaError, Transport

EARLY = 30.0
"""An access token is renewed so many seconds before it ends."""


class Session(Transport):
    """A Transport that can sign in by itself and renew its token."""

    @classmethod
    def sign_in(cls, url: str, email: str, password: str, **options: Any) -> Self:
        """A client for a person's account. MurimaError when the server does not know them."""
        tokens = _Tokens(Transport(url, **options), email, password)
        return cls(url, token=tokens.current, **options)

    def read(self, operation: str, *places: str, **options: Any) -> Answer:
        """An operation's whole answer, with its `etag`: `client.read("contacts_retrieve", id)`."""
        getattr(self, operation)(*places, **options)
        if self.last is None:
            raise LookupError(f"{operation} sent nothing")
        return self.last

    @staticmethod
    def quoted(value: Any) -> str:
        """An id as it stands in a path."""
        return quote(str(value), safe="")

    @staticmethod
    def named(headers: Mapping[str, str | None]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if value is not None}


class _Tokens:
    """The access token of a sign-in, renewed by its refresh token when it is about to end."""

    def __init__(self, transport: Transport, email: str, password: str) -> None:
        self._transport, self._email, self._password = transport, email, password
        self._access, self._refresh, self._until = "", "", 0.0
        self._ask({"email": email, "password": password})

    def current(self) -> str:
        if time.monotonic() >= self._until - EARLY:
            try:
                self._ask({"grant_type": "refresh_token", "refresh_token": self._refresh})
            except MurimaError as refused:
                if refused.status != 401:
                    raise
                self._ask({"email": self._email, "password": self._password})
        return self._access

    def _ask(self, body: dict[str, str]) -> None:
        said = self._transport.send("POST", "/api/v1/auth/token/", body=body).data
        self._access, self._refresh = said["access_token"], said["refresh_token"]
        self._until = time.monotonic() + said["expires_in"]
