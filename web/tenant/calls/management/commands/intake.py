"""`intake` follows the log and writes calls' rows, until it is stopped. `--once` does what there is.
`--retry` tries parked calls again."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from prometheus_client import start_http_server

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
        _serve_metrics()
        follower.run()
        return None

    def _retry(self) -> None:
        for tenant in tenant_ids(active_only=False):
            mended, left = intake.retry_parked(tenant)
            if mended or left:
                self.stdout.write(f"{tenant}: {mended} mended, {left} still parked")


def _serve_metrics() -> None:
    """/metrics at MURIMA_METRICS_BIND (host:port), when it is set."""
    bind = os.environ.get("MURIMA_METRICS_BIND", "")
    if bind:
        host, _, port = bind.rpartition(":")
        start_http_server(int(port), addr=host or "127.0.0.1")
