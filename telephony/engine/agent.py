"""An agent's day: shift, intent, and what devices and desk report.

Intent belongs to the agent alone; what holds is computed by the view from intent, work and devices. While
there is work in hand a new status waits as the next one. The desk and the phone only ever report: they take
an open offer away from an agent who cannot answer it, never the intent.
"""

from dataclasses import dataclass
from enum import Enum

from telephony.contract import facts as f
from telephony.contract.facts import Intent
from telephony.contract.ids import AgentId, CallId, Endpoint, split
from telephony.contract.roster import DeviceKind, RosterRow
from telephony.contract.view import AgentView, View

from . import call as calls
from . import wrapup
from .machine import Machine, Refused, go, ignore, stay
from .turn import Turn
from .wrapup import release


class Work(Enum):
    """What an agent has in hand."""

    OFF = "off shift"
    FREE = "free"
    OFFERED = "offered"
    ON_CALL = "on call"
    KEEPING = "caller kept"
    WRAP_UP = "wrap-up"


class Trigger(Enum):
    START = "start shift"
    END = "end shift"
    STATUS = "set status"
    DESK_ON = "desk opened"
    DESK_OFF = "desk gone"
    PHONE_ON = "phone reachable"
    PHONE_OFF = "phone unreachable"
    ROSTER = "roster published"


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What a trigger brings along."""

    endpoint: Endpoint | None = None
    intent: Intent = Intent.NOT_READY
    reason: str = ""
    row: RosterRow | None = None


@dataclass(frozen=True, slots=True)
class Person:
    view: View
    id: AgentId

    def state(self) -> Work:
        agent = self.view.agents.get(self.id)
        return Work.OFF if agent is None else work(agent)


def work(agent: AgentView) -> Work:
    if agent.call is not None:
        return Work.ON_CALL
    if agent.offer is not None:
        return Work.OFFERED
    if agent.wrap_up is not None:
        return Work.WRAP_UP
    if agent.keeps is not None:
        return Work.KEEPING
    return Work.OFF if agent.endpoint is None else Work.FREE


def run(turn: Turn, agent: AgentId, trigger: Trigger, what: What | None = None) -> str | None:
    """One row of the agent's machine; returns why nothing changed, or None."""
    return turn.run(MACHINE, Person(turn.view, agent), trigger, agent, what or What())


# --- shift ----------------------------------------------------------------------------------------------


def _start(turn: Turn, agent: AgentId, what: What) -> str | None:
    found, endpoint = turn.agent(agent), what.endpoint
    assert endpoint is not None
    if not found.active or endpoint not in found.endpoints:
        raise Refused("invalid", "That device is not one of this agent's devices.")
    if found.endpoint == endpoint:
        return "the shift runs on that device"
    if found.call is not None or found.offer is not None:
        raise Refused("wrong_state", "The device cannot change during a call or an offer.")
    _, desk = found.devices.get(endpoint, (DeviceKind.BROWSER, True))
    turn.fact(f.ShiftStarted(agent=agent, endpoint=endpoint, desktop_required=desk))
    return None


def _end(turn: Turn, agent: AgentId, what: What) -> None:
    turn.fact(f.ShiftEnded(agent=agent, reason=what.reason))


def _end_writing(turn: Turn, agent: AgentId, what: What) -> None:
    found = turn.agent(agent)
    turn.run(wrapup.MACHINE, wrapup.Writer(found), wrapup.Trigger.SHIFT_END, found, "")
    _end(turn, agent, what)


def _end_keeping(turn: Turn, agent: AgentId, what: What) -> None:
    """The shift ends first, so that the caller finds somebody else."""
    kept = turn.agent(agent).keeps
    assert kept is not None
    _end(turn, agent, what)
    calls.run(turn, kept, calls.Trigger.AGENT_LEFT)


# --- status ---------------------------------------------------------------------------------------------


def _status(turn: Turn, agent: AgentId, what: What) -> str | None:
    """READY is refused with what is missing; it also answers 'not responding'."""
    found = turn.agent(agent)
    ready = what.intent is Intent.READY
    if ready and (lacks := found.missing()):
        raise Refused("not_ready", ",".join(lacks))
    if ready and found.set_aside:
        turn.fact(f.AgentReturned(agent=agent))
        return None
    if (found.intent, found.reason, found.next_intent) == (what.intent, what.reason, None):
        return "the status is that already"
    turn.fact(f.StatusSet(agent=agent, intent=what.intent, reason=what.reason))
    return None


def _next_status(turn: Turn, agent: AgentId, what: What) -> str | None:
    found = turn.agent(agent)
    if (found.next_intent, found.next_reason) == (what.intent, what.reason):
        return "the next status is that already"
    turn.fact(f.StatusSet(agent=agent, intent=what.intent, reason=what.reason, waits=True))
    return None


# --- desk and phone -------------------------------------------------------------------------------------


def _desk_on(turn: Turn, agent: AgentId, what: What) -> str | None:
    if turn.agent(agent).desktop:
        return "the desk is open already"
    turn.fact(f.DesktopSeen(agent=agent, online=True))
    return None


