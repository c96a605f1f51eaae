"""Metrics of the web processes, with fixed names; labels are bounded (route names, tenants, statuses).

Each process also answers `/metrics` at MURIMA_METRICS_BIND (host:port) when that is set: web, intake,
worker and beat call `serve_metrics` once at their start. Bind it to loopback; it asks nobody who they are.
"""

from __future__ import annotations

import os
from functools import cache

import structlog
from prometheus_client import Counter, Histogram, start_http_server

log = structlog.get_logger("murima.metrics")

HTTP_REQUESTS = Counter(
    "murima_http_requests_total", "Requests answered.", ["tenant", "route", "method", "status"]
)
HTTP_SECONDS = Histogram(
    "murima_http_request_seconds",
    "Time from a request's arrival to its answer.",
    ["tenant", "route"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
SIGN_INS = Counter("murima_sign_ins_total", "Attempts to sign in.", ["tenant", "outcome"])


@cache
def serve_metrics() -> bool:
    """Answer at MURIMA_METRICS_BIND, in a thread; False when it is not set or the port is taken."""
    host, _, port = os.environ.get("MURIMA_METRICS_BIND", "").rpartition(":")
    if not port.isdigit():
        return False
    try:
        start_http_server(int(port), addr=host or "127.0.0.1")
    except OSError as problem:
        log.error("metrics_not_served", port=int(port), reason=type(problem).__name__)
        return False
    return True
