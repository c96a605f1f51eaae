"""`intake` follows the log and writes calls' rows, until it is stopped. `--once` does what there is.
`--retry` tries parked calls again."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.core.metrics import serve_metrics
from web.shared.tenants.queries import tenant_ids
from web.tenant.calls import intake
from web.tenant.calls.follow import Follower


class Command(BaseCommand):
    help = "Turn committed facts into calls' rows: one process for all tenants."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="take what there is and exit")
        parser.add_argument("--retry", action="store_true", help="try parked calls again and exit")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["retry"]:
            return self._retry()
        stop = threading.Event()
        follower = Follower(stop)
        if options["once"]:
            self.stdout.write(f"{follower.drain()} entries taken")
            return None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        serve_metrics()
        follower.run()
        return None

    def _retry(self) -> None:
        for tenant in tenant_ids(active_only=False):
            mended, left = intake.retry_parked(tenant)
            if mended or left:
                self.stdout.write(f"{tenant}: {mended} mended, {left} still parked")
