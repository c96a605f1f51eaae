# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""A contact centre in which anything happens at any time: the floor, a switch that lies, and people.

The world offers deeds (`DEEDS`); Hypothesis or a seeded generator picks them. After every step the
invariants are looked at the naive way, by scanning everything, which is what the floor must not do itself.
`python -m tests.property.world SEED STEPS` prints a digest of the log and of the last view: the same seed
must print the same under every PYTHONHASHSEED.
"""

import hashlib
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from telephony import codec
from telephony.contract import asks as a
from telephony.contract import facts as f
from telephony.contract.asks import Envelope
from telephony.contract.clock import SECOND
from telephony.contract.facts import Intent
from telephony.contract.frames import Entry
from telephony.contract.hours import Calendar
from telephony.contract.policy import Strategy
from telephony.contract.roster import DeviceKind
from telephony.contract.view import AgentView, CallState, CallView, Effective, View, apply
from telephony.engine import agent as agents
from telephony.engine import call as calls
from telephony.engine import events as e
from telephony.engine import wrapup
from telephony.engine.floor import Floor, Step
from telephony.engine.machine import Go, Machine
from tests.fakes.floor_story import START, TENANT, call_id, endpoint, make_policy, make_row
from tests.fakes.switch_sim import SwitchSim

NAMES = ("ann", "bob", "cat", "dan")
QUEUES = ("help", "care", "gone")
CAUSES = (0, 3, 16, 17, 18, 19, 20, 21, 26, 31, 44)
MACHINES: dict[str, Machine[Any, Any]] = {
    machine.name: machine for machine in (calls.MACHINE, agents.MACHINE, wrapup.MACHINE)
}
FINAL = (CallState.ENDED, CallState.DIVERTED)

Pick = Callable[[int], int]
"""A number from 0 below n."""


class World:
    """The floor and everything around it. Every deed takes a `Pick` and makes its own choices with it."""

    def __init__(self) -> None:
        self.now = START
        self.policy = make_policy(1, **self._queues(0))
        self.switch = SwitchSim()
        self.floor = Floor(View(tenant=TENANT))
        self.floor.epoch = 1
        self.twin = View(tenant=TENANT)
        self.log: list[Entry] = []
        self.journal: list[tuple[int, e.Event | None]] = []
        self.fired: dict[tuple[str, str, str, str], int] = {}
        self.versions = dict.fromkeys(NAMES, 1)
        self.asks: list[Envelope] = []
        self.delivered: list[e.Event] = []
        self.callers = 0
        self.ended: set[str] = set()
        self.steps = 0
        self.tell(e.DaemonStarted(build="test"))
        self.tell(e.PolicyPublished(policy=self.policy))
        for n, name in enumerate(NAMES):
            self._hire(name, {"help": 0, "care": n % 2} if n < 3 else {"care": 0}, n)
        self.tell(e.OffersOpened())

    def _queues(self, n: int) -> dict[str, dict[str, Any]]:
        least = Strategy.LEAST_RECENT if n % 2 else Strategy.LONGEST_IDLE
        hours = Calendar("UTC", (((0, 1),),) * 7) if n % 5 == 4 else None
        return {
            "help": {
                "max_wait_seconds": 60, "ring_seconds": 15 + n % 3, "wrap_up_seconds": 10, "hours": hours,
            },
            "care": {"strategy": least, "priority": 5, "wrap_up_seconds": 0 if n % 4 == 3 else 20},
        }  # fmt: skip

    def _hire(self, name: str, queues: dict[str, int], n: int, active: bool = True) -> None:
        row = make_row(
            name,
            queues,
            version=self.versions[name],
            active=active,
            kind=DeviceKind.SIP if n % 2 else DeviceKind.BROWSER,
            desk=name != "dan",
            devices=2,
        )
        self.versions[name] += 1
        self.tell(e.RosterPublished(row=row))

    # --- the floor's turn -------------------------------------------------------------------------

    def tell(self, event: e.Event) -> Step:
        self.journal.append((self.now, event))
        return self._told(self.floor.step(event, self.now))

    def _told(self, step: Step) -> Step:
        self.steps += 1
        before = len(self.log)
        for entry in step.entries:
            self.log.append(entry)
            apply(self.twin, codec.decode_entry(codec.encode_entry(entry)))
        for command in step.commands:
            self.switch.carry_out(command)
        self._look(self.log[before:])
        return step

    # --- deeds ------------------------------------------------------------------------------------

    def caller_enters(self, pick: Pick) -> None:
        self.callers += 1
        call, channel = call_id(self.callers), f"channel-{self.callers}"
        if pick(8) == 0 and self.switch.callers:
            channel = self._one(pick, list(self.switch.callers))
        else:
            self.switch.enter(call, channel)
        event = e.CallerEntered(
            call=call,
            party=f"party-{self.callers}",
            node="a",
            channel=channel,
            trunk="trunk",
            number=f"n-{QUEUES[min(pick(5), 2) if pick(4) == 0 else pick(2)]}",
            first_arrival=self.now - pick(30) * SECOND,
            adopted=pick(4) == 0,
        )
        if not self.switch.blind:
            self.switch.pending.append(event)

    def deliver(self, pick: Pick) -> None:
        """Events in order, mostly."""
        if self.switch.pending:
            self._hear(self.switch.pending.pop(0))

    def deliver_all(self, pick: Pick) -> None:
        while self.switch.pending:
            self._hear(self.switch.pending.pop(0))

    def deliver_any(self, pick: Pick) -> None:
        if self.switch.pending:
            self._hear(self.switch.pending.pop(pick(len(self.switch.pending))))

    def deliver_again(self, pick: Pick) -> None:
        if self.delivered:
            old = self.delivered[-1 - pick(len(self.delivered))]
            if not (isinstance(old, e.CallerEntered) and old.channel not in self.switch.callers):
                self._hear(old)

    def drop(self, pick: Pick) -> None:
        if self.switch.pending:
            self.switch.pending.pop(pick(len(self.switch.pending)))

    def _hear(self, event: e.Event) -> None:
        """As the shell does it: every entering has a new call id, and the channel then means that call."""
        self.delivered = [*self.delivered[-7:], event]
        if isinstance(event, e.CallerEntered):
            self.callers += 1
            event = replace(event, call=call_id(self.callers))
        self.tell(event)
        if isinstance(event, e.CallerEntered) and event.channel in self.switch.callers:
            known = self.floor.index.channels.get(event.channel, event.call)
            self.switch.callers[event.channel] = known

    def pick_up(self, pick: Pick) -> None:
        ringing = [leg for leg, found in self.switch.legs.items() if not found.up]
        if ringing:
            self.switch.pick_up(self._one(pick, ringing))

    def leg_ends(self, pick: Pick) -> None:
        if self.switch.legs:
            self.switch.end_leg(self._one(pick, list(self.switch.legs)), CAUSES[pick(len(CAUSES))])

    def caller_hangs_up(self, pick: Pick) -> None:
        if self.switch.callers:
            kept = [c.channel for c in self.floor.view.calls.values() if c.state is CallState.KEPT]
            kept = [each for each in kept if each in self.switch.callers]
            among = kept if kept and pick(2) else list(self.switch.callers)
            self.switch.caller_hangs_up(self._one(pick, among), 16, pick(5) == 0)

    def phone_holds(self, pick: Pick) -> None:
        up = [leg for leg, found in self.switch.legs.items() if found.up]
        if up:
            leg = self._one(pick, up)
            held = pick(2) == 0
            self.switch.pending.append(e.PhoneHeld(call=self.switch.legs[leg].call, leg=leg, held=held))

    def phone_changes(self, pick: Pick) -> None:
        name, reachable = NAMES[pick(4)], pick(4) > 0
        device = endpoint(name, 0 if pick(4) else 1)
        (self.switch.unreachable.discard if reachable else self.switch.unreachable.add)(device)
        self.tell(e.PhoneChanged(agent=f"agent-{name}", endpoint=device, reachable=reachable))

    def phone_lies(self, pick: Pick) -> None:
        """Thought reachable, is not."""
        self.switch.unreachable.add(endpoint(NAMES[pick(4)]))

    def comes_to_work(self, pick: Pick) -> None:
        name = NAMES[pick(4)]
        device = endpoint(name)
        self.switch.unreachable.discard(device)
        self.tell(e.PhoneChanged(agent=f"agent-{name}", endpoint=device, reachable=True))
        for body in (
            a.StartShift(agent=f"agent-{name}", endpoint=device),
            a.ReportDesktop(agent=f"agent-{name}", online=True),
            a.SetStatus(agent=f"agent-{name}", intent=Intent.READY),
        ):
            self._ask(body)

    def asks_about_the_day(self, pick: Pick) -> None:
        agent = f"agent-{NAMES[pick(4)]}"
        bodies = (
            a.SetStatus(agent=agent, intent=Intent.READY),
            a.SetStatus(agent=agent, intent=Intent.NOT_READY, reason=("", "lunch")[pick(2)]),
            a.EndShift(agent=agent),
            a.StartShift(agent=agent, endpoint=endpoint(agent[6:], pick(2))),
            a.ReportDesktop(agent=agent, online=True),
            a.ReportDesktop(agent=agent, online=False),
        )
        self._ask(bodies[pick(len(bodies))])

    def asks_about_a_call(self, pick: Pick) -> None:
        agent = self._one(pick, list(self.floor.view.agents))
        found = self.floor.view.agents[agent]
        call: Any = found.call or (found.wrap_up.call if found.wrap_up else None) or found.keeps
        if call is None or pick(10) == 0:
            call = self._one(pick, list(self.floor.view.calls)) if self.floor.view.calls else "gone"
        bodies = (
            a.HoldCall(agent=agent, call=call),
            a.ResumeCall(agent=agent, call=call),
            a.HangUpCall(agent=agent, call=call),
            a.MuteCall(agent=agent, call=call, muted=pick(2) == 0),
            a.SendDigits(agent=agent, call=call, digits="12#"),
            a.ExtendWrapUp(agent=agent, call=call),
            a.FinishWrapUp(agent=agent, call=call, disposition="OK"),
            a.DeclineOffer(agent=agent, offer=found.offer or f"{call}.2"),
        )
        self._ask(bodies[pick(len(bodies))])

    def asks_again(self, pick: Pick) -> None:
        """Acts once: what a dead daemon had only refused may be done by the next one, within its time."""
        if self.asks:
            before = len(self.log)
            envelope = self.asks[pick(len(self.asks))]
            acted = any(entry.ask == envelope.id for entry in self.log)
            self.tell(e.Asked(envelope=envelope))
            assert not (acted and any(entry.ask == envelope.id for entry in self.log[before:]))

    def _ask(self, body: Any) -> None:
        envelope = Envelope(
            id=f"ask-{self.steps}-{len(self.log)}",
            tenant=TENANT,
            actor=body.agent,
            at=self.now,
            expires=self.now + 2 * SECOND,
            body=body,
        )
        self.asks = [*self.asks[-15:], envelope]
        self.tell(e.Asked(envelope=envelope))

    def time_passes(self, pick: Pick) -> None:
        """With a shell that wakes the floor when it asked for it."""
        until = self.now + (pick(25_000) + 1) * SECOND // 1000
        while (due := self.floor.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.journal.append((self.now, None))
            self._told(self.floor.wake(self.now))
            assert (self.floor.next_deadline() or until + 1) > self.now, "a deadline does not go away"
        self.now = until

    def time_stands(self, pick: Pick) -> None:
        """With a shell that is late."""
        self.now += (pick(40) + 1) * SECOND

    def roster_changes(self, pick: Pick) -> None:
        name = NAMES[pick(4)]
        queues = {queue: pick(2) for queue in QUEUES[:2] if pick(3)}
        self._hire(name, queues, NAMES.index(name), active=pick(6) > 0)

    def policy_changes(self, pick: Pick) -> None:
        n = self.policy.manifest.version + 1
        self.policy = make_policy(n, **self._queues(n))
        self.tell(e.PolicyPublished(policy=self.policy))

    def goes_blind(self, pick: Pick) -> None:
        self.tell(e.OffersPaused())
        self.switch.blind = True
        self.switch.lose_events()

    def sees_again(self, pick: Pick) -> None:
        self.switch.blind = False
        self.switch.failing.clear()
        self.reconcile(pick)
        self.tell(e.OffersOpened())

    def commands_fail(self, pick: Pick) -> None:
        names = ("RingAgent", "Bridge", "ResumeCaller", "StartMusic")
        self.switch.failing ^= {names[pick(4)]}

    def crashes(self, pick: Pick) -> None:
        self.tell(e.OffersPaused())
        self.switch.crash()

    def restarts(self, pick: Pick) -> None:
        """kill -9 between two steps; the next owner reads a checkpoint and the facts after it."""
        self._count()
        left = self._recover(pick(len(self.log) + 1))
        self.floor = Floor(left, [self.policy])
        self.floor.epoch = left.epoch + 1
        if pick(2):
            self.switch.lose_events()
        self.tell(e.DaemonStarted(build="test"))

    def _recover(self, position: int) -> View:
        view = View(tenant=TENANT)
        for n, entry in enumerate(self.log):
            if n == position:
                view = codec.decode_view(codec.encode_view(view))
            apply(view, entry)
        return view

    def reconcile(self, pick: Pick) -> None:
        """What the lists show and the floor does not know, as ordinary events."""
        if self.switch.blind:
            return
        self.deliver_all(pick)
        for call in list(self.floor.view.calls.values()):
            if call.state is not CallState.ENDED and call.channel not in self.switch.callers:
                gone = call.state is CallState.DIVERTED and pick(2) == 0
                self.tell(e.CallerGone(call=call.call, missing=not gone, diverted=gone))
                continue
            for leg in (call.offer.offer if call.offer else None, call.agent_leg):
                if leg is not None and leg not in self.switch.legs:
                    self.tell(e.LegGone(call=call.call, leg=leg))
                elif leg is not None and self.switch.legs[leg].up and call.offer:
                    self.tell(e.LegAnswered(call=call.call, leg=leg))
        self.deliver_all(pick)
        self._sweep()

    def _sweep(self) -> None:
        """Channels that nobody owns: the shell hangs legs up and brings callers in."""
        owned = {leg for call in self.floor.view.calls.values() for leg in _legs(call)}
        for leg in [leg for leg in self.switch.legs if leg not in owned]:
            del self.switch.legs[leg]
        for channel in [each for each in self.switch.callers if each not in self._channels()]:
            self.callers += 1
            call = call_id(self.callers)
            self.switch.callers[channel] = call
            self.tell(
                e.CallerEntered(
                    call=call,
                    party=f"party-{self.callers}",
                    node="a",
                    channel=channel,
                    trunk="trunk",
                    number="n-help",
                    first_arrival=self.now,
                    adopted=True,
                )
            )

    def _channels(self) -> set[str]:
        return {c.channel for c in self.floor.view.calls.values() if c.state is not CallState.ENDED}

    def _one(self, pick: Pick, among: list[Any]) -> Any:
        return among[pick(len(among))]

    # --- looking ----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything was heard and the lists were compared: both sides tell the same story."""
        pick: Pick = lambda n: 0  # noqa: E731
        self.sees_again(pick)
        for _ in range(3):
            self.reconcile(pick)
        live = {c.channel for c in self.floor.view.calls.values() if c.state not in FINAL}
        assert live == set(self.switch.callers), "callers and calls differ"
        owned = {leg for call in self.floor.view.calls.values() for leg in _legs(call)}
        assert owned == set(self.switch.legs), "legs and calls differ"
        self._count()

    def _look(self, fresh: list[Entry]) -> None:
        view = self.floor.view
        assert codec.encode_view(view) == codec.encode_view(self.twin), "fold and live view differ"
        assert codec.encode_view(codec.decode_view(codec.encode_view(view))) == codec.encode_view(view)
        assert self.floor.indexes_agree(), "an index left its view"
        self._look_at_calls(view)
        self._look_at_agents(view)
        if not self.floor.paused:
            self._look_at_offers(view)
            self._look_at_order(view, fresh)
        self._look_at_deadlines(view)
        self._look_at_facts(fresh)

    def _look_at_calls(self, view: View) -> None:
        for call in view.calls.values():
            agent = view.agents.get(call.agent) if call.agent else None
            if call.offer is not None:
                assert call.state in (CallState.WAITING, CallState.KEPT)
                assert view.agents[call.offer.agent].offer == call.offer.offer
            if call.state in (CallState.TALKING, CallState.HELD):
                assert agent is not None and agent.call == call.call and call.agent_leg and call.bridge
            elif call.state is CallState.KEPT:
                assert agent is not None and agent.keeps == call.call
            elif call.state is CallState.ENDED:
                assert agent is not None and agent.wrap_up and agent.wrap_up.call == call.call
            else:
                assert call.state in (CallState.WAITING, CallState.DIVERTED), "a caller without an owner"

    def _look_at_agents(self, view: View) -> None:
        for agent in view.agents.values():
            busy = [agent.call, agent.offer, agent.wrap_up]
            assert sum(each is not None for each in busy) <= 1, "an agent with two pieces of work"
            if agent.call is not None:
                assert view.calls[agent.call].agent == agent.agent
            if agent.offer is not None:
                offers = [c for c in view.calls.values() if c.offer and c.offer.offer == agent.offer]
                assert len(offers) == 1
            if agent.keeps is not None:
                assert view.calls[agent.keeps].agent == agent.agent
                assert agent.call is None
            assert agent.effective is agent.compute()
            if not (agent.active or any(busy) or agent.keeps):
                assert agent.endpoint is None, "who left the roster is still on shift"

    def _look_at_offers(self, view: View) -> None:
        for call in view.calls.values():
            for agent in view.agents.values():
                assert not self._could_be_offered(call, agent), "a free agent and a waiting caller"

    def _could_be_offered(self, call: CallView, agent: AgentView) -> bool:
        return (
            call.state is CallState.WAITING
            and call.offer is None
            and agent.effective is Effective.READY
            and agent.keeps is None
            and call.demand in agent.memberships
            and agent.cools_until <= self.floor.view.at
            and call.again.get(agent.agent, 0) <= self.floor.view.at
        )

    def _look_at_order(self, view: View, fresh: list[Entry]) -> None:
        for entry in fresh:
            if not isinstance(entry.fact, f.OfferMade) or entry.fact.returning:
                continue
            agent, served = view.agents[entry.fact.agent], view.calls[entry.fact.call]
            for other in view.calls.values():
                waits = other.state is CallState.WAITING and other.offer is None
                if waits and other.demand in agent.memberships and agent.agent not in other.refused:
                    assert (served.key, served.call) < (other.key, other.call), "out of order"
            assert agent.active and entry.fact.demand in agent.memberships
            assert entry.fact.endpoint == agent.endpoint

    def _look_at_deadlines(self, view: View) -> None:
        at = view.at
        for agent in view.agents.values():
            assert agent.wrap_up is None or agent.wrap_up.deadline > at, "a wrap-up past its deadline"
        if self.floor.paused:
            return
        for call in view.calls.values():
            if call.offer is not None:
                assert call.offer.deadline > at, "a phone rings past its deadline"
            elif call.state is CallState.WAITING:
                assert not call.waits_until or call.waits_until > at, "a caller past the limit"
            elif call.state is CallState.KEPT:
                assert call.kept_until > at, "a kept caller past the limit"

    def _look_at_facts(self, fresh: list[Entry]) -> None:
        for entry in fresh:
            fact = entry.fact
            call: Any = getattr(fact, "call", None)
            if call in self.ended:
                assert isinstance(fact, f.WrapUpEnded | f.WrapUpExtended), "a fact about an ended call"
            if isinstance(fact, f.CallEnded):
                self.ended.add(call)

    def _count(self) -> None:
        """Keep what fired, and hold every row to the states that it says it leads to."""
        for key, n in self.floor.fired.items():
            self.fired[key] = self.fired.get(key, 0) + n
            machine, state, trigger, after = key
            found = MACHINES[machine]
            row = found.table[found.states(state), found.triggers(trigger)]
            allowed = [each.value for each in row.to] if isinstance(row, Go) else [state]
            assert after in allowed, f"{key} leads where its row does not say"
        self.floor.fired.clear()


