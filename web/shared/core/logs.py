"""Logs: one JSON object a line, on standard error, with no personal data.

Every line carries time, level, logger, the event's name and what is bound: request_id, tenant, call, node.
`remove_personal` replaces the value of any key that could hold a number, a name, digits, text or a secret,
whoever logged it; event names are constants. An exception is told by its type and its frames: its message
may quote a row.
"""

from __future__ import annotations

import logging
import logging.config
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

PERSONAL = re.compile(
    r"(phone|number|name|e_?mail|caller|callee|digits|dtmf|note|text|body|content|message|address|password"
    r"|secret|token|ticket|cookie|authorization|credential|query|params|args|sql)",
    re.IGNORECASE,
)
# Keys that match by accident and are safe.
SAFE = {"logger_name", "ip_address", "event_name", "route_name", "task_name", "content_length"}
REMOVED = "[removed]"


def remove_personal(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank the value of every key that may hold personal data."""
    for key in event:
        if key not in SAFE and PERSONAL.search(key):
            event[key] = REMOVED
    return event


def describe_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`exc_info` → exception type and frames, without its message."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    elif isinstance(found, BaseException):
        found = (type(found), found, found.__traceback__)
    if isinstance(found, tuple) and found[0] is not None:
        frames = traceback.extract_tb(found[2])[-12:]
        event["exception"] = found[0].__name__
        event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def keep_template(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A library's line keeps its template and loses its arguments, which may be anything."""
    record = event.get("_record")
    if record is not None:
        event["event"] = str(record.msg)
    return event


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
]


def configure(options: dict[str, Any]) -> None:
    """LOGGING_CONFIG: standard library and structlog alike write JSON lines to standard error."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*SHARED, keep_template],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            describe_exception,
            remove_personal,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(options.get("level", "INFO"))
    # Each request gets one line from request_frame; the servers' own would repeat it, with the query string.
    for noisy in ("django.request", "django.server", "daphne", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
