"""What the ARI adapter counts. Labels are node and kind, never an id."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

FRAMES = Counter("murima_ari_frames_total", "Frames of the event socket by Asterisk's type", ["node", "kind"])
DROPPED = Counter(
    "murima_ari_dropped_frames_total", "Frames that changed nothing, by reason", ["node", "kind"]
)
REQUESTS = Counter(
    "murima_ari_requests_total",
    "Requests by outcome class (2xx, 4xx, 5xx, none), and tries that were made again",
    ["node", "kind"],
)
REQUEST_SECONDS = Histogram(
    "murima_ari_request_seconds",
    "From sending a request on a control socket to its answer",
    ["node"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0),
)
CONNECTED = Gauge("murima_ari_connected", "1 while events flow", ["node"])
CONNECTS = Counter(
    "murima_ari_connects_total", "Attempts to connect the event socket, by outcome", ["node", "kind"]
)
PROVISIONED = Counter("murima_ari_devices_total", "Devices written, kept or withdrawn", ["node", "kind"])

# What is counted with every frame; each child is looked up once, because that takes longer than to count.
frames = cache(FRAMES.labels)
dropped = cache(DROPPED.labels)
requests = cache(REQUESTS.labels)


def outcome(status: int) -> str:
    """A status as a label of few values."""
    return f"{status // 100}xx" if status else "none"
