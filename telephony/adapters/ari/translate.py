"""From Asterisk's events to notes: pure, so that a journal of frames can be replayed.

Texts from outside end here. A caller's name and number are cleaned of control, bidirectional and other
invisible characters and cut to a bound; a number that is no number becomes empty. What remains is still
hostile text to everybody who shows it, only no longer to terminals and logs.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

from telephony.adapters.ari import wire
from telephony.contract.clock import Instant, from_datetime
from telephony.contract.ids import Endpoint, endpoint
from telephony.ports import switch as s

NAME_LIMIT = 80
NUMBER_LIMIT = 32
INBOUND = "inbound"
"""First argument of Stasis() for callers; our own legs enter with `leg`."""

_NOT_DIALLED = re.compile(r"[^0-9+]")
_HIDDEN = {"anonymous", "unknown", "unavailable", "restricted", "private", ""}
_EPOCH = re.compile(r"([0-9]{9,11})(?:\.([0-9]{1,9}))?")
_NORMAL_UNSPECIFIED_SOFT = 32
"""What Asterisk writes when it was asked to hang up without a cause."""


def clean(text: str, limit: int) -> str:
    """Text from outside without control, format, surrogate and private characters, NFC, at most `limit`."""
    seen = "".join(c for c in text if unicodedata.category(c)[0] != "C")
    return unicodedata.normalize("NFC", seen).strip()[:limit]


def clean_number(text: str) -> str:
    """A caller's number: digits with an optional leading plus sign, else empty (withheld, or nonsense)."""
    text = clean(text, NUMBER_LIMIT * 2)
    if text.lower() in _HIDDEN:
        return ""
    digits = _NOT_DIALLED.sub("", text).replace("+", "")
    return (("+" if text.startswith("+") else "") + digits)[:NUMBER_LIMIT] if digits else ""


def instant(text: str) -> Instant:
    """Asterisk's `2026-11-22T18:00:10.620+0000`; raises ValueError."""
    return from_datetime(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC))


def epoch_seconds(text: str) -> Instant | None:
    """Seconds since the epoch with an optional fraction, as the dialplan writes a first arrival."""
    found = _EPOCH.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) * 1_000_000 + int((found[2] or "0").ljust(6, "0")[:6])


def first_arrival(arguments: list[str] | tuple[str, ...], created: str) -> Instant:
    """When the dialplan first saw the caller; for want of it, when the channel was made."""
    found = epoch_seconds(arguments[3]) if len(arguments) > 3 else None
    return instant(created) if found is None else found


def device(seen: wire.Endpoint, node: str) -> s.DeviceSeen | None:
    """A phone of ours and whether it is reachable; None for trunks and strangers."""
    known = _endpoint(seen)
    if known is None or seen.state is None:
        return None
    return s.DeviceSeen(node=node, endpoint=known, reachable=seen.state == "online")


def _endpoint(seen: wire.Endpoint) -> Endpoint | None:
    try:
        return endpoint(seen.resource) if seen.technology == "PJSIP" else None
    except ValueError:
        return None


def note(event: Any, *, node: str, application: str) -> s.Note | None:
    """The note of one wire event; None when it says nothing to us. Raises wire.Malformed."""
    match event:
        case wire.StasisStart(application=app, channel=channel, args=args) if app == application:
            return _entered(channel, args, node)
        case wire.StasisEnd(application=app, channel=channel) if app == application:
            return s.ChannelLeft(node=node, channel=channel.id)
        case wire.ChannelDestroyed(channel=channel, cause=cause):
            return s.ChannelEnded(node=node, channel=channel.id, cause=_cause(cause))
        case wire.ChannelHangupRequest(channel=channel, cause=cause):
            return s.HangUpSeen(node=node, channel=channel.id, cause=_cause(cause))
        case wire.ChannelStateChange(channel=channel) if channel.state == "Up":
            return s.ChannelUp(node=node, channel=channel.id)
        case wire.ChannelHold(channel=channel):
            return s.ChannelHeld(node=node, channel=channel.id, held=True)
        case wire.ChannelUnhold(channel=channel):
            return s.ChannelHeld(node=node, channel=channel.id, held=False)
        case wire.PeerStatusChange(endpoint=seen) | wire.ContactStatusChange(endpoint=seen):
            return device(seen, node)
        case wire.ApplicationReplaced(application=app) if app == application:
            return s.Replaced(node=node)
        case _:
            return None


def _entered(channel: wire.Channel, args: list[str], node: str) -> s.CallerCame | None:
    if len(args) < 3 or args[0] != INBOUND:
        return None
    try:
        arrived = first_arrival(args, channel.creationtime)
    except ValueError as error:
        raise wire.Malformed("creationtime") from error
    return s.CallerCame(
        node=node,
        channel=channel.id,
        trunk=args[1],
        dialled=_NOT_DIALLED.sub("", args[2])[:NUMBER_LIMIT],
        first_arrival=arrived,
        number=clean_number(channel.caller.number),
        name=clean(channel.caller.name, NAME_LIMIT),
    )


def _cause(cause: int) -> int:
    return 0 if cause == _NORMAL_UNSPECIFIED_SOFT else cause


def channel_seen(channel: wire.Channel, application: str) -> s.ChannelSeen:
    """A channel of a list. Raises wire.Malformed."""
    data = channel.dialplan.app_data.split(",")
    ours = channel.dialplan.app_name == "Stasis" and data[0] == application
    try:
        created = instant(channel.creationtime)
    except ValueError as error:
        raise wire.Malformed("creationtime") from error
    return s.ChannelSeen(
        id=channel.id,
        state=channel.state,
        created=created,
        in_application=ours,
        context=channel.dialplan.context,
        arguments=tuple(data[1:]) if ours else (),
        number=clean_number(channel.caller.number),
        name=clean(channel.caller.name, NAME_LIMIT),
    )


def caller_in_list(seen: s.ChannelSeen, node: str) -> s.CallerCame | None:
    """The note that would have come had we listened when this channel entered."""
    if not seen.in_application or len(seen.arguments) < 3 or seen.arguments[0] != INBOUND:
        return None
    arrived = epoch_seconds(seen.arguments[3]) if len(seen.arguments) > 3 else None
    return s.CallerCame(
        node=node,
        channel=seen.id,
        trunk=seen.arguments[1],
        dialled=_NOT_DIALLED.sub("", seen.arguments[2])[:NUMBER_LIMIT],
        first_arrival=seen.created if arrived is None else arrived,
        number=seen.number,
        name=seen.name,
    )
