# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""A floor with people in it, told as a story: who calls, who answers, what time it is.

Every step is checked: facts fold to the same view as the live one, indexes agree with the view, and the
switch is never asked for a thing that no fact named.
"""

from typing import Any

from telephony import codec
from telephony.contract import asks as a
from telephony.contract.asks import Envelope
from telephony.contract.clock import SECOND
from telephony.contract.facts import Intent
from telephony.contract.frames import Entry
from telephony.contract.policy import InboundNumber, Manifest, Policy, QueuePolicy
from telephony.contract.roster import Device, DeviceKind, RosterRow
from telephony.contract.view import View, apply
from telephony.engine import events as e
from telephony.engine.commands import Answer
from telephony.engine.floor import Floor, Step

TENANT: Any = "t_000000000000"
START = 1_800_000_000 * SECOND


def call_id(n: int) -> Any:
    return f"00000000-0000-7000-8000-{n:012x}"


def agent_id(name: str) -> Any:
    return f"agent-{name}"


def endpoint(name: str, n: int = 0) -> Any:
    return "d" + f"{name}{n}".encode().hex()[:12].rjust(12, "0")


def make_policy(version: int = 1, **queues: dict[str, Any]) -> Policy:
    """A policy with one number per queue: number `n-<queue>`."""
    made: dict[Any, QueuePolicy] = {
        name: QueuePolicy(queue=name, name=name.title(), **rest) for name, rest in queues.items()
    }
    manifest = Manifest(
        tenant=TENANT,
        version=version,
        queues=tuple((name, codec.content_hash(queue)) for name, queue in sorted(made.items())),
        numbers=tuple(
            InboundNumber(number=f"n-{name}", trunk="trunk", dialled="+1", queue=name)
            for name in sorted(made)
        ),
    )
    return Policy(hash=codec.content_hash(manifest), manifest=manifest, queues=made)


def make_row(
    name: str,
    queues: dict[Any, int],
    *,
    version: int = 1,
    active: bool = True,
    kind: DeviceKind = DeviceKind.BROWSER,
    desk: bool = True,
    devices: int = 1,
) -> RosterRow:
    return RosterRow(
        tenant=TENANT,
        agent=agent_id(name),
        version=version,
        active=active,
        memberships=tuple(sorted(queues.items())),
        devices=tuple(
            Device(endpoint=endpoint(name, n), kind=kind, digest="0" * 32, desktop_required=desk)
            for n in range(devices)
        ),
    )


class Story:
    """The floor, its clock, and everything that it said so far."""

    def __init__(self, *, opened: bool = True, **queues: dict[str, Any]) -> None:
        self.now = START
        self.policy = make_policy(**(queues or {"help": {}}))
        self.floor = Floor(View(tenant=TENANT))
        self.floor.epoch = 1
        self.twin = View(tenant=TENANT)
        self.log: list[Entry] = []
        self.asked = 0
        self.callers = 0
        self.last = Step()
        self.tell(e.DaemonStarted(build="test"))
        self.tell(e.PolicyPublished(policy=self.policy))
        if opened:
            self.tell(e.OffersOpened())

    # --- events -----------------------------------------------------------------------------------

    def tell(self, event: e.Event) -> Step:
        return self._told(self.floor.step(event, self.now))

    def _told(self, step: Step) -> Step:
        for entry in step.entries:
            self.log.append(entry)
            apply(self.twin, codec.decode_entry(codec.encode_entry(entry)))
        assert codec.encode_view(self.twin) == codec.encode_view(self.floor.view)
        assert self.floor.indexes_agree()
        self.last = step
        return step

    def later(self, seconds: float) -> Step:
        """Let time pass, waking the floor at its deadlines; returns all that was said meanwhile."""
        until = self.now + int(seconds * SECOND)
        told = Step()
        while (due := self.floor.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            step = self._told(self.floor.wake(self.now))
            told.entries.extend(step.entries)
            told.commands.extend(step.commands)
        self.now = until
        self.last = told
        return told

    def restart(self, *, opened: bool = True) -> None:
        """The daemon dies and another one reads what it left."""
        left = codec.decode_view(codec.encode_view(self.floor.view))
        self.floor = Floor(left, [self.policy])
        self.floor.epoch = left.epoch + 1
        assert self.floor.indexes_agree()
        self.tell(e.DaemonStarted(build="test"))
        if opened:
            self.tell(e.OffersOpened())

    def refold(self) -> None:
        """Read again what the log holds, as after somebody cut its end off."""
        self.twin, view = View(tenant=TENANT), View(tenant=TENANT)
        for entry in self.log:
            apply(view, entry)
            apply(self.twin, entry)
        self.floor = Floor(view, [self.policy])

    def enters(self, queue: str = "help", *, at: int | None = None, **rest: Any) -> Any:
        self.callers += 1
        call = call_id(self.callers)
        self.tell(
            e.CallerEntered(
                call=call,
                party=f"party-{self.callers}",
                node="a",
                channel=rest.pop("channel", f"channel-{self.callers}"),
                trunk="trunk",
                number=f"n-{queue}",
                first_arrival=self.now if at is None else at,
                **rest,
            )
        )
        return call

    def ready(self, name: str, queues: dict[Any, int] | None = None, **rest: Any) -> str:
        """Put an agent on shift and make them ready."""
        row = make_row(name, queues or {"help": 0}, **rest)
        self.tell(e.RosterPublished(row=row))
        agent = row.agent
        self.tell(e.PhoneChanged(agent=agent, endpoint=endpoint(name), reachable=True))
        assert self.ask(a.StartShift(agent=agent, endpoint=endpoint(name))).ok
        assert self.ask(a.ReportDesktop(agent=agent, online=True)).ok
        answer = self.ask(a.SetStatus(agent=agent, intent=Intent.READY))
        assert answer.ok, answer
        return agent

    def ask(self, body: Any, *, name: Any = None, expires: float = 2) -> Answer:
        self.asked += 1
        envelope = Envelope(
            id=name or f"ask-{self.asked}",
            tenant=TENANT,
            actor=body.agent,
            at=self.now,
            expires=self.now + int(expires * SECOND),
            body=body,
        )
        step = self.tell(e.Asked(envelope=envelope))
        answers = [each for each in step.commands if isinstance(each, Answer)]
        assert len(answers) == 1
        return answers[0]

    def answers(self, call: Any) -> Step:
        """The rung agent picks up."""
        offer = self.call(call).offer
        assert offer is not None
        return self.tell(e.LegAnswered(call=call, leg=offer.offer))

    def talks(self, name: str = "ann", **rest: Any) -> tuple[Any, Any]:
        """(call, agent) of a caller connected to a new agent."""
        agent = self.ready(name, **rest)
        call = self.enters()
        self.answers(call)
        assert self.call(call).agent == agent
        return call, agent

    # --- looking ----------------------------------------------------------------------------------

    def call(self, call: Any) -> Any:
        return self.floor.view.calls[call]

    def agent(self, agent: Any) -> Any:
        return self.floor.view.agents[agent]

    def rung(self, call: Any) -> Any:
        """Who is rung for a caller."""
        offer = self.call(call).offer
        return offer.agent if offer is not None else None

    def facts(self, *kinds: type, step: Step | None = None) -> list[Any]:
        found = [entry.fact for entry in (step or self.last).entries]
        return [fact for fact in found if not kinds or isinstance(fact, kinds)]

    def names(self, step: Step | None = None) -> list[str]:
        return [type(fact).__name__ for fact in self.facts(step=step)]

    def orders(self, step: Step | None = None) -> list[str]:
        return [type(each).__name__ for each in (step or self.last).commands]

    def order(self, kind: type, step: Step | None = None) -> Any:
        found = [each for each in (step or self.last).commands if isinstance(each, kind)]
        assert len(found) == 1, found
        return found[0]