def _desk_off(turn: Turn, agent: AgentId, what: What) -> str | None:
    if not turn.agent(agent).desktop:
        return "the desk is closed already"
    turn.fact(f.DesktopSeen(agent=agent, online=False))
    return None


def _desk_off_ringing(turn: Turn, agent: AgentId, what: What) -> str | None:
    """A browser's phone went with its desk, so the caller goes to the next agent; a desk phone rings on."""
    reason = _desk_off(turn, agent, what)
    found = turn.agent(agent)
    assert found.endpoint is not None
    kind, _ = found.devices.get(found.endpoint, (DeviceKind.BROWSER, True))
    if found.desktop_required and kind is DeviceKind.BROWSER:
        calls.run(turn, _offered(found), calls.Trigger.DESK_GONE)
    return reason


def _offered(agent: AgentView) -> CallId:
    parts = split(agent.offer or "")
    assert parts is not None
    return parts[0]


def _phone(turn: Turn, agent: AgentId, what: What, reachable: bool) -> str | None:
    found, endpoint = turn.agent(agent), what.endpoint
    assert endpoint is not None
    if endpoint not in found.endpoints:
        return "not one of this agent's devices"
    if found.reachable.get(endpoint, False) is reachable:
        return "the phone's state is that already"
    turn.fact(f.PhoneSeen(agent=agent, endpoint=endpoint, reachable=reachable))
    return None


def _phone_on(turn: Turn, agent: AgentId, what: What) -> str | None:
    return _phone(turn, agent, what, True)


def _phone_back(turn: Turn, agent: AgentId, what: What) -> str | None:
    """Said anew of a phone thought reachable all the time, it means that it registered again."""
    reason = _phone(turn, agent, what, True)
    found = turn.agent(agent)
    assert found.keeps is not None
    if what.endpoint == found.endpoint:
        turn.index.kept[found.keeps] = None
    return reason


def _phone_off(turn: Turn, agent: AgentId, what: What) -> str | None:
    return _phone(turn, agent, what, False)


def _phone_off_ringing(turn: Turn, agent: AgentId, what: What) -> str | None:
    reason = _phone(turn, agent, what, False)
    offer = turn.view.calls[_offered(turn.agent(agent))].offer
    assert offer is not None
    if offer.endpoint == what.endpoint:
        calls.run(turn, _offered(turn.agent(agent)), calls.Trigger.PHONE_GONE)
    return reason


# --- roster ---------------------------------------------------------------------------------------------


def _roster(turn: Turn, agent: AgentId, what: What) -> str | None:
    """At once; a shift that has to end waits for the work in hand."""
    row = what.row
    assert row is not None
    known = turn.view.agents.get(agent)
    if known is not None and row.version <= known.version:
        return "that version of the roster, or a later one, is in force"
    turn.fact(
        f.RosterAdopted(
            agent=agent,
            version=row.version,
            active=row.active,
            memberships=tuple(sorted(row.memberships)) if row.active else (),
            endpoints=tuple(each.endpoint for each in row.devices),
            devices=tuple((each.endpoint, each.kind, each.desktop_required) for each in row.devices),
        )
    )
    release(turn, agent)
    return None


W, T = Work, Trigger


MACHINE = Machine(
    "agent",
    Work,
    Trigger,
    go([W.OFF], [T.START], _start, W.FREE),
    stay([W.FREE, W.KEEPING, W.WRAP_UP], [T.START], _start),
    stay([W.OFFERED, W.ON_CALL], [T.START], _start),
    go([W.FREE], [T.END], _end, W.OFF),
    go([W.WRAP_UP], [T.END], _end_writing, W.OFF),
    go([W.KEEPING], [T.END], _end_keeping, W.OFF),
    ignore([W.OFF], [T.END, T.STATUS], "The agent is not on shift."),
    ignore([W.OFFERED, W.ON_CALL], [T.END], "A shift cannot end during a call or an offer."),
    stay([W.FREE, W.KEEPING], [T.STATUS], _status),
    stay([W.OFFERED, W.ON_CALL, W.WRAP_UP], [T.STATUS], _next_status),
    stay(W, [T.DESK_ON], _desk_on),
    stay([W.OFF, W.FREE, W.ON_CALL, W.KEEPING, W.WRAP_UP], [T.DESK_OFF], _desk_off),
    go([W.OFFERED], [T.DESK_OFF], _desk_off_ringing, W.FREE, W.OFFERED, W.KEEPING, W.OFF),
    stay([W.OFF, W.FREE, W.OFFERED, W.ON_CALL, W.WRAP_UP], [T.PHONE_ON], _phone_on),
    stay([W.KEEPING], [T.PHONE_ON], _phone_back),
    stay([W.OFF, W.FREE, W.ON_CALL, W.KEEPING, W.WRAP_UP], [T.PHONE_OFF], _phone_off),
    go([W.OFFERED], [T.PHONE_OFF], _phone_off_ringing, W.FREE, W.OFFERED, W.KEEPING, W.OFF),
    go([W.OFF], [T.ROSTER], _roster, W.OFF),
    go([W.FREE], [T.ROSTER], _roster, W.FREE, W.OFF),
    stay([W.OFFERED, W.ON_CALL, W.KEEPING, W.WRAP_UP], [T.ROSTER], _roster),
)
