"""A helper process that takes one JSON object a line and answers each with one.

The parent asks with `Child.ask`; the child's side is `serve`. What the child prints beside goes to stderr.
Every wait has a deadline; a child that fails says so and ends, and the parent raises `Failed`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
LINE_LIMIT = 64 * 1024 * 1024
Answers = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Failed(Exception):
    """The bench cannot go on; the text says why."""


class Child:
    """One helper process; `name` is what the table calls it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name, self._process = name, process

    @classmethod
    async def start(cls, name: str, *command: str, environment: dict[str, str]) -> Child:
        """Start `command` with this interpreter in the checkout."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment}, limit=LINE_LIMIT,
        )  # fmt: skip
        return cls(name, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, what: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer to `what`; Failed when there is none in time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.hear(seconds)

    async def hear(self, seconds: float) -> dict[str, Any]:
        """The next line that the child says."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise Failed(f"{self.name} said nothing for {seconds:.0f} s") from None
        if not line:
            raise Failed(f"{self.name} ended")
        said: dict[str, Any] = json.loads(line)
        if "failed" in said:
            raise Failed(f"{self.name}: {said['failed']}")
        return said

    async def stop(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(10):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


async def serve(answers: Answers) -> None:
    """The child's side: answer each line of standard input until it ends."""
    out, sys.stdout = sys.stdout, sys.stderr
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = await answers(json.loads(line))
        except Failed as error:
            answer = {"failed": str(error)}
        print(json.dumps(answer), file=out, flush=True)
