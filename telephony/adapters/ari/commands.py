"""From the engine's commands to ARI requests: pure.

Every id is checked before it becomes part of an address: ours must be `<call>.<n>`, Asterisk's one of a
narrow alphabet. A request names the statuses that mean "done": 409 where the thing exists already, 404 where
what should end is gone. So a command may be sent twice.
"""

import re
from dataclasses import dataclass, field

from telephony.contract.ids import endpoint, split
from telephony.engine import commands as c

HELD_SECONDS = 90
"""The dead-man's time-out of a caller who is held; the shell renews it."""
CONNECTED_SECONDS = 100 * 24 * 3600
"""The time-out of a connected caller: none. Never 0, which would cancel it: Asterisk looks at a channel's
time-out in the channel's thread and without a lock, once whether it is there and once whether it is over, and
a 0 written in between reads as over. About one caller in a thousand left at the moment of being connected."""
RING_MARGIN = 1
"""Asterisk ends a ringing leg this much after the floor would have."""
NOT_ENTERED = "not in Stasis"
"""What the 409 of a channel that has not entered says; any other 409 means that it was dialled before."""
RETURN_CONTEXT = "murima-return"
CLOSED_CONTEXT = "murima-announce"

_CHANNEL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,149}")
_MUSIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = re.compile(r"[0-9A-D*#]{1,32}")
_SHOWN = re.compile(r"[0-9A-Za-z+.-]{0,64}")

_FINE = frozenset({200, 201, 202, 204})
_OR_THERE = _FINE | {409}
_OR_GONE = _FINE | {404}
_OR_NEITHER = _FINE | {404, 409}


class Refused(ValueError):
    """A command that must not leave: one of its texts is not of the expected form."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    uri: str
    body: dict[str, object] = field(default_factory=dict)
    done: frozenset[int] = _FINE
    creates_leg: bool = False
    """A failure means that the phone cannot be called."""
    needs_entry: bool = False
    """Sent while the leg is perhaps still on its way into the application: Asterisk then answers 409 with
    NOT_ENTERED, and the request must be made again."""


def channel(text: str) -> str:
    """Check a channel's id that Asterisk chose."""
    if not _CHANNEL.fullmatch(text):
        raise Refused("not a channel's id")
    return text


def ours(text: str) -> str:
    """Check an id that we chose."""
    if split(text) is None:
        raise Refused("not an id of ours")
    return text


def requests(command: c.SwitchCommand, *, application: str, shown: str) -> tuple[Request, ...]:
    """The requests of one command, to be sent in this order. Raises Refused."""
    match command:
        case c.RingAgent(leg=leg, endpoint=name, seconds=seconds):
            return _ring(ours(leg), endpoint(name), seconds, application, shown)
        case c.AnswerCaller(channel=caller):
            return (Request("POST", f"channels/{channel(caller)}/answer"),)
        case c.SetTimeout(channel=caller, seconds=seconds):
            return (_timeout(caller, seconds),)
        case c.StartMusic(channel=caller, music=music):
            return (_music(caller, music),)
        case c.HangUpLeg(leg=leg):
            return (Request("DELETE", f"channels/{ours(leg)}", done=_OR_GONE),)
        case c.HangUpCaller(channel=caller):
            return (Request("DELETE", f"channels/{channel(caller)}", done=_OR_GONE),)
        case c.Bridge(bridge=bridge, channel=caller, leg=leg):
            made = Request(
                "POST", f"bridges/{ours(bridge)}", {"type": "mixing", "name": application}, _OR_THERE
            )
            return (made, *_join(bridge, caller, [channel(caller), ours(leg)]))
        case c.ResumeCaller(bridge=bridge, channel=caller):
            return _join(ours(bridge), caller, [channel(caller)])
        case c.HoldCaller(bridge=bridge, channel=caller, music=music):
            out = Request(
                "POST",
                f"bridges/{ours(bridge)}/removeChannel",
                {"channel": [channel(caller)]},
                _OR_NEITHER | {422},
            )
            return (out, _music(caller, music), _timeout(caller, HELD_SECONDS))
        case c.DestroyBridge(bridge=bridge):
            return (Request("DELETE", f"bridges/{ours(bridge)}", done=_OR_GONE),)
        case c.MuteLeg(leg=leg, muted=muted):
            return (Request("POST" if muted else "DELETE", f"channels/{ours(leg)}/mute?direction=in"),)
        case c.SendDigits(channel=caller, digits=digits):
            return (_digits(caller, digits),)
        case c.Divert(channel=caller):
            return (give_back(caller),)
        case c.TurnAway(channel=caller):
            return (give_back(caller, CLOSED_CONTEXT),)


def give_back(caller: str, context: str = RETURN_CONTEXT) -> Request:
    """Return a caller to the dialplan."""
    where = {"context": context, "extension": "s", "priority": 1}
    return Request("POST", f"channels/{channel(caller)}/continue", where, _OR_NEITHER)


def _ring(leg: str, name: str, seconds: int, application: str, shown: str) -> tuple[Request, ...]:
    if not _SHOWN.fullmatch(shown):
        raise Refused("not a caller id")
    body: dict[str, object] = {
        "endpoint": f"PJSIP/{name}",
        "app": application,
        "appArgs": "leg",
        "channelId": leg,
    }
    if shown:
        body["variables"] = {"CONNECTEDLINE(num,i)": shown}
    return (
        Request("POST", "channels/create", body, _OR_THERE, creates_leg=True),
        Request(
            "POST", f"channels/{leg}/dial", {"timeout": seconds + RING_MARGIN}, _OR_THERE, needs_entry=True
        ),
    )


def _join(bridge: str, caller: str, members: list[str]) -> tuple[Request, ...]:
    """Music off, in, time-out far away: in this order, so that no music mixes into the talk."""
    return (
        Request("DELETE", f"channels/{channel(caller)}/moh", done=_OR_NEITHER),
        Request("POST", f"bridges/{bridge}/addChannel", {"channel": members}),
        _timeout(caller, CONNECTED_SECONDS),
    )


def _timeout(caller: str, seconds: int) -> Request:
    body: dict[str, object] = {"variable": "TIMEOUT(absolute)", "value": str(seconds)}
    return Request("POST", f"channels/{channel(caller)}/variable", body)


def _music(caller: str, music: str) -> Request:
    if not _MUSIC.fullmatch(music):
        raise Refused("not the name of a music class")
    return Request("POST", f"channels/{channel(caller)}/moh", {"mohClass": music})


def _digits(caller: str, digits: str) -> Request:
    if not _DIGITS.fullmatch(digits):
        raise Refused("not digits")
    return Request("POST", f"channels/{channel(caller)}/dtmf", {"dtmf": digits})
