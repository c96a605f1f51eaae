"""Metrics of the web processes, with fixed names; labels are bounded (route names, tenants, statuses)."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

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
