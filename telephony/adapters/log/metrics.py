"""What the log tells Prometheus. Labels are follower names and error classes, never anything of a caller."""

from prometheus_client import Counter, Gauge, Histogram

APPENDED = Counter("murima_log_appended", "Facts written to the local segment")
COMMITTED = Counter("murima_log_committed", "Facts committed to PostgreSQL by this process")
COMMIT_SECONDS = Histogram(
    "murima_log_commit_seconds",
    "One group commit to PostgreSQL",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 6),
)
LAG_BYTES = Gauge("murima_log_lag_bytes", "Bytes of the segment that a follower has not passed", ["follower"])
UNSYNCED_BYTES = Gauge("murima_log_unsynced_bytes", "Bytes not yet known to be on the local disk")
AWAY = Counter("murima_log_away", "Times PostgreSQL could not be reached or refused a commit", ["error"])
POSTGRES_UP = Gauge("murima_log_postgres_up", "1 while commits go through")
TRANSIT_KEYS = Gauge(
    "murima_transit_keys", "Keys of parties on their way: two or three; more are not destroyed in time"
)
PARTIES_LOST = Counter("murima_log_parties_lost", "Parties that could not be opened on the way to their row")
