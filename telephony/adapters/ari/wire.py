"""What Asterisk sends, as far as we use it.

Each event is a msgspec Struct; fields that we do not use are skipped while decoding. A frame is looked at
twice: its `type` first, so that the many kinds that we ignore cost next to nothing and never fail for their
shape. A frame that is no JSON, or whose used fields have the wrong type, raises `Malformed`.
"""

from typing import Any

import msgspec


class Malformed(Exception):
    """Not JSON, or not of the shape that its type promises."""


class CallerId(msgspec.Struct, gc=False):
    number: str = ""
    name: str = ""


class Dialplan(msgspec.Struct, gc=False):
    context: str = ""
    app_name: str = ""
    app_data: str = ""


class Channel(msgspec.Struct):
    id: str
    state: str = ""
    creationtime: str = ""
    caller: CallerId = msgspec.field(default_factory=CallerId)
    dialplan: Dialplan = msgspec.field(default_factory=Dialplan)


class Bridge(msgspec.Struct):
    id: str
    name: str = ""
    channels: list[str] = []


class Endpoint(msgspec.Struct, gc=False):
    technology: str = ""
    resource: str = ""
    state: str | None = None


class StasisStart(msgspec.Struct):
    application: str
    channel: Channel
    args: list[str] = []


class StasisEnd(msgspec.Struct):
    application: str
    channel: Channel


class ChannelDestroyed(msgspec.Struct):
    channel: Channel
    cause: int = 0


class ChannelHangupRequest(msgspec.Struct):
    channel: Channel
    cause: int = 0


class ChannelStateChange(msgspec.Struct):
    channel: Channel


class ChannelHold(msgspec.Struct):
    channel: Channel


class ChannelUnhold(msgspec.Struct):
    channel: Channel


class PeerStatusChange(msgspec.Struct):
    endpoint: Endpoint


class ContactStatusChange(msgspec.Struct):
    endpoint: Endpoint


class ApplicationReplaced(msgspec.Struct):
    application: str


class RestResponse(msgspec.Struct):
    request_id: str = ""
    status_code: int = 0
    message_body: str = ""


class Status(msgspec.Struct, gc=False):
    startup_time: str = ""


class System(msgspec.Struct, gc=False):
    version: str = ""
    entity_id: str = ""


class Info(msgspec.Struct, gc=False):
    system: System = msgspec.field(default_factory=System)
    status: Status = msgspec.field(default_factory=Status)


class RtpStatistics(msgspec.Struct, gc=False):
    rxcount: int


class Variable(msgspec.Struct, gc=False):
    value: str = ""


class Attribute(msgspec.Struct, gc=False):
    attribute: str
    value: str = ""


class _Head(msgspec.Struct, gc=False):
    type: str


KINDS: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        StasisStart,
        StasisEnd,
        ChannelDestroyed,
        ChannelHangupRequest,
        ChannelStateChange,
        ChannelHold,
        ChannelUnhold,
        PeerStatusChange,
        ContactStatusChange,
        ApplicationReplaced,
    )
} | {"RESTResponse": RestResponse}

IGNORED = (
    "ChannelVarset",
    "ChannelDialplan",
    "ChannelConnectedLine",
    "ChannelCallerId",
    "ChannelEnteredBridge",
    "ChannelLeftBridge",
    "ChannelCreated",
    "BridgeCreated",
    "BridgeDestroyed",
    "BridgeMerged",
    "BridgeVideoSourceChanged",
    "ChannelTalkingStarted",
    "ChannelTalkingFinished",
    "Dial",
    "DeviceStateChanged",
    "EndpointStateChange",
)
"""Kinds that Asterisk is asked not to send at all."""

_head = msgspec.json.Decoder(_Head)
_decoders = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}
_lists: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode(frame: str | bytes) -> tuple[str, Any | None]:
    """(kind, event) of one frame; the event is None for a kind that we do not use."""
    try:
        kind = _head.decode(frame).type
        decoder = _decoders.get(kind)
        return kind, None if decoder is None else decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(type(error).__name__) from error


def decode_as(kind: Any, body: bytes) -> Any:
    """A REST answer's body as one of the above, or a list of them; raises Malformed."""
    decoder = _lists.get(kind)
    if decoder is None:
        decoder = _lists[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(type(error).__name__) from error
