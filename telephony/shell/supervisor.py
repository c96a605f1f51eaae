"""Tasks that must live, tasks that may fall, and an orderly end.

An essential task that ends, ends the daemon: half a daemon is worse than none, since a new one recovers from
the log within a second. Others are started again with full jitter. SIGTERM drains: no more offers, commands
that were decided leave, a last checkpoint, then the end. What the caller does with the outcome is its own.
"""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

BACKOFF_BASE = 0.5
BACKOFF_CAP = 10.0

log = structlog.get_logger("supervisor")

Work = Callable[[], Coroutine[Any, Any, None]]


class Supervisor:
    def __init__(self, on_fall: Callable[[], None] = lambda: None) -> None:
        """`on_fall` is called at once when an essential task ends."""
        self._on_fall = on_fall
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def essential(self, name: str, work: Work) -> None:
        """Its end, for whatever reason, is the daemon's."""
        task = asyncio.create_task(work(), name=name)
        self._tasks[name] = task
        task.add_done_callback(self._fell)

    def restarted(self, name: str, work: Work) -> None:
        """It is started again when it falls."""
        self._tasks[name] = asyncio.create_task(self._again(name, work), name=name)

    def _fell(self, task: "asyncio.Task[None]") -> None:
        if self._stop.done() or task.cancelled():
            return
        self._on_fall()
        error = task.exception()
        log.error("task_fell", task=task.get_name(), error=type(error).__name__ if error else "returned")
        self._stop.set_exception(error or RuntimeError(f"{task.get_name()} returned"))

    async def _again(self, name: str, work: Work) -> None:
        attempt = 0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await work()
                error: Exception | None = None
            except Exception as raised:
                error = raised
            if loop.time() - started > 60:
                attempt = 0
            kind = type(error).__name__ if error else "returned"
            log.warning("task_restarts", task=name, error=kind, attempt=attempt)
            await asyncio.sleep(random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2**attempt)))
            attempt = min(attempt + 1, 16)

    def stop(self, reason: str) -> None:
        """Ask for the orderly end."""
        if not self._stop.done():
            log.info("stopping", reason=reason)
            self._stop.set_result(None)

    def on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)

    async def until_stopped(self, drain: Callable[[], Awaitable[None]]) -> None:
        """Returns after a drained stop; raises what made an essential task fall."""
        try:
            await self._stop
            await drain()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
