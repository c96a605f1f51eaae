"""Instants and durations.

An instant is an integer: microseconds since the Unix epoch, UTC. A duration is microseconds too. Integers
compare, subtract and travel through JSON exactly, which floats and zoned datetimes do not.
"""

from datetime import UTC, datetime, timedelta

Instant = int
Duration = int

MILLISECOND: Duration = 1_000
SECOND: Duration = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_datetime(instant: Instant) -> datetime:
    """The same instant as an aware datetime in UTC, exact to the microsecond."""
    return _EPOCH + timedelta(microseconds=instant)


def from_datetime(moment: datetime) -> Instant:
    """Microseconds of an aware datetime; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime names no instant")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_text(instant: Instant) -> str:
    """RFC 3339 in UTC with milliseconds and `Z`, as REST and WebSocket show it."""
    return to_datetime(instant).isoformat(timespec="milliseconds").replace("+00:00", "Z")
