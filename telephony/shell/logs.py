"""Structured logs: one JSON object a line, fixed event names, never personal data.

Event names are constants in snake_case; what varies is a field. Fields that could hold a number, a name,
digits or free text of people are replaced, whoever wrote them: a last net, not a licence.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_FORBIDDEN = frozenset(
    {
        "number",
        "name",
        "caller",
        "caller_number",
        "caller_name",
        "digits",
        "note",
        "text",
        "password",
        "secret",
    }
)


def _without_people(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for field in _FORBIDDEN & event.keys():
        event[field] = "[removed]"
    return event


def configure(level: str, stream: TextIO | None = None, **bound: str) -> None:
    """Once per process. `bound` goes into every line."""
    out = stream or sys.stderr
    logging.basicConfig(stream=out, level=getattr(logging, level.upper()), format="%(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_people,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**bound)
