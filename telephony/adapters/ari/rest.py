"""Lists, variables and provisioning over HTTP, apart from the sockets that carry commands.

Asterisk closes an idle connection after 15 s, so ours are given up after 10: a request never meets a
connection that the other end has just closed. Every request has a deadline of 2 s in all.
"""

from typing import Any

import aiohttp

from telephony.adapters.ari import meters, wire
from telephony.ports.switch import LANES, SwitchError

DEADLINE = 2.0
KEEP_ALIVE = 10.0
SOCKETS = 2 * (LANES + 1)
"""Of events and of all lanes, old and new ones at once: they come out of the same pool."""
CONNECTIONS = 8 + SOCKETS
"""Eight of them for lists and the like."""


class Http:
    """One node's ARI below `<url>/ari`."""

    def __init__(self, url: str, user: str, password: str, node: str) -> None:
        self._base = url.rstrip("/") + "/ari/"
        self._headers = {"Authorization": aiohttp.encode_basic_auth(user, password)}
        self._node = node
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        """The connection pool, made on first use inside the loop."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE),
                timeout=aiohttp.ClientTimeout(total=DEADLINE),
            )
        return self._session

    def address(self, path: str) -> str:
        return self._base + path

    async def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, done: frozenset[int] = frozenset()
    ) -> bytes:
        """The answer's body; SwitchError unless the status is 2xx or one of `done`."""
        what = f"{method} {path.split('?')[0].split('/')[0]}"
        try:
            async with self.session().request(method, self.address(path), json=body) as answer:
                data = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            meters.requests(self._node, "none").inc()
            raise SwitchError(what, 0) from error
        meters.requests(self._node, meters.outcome(answer.status)).inc()
        if answer.status // 100 != 2 and answer.status not in done:
            raise SwitchError(what, answer.status)
        return data

    async def get(self, path: str, kind: Any) -> Any:
        """A GET's answer as `kind`; SwitchError when it has another shape."""
        try:
            return wire.decode_as(kind, await self.request("GET", path))
        except wire.Malformed as error:
            raise SwitchError(f"GET {path.split('?')[0]}", 0) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