def _legs(call: CallView) -> list[str]:
    return [leg for leg in (call.offer.offer if call.offer else None, call.agent_leg) if leg is not None]


DEEDS: tuple[tuple[int, Callable[[World, Pick], None]], ...] = (
    (8, World.caller_enters),
    (16, World.deliver),
    (6, World.deliver_all),
    (4, World.deliver_any),
    (3, World.deliver_again),
    (1, World.drop),
    (10, World.pick_up),
    (4, World.leg_ends),
    (4, World.caller_hangs_up),
    (2, World.phone_holds),
    (4, World.phone_changes),
    (1, World.phone_lies),
    (8, World.comes_to_work),
    (5, World.asks_about_the_day),
    (10, World.asks_about_a_call),
    (2, World.asks_again),
    (8, World.time_passes),
    (1, World.time_stands),
    (2, World.roster_changes),
    (1, World.policy_changes),
    (1, World.goes_blind),
    (3, World.sees_again),
    (1, World.commands_fail),
    (1, World.crashes),
    (1, World.restarts),
    (2, World.reconcile),
)
WEIGHTED = tuple(deed for weight, deed in DEEDS for _ in range(weight))


def run(seed: int, steps: int) -> World:
    """A world driven by a seed."""
    chance = random.Random(seed)
    world = World()
    while world.steps < steps:
        WEIGHTED[chance.randrange(len(WEIGHTED))](world, chance.randrange)
    world.settle()
    return world


def digest(world: World) -> str:
    sha = hashlib.sha256()
    for entry in world.log:
        sha.update(codec.encode_entry(entry))
    sha.update(codec.encode_view(world.floor.view))
    return sha.hexdigest()


if __name__ == "__main__":
    print(digest(run(int(sys.argv[1]), int(sys.argv[2]))))
