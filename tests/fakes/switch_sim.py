"""A switch that lies in every way a real one does, in memory and without time.

It carries out the floor's commands on channels that it imagines, and answers with events that wait in
`pending` until somebody delivers them: in order, late, twice, out of order or never. It can lose a socket
(events vanish), crash (every channel vanishes without a word) and refuse commands. `missing` is what
reconciliation would find. What it never does is invent: a leg answers only when it was rung.
"""

from dataclasses import dataclass, field
from typing import Any

from telephony.engine import commands as c
from telephony.engine import events as e


@dataclass
class Leg:
    call: Any
    endpoint: str
    up: bool = False


@dataclass
class SwitchSim:
    pending: list[e.Event] = field(default_factory=list)
    callers: dict[str, Any] = field(default_factory=dict)
    """Live caller channels: call by channel."""
    legs: dict[str, Leg] = field(default_factory=dict)
    bridges: dict[str, set[str]] = field(default_factory=dict)
    music: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    """Every id that was ever created: none may be used again."""
    unreachable: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    """Names of commands that are refused for now."""
    blind: bool = False
    """The socket is gone: nothing is carried out, nothing is heard."""

    # --- what callers, agents and the machine room do ---------------------------------------------

    def enter(self, call: str, channel: str) -> None:
        self.callers[channel] = call

    def caller_hangs_up(self, channel: str, cause: int = 16, diverted: bool = False) -> None:
        call = self.callers.pop(channel)
        self._part(channel)
        self._say(e.CallerGone(call=call, cause=cause, diverted=diverted))

    def pick_up(self, leg: Any) -> None:
        if not self.legs[leg].up:
            self.legs[leg].up = True
            self._say(e.LegAnswered(call=self.legs[leg].call, leg=leg))

    def end_leg(self, leg: Any, cause: int = 16, refused: bool = False) -> None:
        gone = self.legs.pop(leg)
        self._part(leg)
        self._say(e.LegGone(call=gone.call, leg=leg, cause=cause, refused=refused))

    def crash(self) -> None:
        self.callers.clear()
        self.legs.clear()
        self.bridges.clear()
        self.music.clear()
        self.pending.clear()

    def lose_events(self) -> None:
        self.pending.clear()

    # --- what the floor orders --------------------------------------------------------------------

    def carry_out(self, command: c.Command) -> None:
        name = type(command).__name__
        if self.blind or isinstance(command, c.Answer):
            return
        if name in self.failing:
            self._fail(command, name, 500)
            return
        getattr(self, f"_{name}")(command)

    def _AnswerCaller(self, command: c.AnswerCaller) -> None:
        if command.channel not in self.callers:
            self._fail(command, "AnswerCaller", 404)

    def _SetTimeout(self, command: c.SetTimeout) -> None:
        if command.channel not in self.callers:
            self._fail(command, "SetTimeout", 404)

    def _StartMusic(self, command: c.StartMusic) -> None:
        if command.channel in self.callers:
            self.music.add(command.channel)
        else:
            self._fail(command, "StartMusic", 404)

    def _RingAgent(self, command: c.RingAgent) -> None:
        assert command.leg not in self.made, "a leg's id was used twice"
        self.made.add(command.leg)
        if command.endpoint in self.unreachable:
            self._say(e.LegGone(call=command.call, leg=command.leg, cause=20, refused=True))
        else:
            self.legs[command.leg] = Leg(command.call, command.endpoint)

    def _HangUpLeg(self, command: c.HangUpLeg) -> None:
        if command.leg in self.legs:
            self.end_leg(command.leg, 16)

    def _HangUpCaller(self, command: c.HangUpCaller) -> None:
        if command.channel in self.callers:
            self.caller_hangs_up(command.channel)

    def _Bridge(self, command: c.Bridge) -> None:
        assert command.bridge not in self.made, "a bridge's id was used twice"
        self.made.add(command.bridge)
        if command.channel not in self.callers or command.leg not in self.legs:
            self._fail(command, "Bridge", 404)
            return
        self.bridges[command.bridge] = {command.channel, command.leg}
        self.music.discard(command.channel)

    def _HoldCaller(self, command: c.HoldCaller) -> None:
        if command.channel in self.callers:
            self.bridges.get(command.bridge, set()).discard(command.channel)
            self.music.add(command.channel)

    def _ResumeCaller(self, command: c.ResumeCaller) -> None:
        if command.channel in self.callers and command.bridge in self.bridges:
            self.music.discard(command.channel)
            self.bridges[command.bridge].add(command.channel)

    def _DestroyBridge(self, command: c.DestroyBridge) -> None:
        self.bridges.pop(command.bridge, None)

    def _MuteLeg(self, command: c.MuteLeg) -> None:
        pass

    def _SendDigits(self, command: c.SendDigits) -> None:
        pass

    def _Divert(self, command: c.Divert) -> None:
        if command.channel in self.callers:
            self.caller_hangs_up(command.channel, 0, diverted=True)

    def _TurnAway(self, command: c.TurnAway) -> None:
        if command.channel in self.callers:
            self.caller_hangs_up(command.channel, 0, diverted=True)

    # --- inside -----------------------------------------------------------------------------------

    def _say(self, event: e.Event) -> None:
        if not self.blind:
            self.pending.append(event)

    def _fail(self, command: Any, what: str, status: int) -> None:
        part = getattr(command, "leg", None) or getattr(command, "bridge", None) or command.call
        if what in ("Bridge", "ResumeCaller"):
            part = command.bridge
        self._say(e.CommandFailed(call=command.call, part=part, what=what, status=status))

    def _part(self, channel: str) -> None:
        self.music.discard(channel)
        for members in self.bridges.values():
            members.discard(channel)
