"""/livez, /readyz and /metrics.

Alive: the loop answers. Ready: the switch is connected and reconciled and the door is open. PostgreSQL or
Redis being away does not make the daemon unready: calls go on, and the log catches up.
"""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


class Health:
    """`state` says whether the daemon is ready, and why not."""

    def __init__(self, host: str, port: int, state: Callable[[], dict[str, object]]) -> None:
        self._host, self._port, self._state = host, port, state
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises OSError when the address is taken."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        state = self._state()
        return web.json_response(state, status=200 if state["ready"] else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
