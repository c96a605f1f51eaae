"""`demo_calls --rate 6` places real calls to the demo's organisations; synthetic agents take what is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config.env import KIND
from web.shared.core.exits import Code, Exit
from web.tenant.calls.demo.cast import Stage, stages


class Command(BaseCommand):
    help = "Place real SIP calls to the demo's organisations, at a mean rate, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rate", type=float, default=6.0, help="calls a minute, on average (default 6)")
        parser.add_argument("--minutes", type=float, default=None, help="stop placing calls after this time")
        parser.add_argument(
            "--stay", type=float, nargs=2, default=(20.0, 60.0), help="least and most seconds on the line"
        )
        parser.add_argument("--no-agents", action="store_true", help="no synthetic agents: people answer all")
        parser.add_argument("--tenant", default="", help="slug: call only this organisation")
        parser.add_argument("--seed", type=int, default=None, help="the same calls again")

    def handle(self, *args: Any, **options: Any) -> None:
        if KIND == "production":
            raise Exit(
                "The demo is not for production.", why="MURIMA_ENV is production.", code=Code.PERMISSION
            )
        if not 0 < options["rate"] <= 600:
            raise Exit("The rate must be above 0 and at most 600 calls a minute.", code=Code.USAGE)
        places = [one for one in stages() if options["tenant"] in ("", one.slug)]
        if not places:
            raise Exit("There is no demo organisation with that slug.", code=Code.NOT_FOUND)
        placed, answered = asyncio.run(self._run(places, _switch(), options))
        self.stdout.write(f"{placed} calls placed, {answered} answered")

    async def _run(
        self, places: list[Stage], switch: tuple[str, int], options: dict[str, Any]
    ) -> tuple[int, int]:
        from deployment.dev.sip.speech import speech
        from web.tenant.calls.demo.callers import Callers
        from web.tenant.calls.demo.players import Players

        chance = random.Random(options["seed"])
        voices = [await asyncio.to_thread(speech, 8.0, pitch, n) for n, pitch in enumerate((115, 165, 220))]
        source = os.environ.get("MURIMA_SIP_TRUNK_SOURCE", "127.0.0.2")
        least, most = options["stay"]
        callers = Callers(places, switch, source, voices, chance, self._say, (least, most))
        players = [Players(one, switch, voices[0], chance) for one in places]
        wanted = [] if options["no_agents"] else [asyncio.create_task(one.run()) for one in players]
        placing = asyncio.create_task(callers.run(options["rate"], options["minutes"]))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, placing.cancel)
        try:
            return await placing
        finally:
            for task in wanted:
                task.cancel()
            for task in wanted:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _switch() -> tuple[str, int]:
    """Asterisk's SIP address, from MURIMA_SIP_REGISTRAR."""
    host, _, port = settings.SIP_REGISTRAR.rpartition(":")
    if not host or not port.isdigit():
        raise Exit(
            "Asterisk's SIP address is not known.",
            why="MURIMA_SIP_REGISTRAR is not set; a running local stack sets it.",
            next_step="make up",
            code=Code.DEPENDENCY,
        )
    return host, int(port)
