"""The few AMI actions that we send, typed: pure.

AMI is lines: whoever gets a line break into a value writes an action of their own. Values are therefore
checked against what the field may hold, and control characters are refused wherever they stand.
"""

import re
from dataclasses import dataclass

_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9/@._;-]{0,149}")
_NAME = re.compile(r"[A-Za-z0-9_+-]{1,80}")


class Refused(ValueError):
    """A value that must not leave."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered with a pong."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Everything about the fallback's queues, as events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Send a channel to a place in the dialplan."""

    channel: str
    context: str
    extension: str = "s"


Action = Ping | QueueStatus | Redirect


def fields(action: Action) -> dict[str, str]:
    """The action as AMI's headers; raises Refused."""
    match action:
        case Ping():
            made = {"Action": "Ping"}
        case QueueStatus():
            made = {"Action": "QueueStatus"}
        case Redirect(channel=channel, context=context, extension=extension):
            if not (_CHANNEL.fullmatch(channel) and _NAME.fullmatch(context) and _NAME.fullmatch(extension)):
                raise Refused("a channel, context or extension of a strange form")
            made = {
                "Action": "Redirect",
                "Channel": channel,
                "Context": context,
                "Exten": extension,
                "Priority": "1",
            }
    if any(not value.isprintable() for value in made.values()):
        raise Refused("a control character")
    return made
